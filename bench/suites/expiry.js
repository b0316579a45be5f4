import { setTimeout as wait } from 'node:timers/promises'
import { median } from '../suites.js'

const windowMilliseconds = 2_000
const longest = 120_000
/** What the heap may have grown by otherwise when all sessions are gone: compiled code, caches. */
const tolerance = 6 * 2 ** 20

/** The event loop of a server while all of its sessions expire at once, with a few requests going on. */
export default async function expiry (bench) {
  const count = bench.quick ? 200_000 : 1_000_000
  const server = await bench.server('ours', { nodeArgs: ['--max-old-space-size=4096'] })
  const bare = await bench.server('bare')
  const cookie = await bench.login(server)

  const { heapUsed: empty } = await server.call('heap')
  bench.log(`making ${count.toLocaleString('en')} sessions`)
  const expireAt = await server.call('fillExpiring', { count })
  const { heapUsed: full } = await server.call('heap')
  await wait(expireAt - 500 - Date.now())

  bench.log('waiting until they are gone')
  const windows = []
  const control = []
  let left
  do {
    const [ours, theirs] = await Promise.all([watch(server, '/read', cookie), watch(bare, '/untouched', cookie)])
    windows.push(ours)
    control.push(theirs)
    left = (await server.call('heap')).heapUsed - empty
    bench.log(`${megabytes(left)} of ${megabytes(full - empty)} are still held`)
  } while (left > tolerance && windows.length * windowMilliseconds < longest)
  if (left > tolerance) throw new Error(`${megabytes(left)} were still held ${longest / 1000} s after the expiry`)

  const values = (figures, what) => figures.map((figure) => figure[what])
  return [
    { name: 'event-loop delay p99', value: median(values(windows, 'p99')), unit: 'ms' },
    { name: 'event-loop delay p99, worst two seconds', value: Math.max(...values(windows, 'p99')), unit: 'ms' },
    { name: 'event-loop delay, longest', value: Math.max(...values(windows, 'longest')), unit: 'ms' },
    { name: 'bare Fastify at the same time, p99', value: median(values(control, 'p99')), unit: 'ms' },
    { name: 'bare Fastify, p99, worst two seconds', value: Math.max(...values(control, 'p99')), unit: 'ms' },
    { name: 'bare Fastify, longest', value: Math.max(...values(control, 'longest')), unit: 'ms' },
    { name: 'until all were swept, at most', value: windows.length * windowMilliseconds / 1000, unit: 's' },
  ]
}

const megabytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`

/** One window of watching, with a request every few milliseconds. */
async function watch (server, path, cookie) {
  let over = false
  const watching = server.call('watchDelay', windowMilliseconds).finally(() => { over = true })
  const sending = (async () => {
    for (;;) {
      await (await fetch(server.url + path, { headers: { cookie } })).text()
      if (over) return
      await wait(5)
    }
  })()
  const [figures] = await Promise.all([watching, sending])
  return figures
}
