import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import type { Test } from 'tap'
import { memoryStore, redisStore, type CompleteStore, type LeasingStore, type TrackableStore } from '../../lib/index.js'
import { fakeClock } from './clock.js'
import { passTime } from './redis-time.js'
import { startRedisCluster } from './servers/redis-cluster.js'
import { redisForTest, withServer } from './servers/require.js'

/** Somewhere that sessions can live, as several processes see it. */
export interface Place {
  readonly name: 'memory' | 'redis' | 'cluster'
  /** The store as one more process sees it: with a client of its own. In memory there is but one process. */
  connect (): CompleteStore & TrackableStore & LeasingStore
  /** Lets milliseconds pass, for `Date` and for the store. Only with `clock`. */
  advance (ms: number): Promise<void>
  /** All servers; none in memory. */
  nodes (): Redis[]
  readonly prefix: string
}

/**
 * Runs a test in memory, on a real Redis and on a real Redis Cluster of three masters.
 * @param clock whether `Date` stands still but for `advance`
 * @param timers whether intervals do so too; the servers' clocks, which never stand still, are then kept from running ahead of `Date`
 */
export async function inEachPlace (
  t: Test, run: (t: Test, place: Place) => Promise<void>, { clock = true, timers = false }: { clock?: boolean, timers?: boolean } = {}
): Promise<void> {
  // Before the first subtest: tap ends a file's test once there is none left.
  const redis = await redisForTest(t)
  const cluster = await withServer(t, startRedisCluster)
  const tick = clock ? fakeClock(t, timers ? ['Date', 'setInterval'] : ['Date']) : () => {}
  const store = memoryStore()
  await Promise.all([
    t.test('memory', (t) => run(t, {
      name: 'memory', prefix: '', connect: () => store, nodes: () => [], advance: async (ms) => { tick(ms) },
    })),
    redis && t.test('redis', (t) => onServers(t, 'redis', () => new Redis(redis.url), tick, timers, run)),
    cluster && t.test('cluster', (t) => onServers(t, 'cluster', () => new Cluster([...cluster.startupNodes]), tick, timers, run)),
  ])
}

async function onServers (
  t: Test, name: 'redis' | 'cluster', connect: () => Redis | Cluster, tick: (ms: number) => void, timers: boolean,
  run: (t: Test, place: Place) => Promise<void>
): Promise<void> {
  const prefix = `${randomUUID()}:`
  const first = connect()
  const clients = [first]
  t.teardown(async () => {
    await Promise.all(nodes().map(async (node) => {
      const keys = await node.keys(`${prefix}*`)
      for (const key of keys) await node.unlink(key)
    }))
    for (const client of clients) client.disconnect()
  })
  const nodes = (): Redis[] => first instanceof Cluster ? first.nodes('master') : [first]
  await first.get(`${prefix}connected`)
  let ahead = 0 // milliseconds
  let lastSync = performance.now()
  await run(t, {
    name,
    prefix,
    connect () {
      const client = clients.length === 1 ? first : connect()
      clients.push(client)
      return redisStore(client, { prefix, timeout: 30_000 })
    },
    nodes,
    async advance (ms) {
      tick(ms)
      const now = performance.now()
      if (timers) ahead += now - lastSync
      lastSync = now
      const passed = Math.max(0, Math.floor(ms - ahead))
      ahead -= ms - passed
      await passTime(nodes(), prefix, passed)
    },
  })
}
