const windowMilliseconds = 2_000
const longest = 60_000
/** What the heap may have grown by otherwise when all sessions are gone: compiled code, caches. */
const tolerance = 6 * 2 ** 20

/** The event loop of a server while all of its sessions expire at once, with a few requests going on. */
export default async function expiry (bench) {
  const count = bench.quick ? 200_000 : 1_000_000
  const server = await bench.server('ours', { nodeArgs: ['--expose-gc', '--max-old-space-size=4096'] })
  const bare = await bench.server('bare')
  const cookie = await bench.login(server)

  const { heapUsed: empty } = await server.call('heap')
  bench.log(`making ${count.toLocaleString('en')} sessions`)
  const expireAt = await server.call('fillExpiring', { count })
  const { heapUsed: full } = await server.call('heap')
  await new Promise((resolve) => setTimeout(resolve, expireAt - 500 - Date.now()))

  bench.log('waiting until they are gone')
  const windows = []
  let left
  do {
    windows.push(await watch(bench, { server, path: '/read', cookie }))
    left = (await server.call('heap')).heapUsed - empty
    bench.log(`${megabytes(left)} of ${megabytes(full - empty)} are still held`)
  } while (left > tolerance && windows.length * windowMilliseconds < longest)
  if (left > tolerance) throw new Error(`${megabytes(left)} were still held ${longest / 1000} s after the expiry`)

  const control = []
  for (let i = 0; i < 3; i++) control.push(await watch(bench, { server: bare, path: '/untouched' }))

  const worst = (figures, what) => Math.max(...figures.map((figure) => figure[what]))
  return [
    { name: 'event-loop delay p99', value: worst(windows, 'p99'), unit: 'ms' },
    { name: 'event-loop delay, longest', value: worst(windows, 'longest'), unit: 'ms' },
    { name: 'until all were swept, at most', value: windows.length * windowMilliseconds / 1000, unit: 's' },
    { name: 'bare Fastify, event-loop delay p99', value: worst(control, 'p99'), unit: 'ms' },
    { name: 'bare Fastify, event-loop delay, longest', value: worst(control, 'longest'), unit: 'ms' },
  ]
}

const megabytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`

/** One window of watching under light load. */
async function watch (bench, cell) {
  const [figures] = await Promise.all([
    cell.server.call('watchDelay', windowMilliseconds),
    bench.burst({ ...cell, connections: 2 }, windowMilliseconds / 1000),
  ])
  return figures
}
