import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const nodeArgs = ['--max-old-space-size=4096']

/** What saving and restoring many sessions takes: from memory to Redis and back, each step in a fresh process. */
export default async function saveRestore (bench) {
  const many = bench.quick ? 20_000 : 1_000_000
  const folder = mkdtempSync(join(tmpdir(), 'bench-sessions-'))
  bench.use({ stop: () => rmSync(folder, { recursive: true, force: true }) })
  const redis = String(await bench.redis())
  const start = (...args) => bench.server('saving', { nodeArgs, args })
  const file = join(folder, 'memory')
  const redisFile = join(folder, 'redis')

  async function step (server, command, path, result) {
    bench.log(command)
    const done = await server.call(command, path)
    if (done[result] !== many) throw new Error(`${command}: ${done[result]} of ${many} sessions`)
    await server.stop()
    return done
  }

  const first = await start()
  bench.log(`making ${many.toLocaleString('en')} sessions`)
  await first.call('fill', many)
  const steps = {
    'memory: save': await step(first, 'save', file, 'sessions'),
    'Redis: restore': await step(await start('redis', redis), 'restore', file, 'restored'),
    'Redis: save': await step(await start('redis', redis), 'save', redisFile, 'sessions'),
    'memory: restore': await step(await start(), 'restore', redisFile, 'restored'),
  }
  // Sessions that were restored into memory are no cost of restoring.
  steps['memory: restore'].peak -= steps['memory: restore'].held
  return [
    ...Object.entries(steps).flatMap(([name, { seconds, peak }]) => [
      { name: `${name}, peak memory`, value: peak, unit: 'MB' },
      { name: `${name}, rate`, value: many / seconds, unit: 'sessions/s' },
    ]),
    { name: 'file', value: statSync(file).size / many, unit: 'bytes/session' },
  ]
}
