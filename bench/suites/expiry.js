/** The event loop of a server while all of its sessions expire at once, with a few requests going on. */
export default async function expiry (bench) {
  const count = bench.quick ? 50_000 : 1_000_000
  const ours = await bench.server('ours', { nodeArgs: ['--max-old-space-size=4096'] })
  const bare = await bench.server('bare')
  const cookie = await bench.login(ours)

  bench.log(`making ${count.toLocaleString('en')} sessions`)
  const expireAt = await ours.call('fillExpiring', { count })
  bench.log('waiting until they expire and are gone')
  const swept = await meanwhile(ours.call('watchExpiry', { expireAt, within: 60_000, keep: 1 }),
    () => bench.burst({ server: ours, path: '/read', cookie, connections: 2 }, 1))
  if (swept.left > 0) throw new Error(`${swept.left} of ${count} sessions were still there a minute after they expired`)

  const control = await meanwhile(bare.call('watch', { milliseconds: 3_000 }),
    () => bench.burst({ server: bare, path: '/untouched', connections: 2 }, 1))

  return [
    { name: 'event-loop delay p99', value: swept.p99, unit: 'ms' },
    { name: 'event-loop delay, longest', value: swept.max, unit: 'ms' },
    { name: 'until all were swept', value: swept.seconds, unit: 's' },
    { name: 'bare Fastify, event-loop delay p99', value: control.p99, unit: 'ms' },
    { name: 'bare Fastify, event-loop delay, longest', value: control.max, unit: 'ms' },
  ]
}

/** Repeats `act` until `task` is over; gives what it resolves to. */
async function meanwhile (task, act) {
  let result = null
  while (result === null) {
    const acting = act()
    result = await Promise.race([task, acting.then(() => null)])
    await acting
  }
  return result
}
