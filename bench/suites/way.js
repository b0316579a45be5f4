import { setTimeout as sleep } from 'node:timers/promises'

const warmUp = 60
/** Milliseconds after which a request has been closed for sure. */
const rest = 50

/** How far a request travels through the plugin: the files and functions of its own that run, from the first hook to the close. */
export default async function way (bench) {
  const server = await bench.server('ours', { args: ['redis', String(await bench.redis())] })
  const cookie = await bench.login(server)
  const get = async (route) => (await fetch(`${server.url}/${route}`, { headers: { cookie } })).text()
  for (let i = 0; i < warmUp; i++) for (const route of ['write', 'read', 'untouched']) await get(route)

  const figures = []
  for (const [kind, route] of [['used', 'write'], ['read', 'read'], ['untouched', 'untouched']]) {
    await sleep(rest)
    await server.call('startCoverage')
    await get(route)
    await sleep(rest)
    const functions = await server.call('takeCoverage')
    const files = new Map()
    for (const { file, name, calls } of functions) files.set(file, [...files.get(file) ?? [], calls === 1 ? name : `${name} ×${calls}`])
    bench.log(`${kind}:${[...files].map(([file, names]) => `\n  ${file} (${names.length}): ${names.join(', ')}`).join('')}`)
    figures.push(
      { name: `${kind} request, files`, value: files.size, unit: '' },
      { name: `${kind} request, functions`, value: functions.length, unit: '' },
      { name: `${kind} request, calls`, value: functions.reduce((sum, { calls }) => sum + calls, 0), unit: '' })
  }
  return figures
}
