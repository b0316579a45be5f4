/** What a live session of the sample payload holds on the heap, made over HTTP as clients make them. */
const nodeArgs = ['--max-old-space-size=4096']

export default async function heap (bench) {
  const many = bench.quick ? 20_000 : 200_000
  const ours = await perSession(bench, await bench.server('ours', { nodeArgs }), many)
  const map = await perSession(bench, await bench.server('map', { nodeArgs }), many)
  const fastifySession = await perSession(bench, await bench.server('fastify-session', { nodeArgs }), many / 5)
  return [
    { name: 'heap per session', value: ours.heap, unit: 'bytes' },
    { name: 'off-heap per session', value: ours.external, unit: 'bytes' },
    { name: 'a bare Map of token to JSON', value: map.heap, unit: 'bytes' },
    { name: '@fastify/session', value: fastifySession.heap, unit: 'bytes' },
    { name: 'sessions', value: ours.sessions, unit: '' },
  ]
}

/** The growth from a first batch, which also warms the server up, to at least `many` sessions more. */
async function perSession (bench, server, many) {
  await bench.burst({ server, path: '/login' }, 1)
  const before = await server.call('heap')
  let after = before
  for (let burst = 0; burst < 30 && after.sessions - before.sessions < many; burst++) {
    await bench.burst({ server, path: '/login' }, 1)
    after = await server.call('heap')
  }
  await server.stop()
  const sessions = after.sessions - before.sessions
  return {
    sessions: after.sessions,
    heap: (after.heapUsed - before.heapUsed) / sessions,
    external: (after.external - before.external) / sessions,
  }
}
