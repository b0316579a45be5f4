import { Cluster, Redis, type RedisOptions } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type RedisClient } from '../../lib/index.js'
import { nodeRedis, nodeRedisCluster, nodeRedisSentinel } from '../support/node-redis.js'
import { cuttingProxy, type CuttingProxy } from '../support/redis-proxy.js'
import { Load } from '../support/load.js'
import { startRedis } from '../support/servers/redis.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { startRedisSentinel } from '../support/servers/redis-sentinel.js'
import { withServer } from '../support/servers/require.js'

type Options = Pick<RedisOptions, 'enableAutoPipelining' | 'autoResendUnfulfilledCommands' | 'enableOfflineQueue'>

t.setTimeout(1_500_000)

const visitors = 50
const commits = 10_000
/** Commits between two lost connections. */
const cutEvery = 150
/** Milliseconds. */
const timeout = 2000

const optionSets: Options[] = [
  {}, { enableAutoPipelining: true }, { autoResendUnfulfilledCommands: false }, { enableAutoPipelining: true, autoResendUnfulfilledCommands: false }, { enableOfflineQueue: false },
]

/** A client that is connected, through the proxies or not. */
type Connect = (t: Test, proxied: boolean) => RedisClient | Promise<RedisClient>

/** Clients of ioredis, by their options. */
function ofIoredis (connect: (options: Options, proxied: boolean) => Redis | Cluster, sets = optionSets): Record<string, Connect> {
  return Object.fromEntries(sets.map((options) => [JSON.stringify(options), async (t: Test, proxied: boolean) => {
    const client = connect(options, proxied)
    client.on('error', () => {})
    t.teardown(() => { client.disconnect() })
    if (client.status !== 'ready') await new Promise((resolve) => { client.once('ready', () => { resolve(undefined) }) })
    return client
  }]))
}

/** Commits through proxies that lose answers with their connections, and compares the result with what the clients were told. */
async function loseConnections (t: Test, clients: Record<string, Connect>, proxies: readonly CuttingProxy[]): Promise<void> {
  for (const [i, [name, connect]] of Object.entries(clients).entries()) {
    await t.test(name, async (t) => {
      const [client, direct] = await Promise.all([connect(t, true), connect(t, false)])
      const prefix = `load ${i}:`
      const load = new Load(tokenSessions({ store: redisStore(client, { prefix, timeout }) }), i)
      await load.begin(visitors)
      let cuts = 0
      await load.run(() => load.commits >= commits, () => {
        if (load.commits >= (cuts + 1) * cutEvery) proxies[cuts++ % proxies.length]?.cutNext()
      })
      const { commits: ran, codes, slowest } = load
      t.comment(`${ran} commits, ${cuts} cuts, ${JSON.stringify(Object.fromEntries(codes))}, slowest ${slowest.toFixed()} ms`)
      t.strictSame(load.unnamed, [])
      t.strictSame(await load.differences(redisStore(direct, { prefix, timeout: 30_000 })), [])
      t.ok(cuts > 50)
    })
  }
}

t.test('a single server', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const proxy = await cuttingProxy(t, server.port)
  const urlOf = (proxied: boolean): string => proxied ? proxy.url : server.url
  await loseConnections(t, {
    ...ofIoredis((options, proxied) => new Redis(urlOf(proxied), { retryStrategy: () => 10, ...options })),
    'node-redis': (t, proxied) => nodeRedis(t, urlOf(proxied)),
    'node-redis without an offline queue': (t, proxied) => nodeRedis(t, urlOf(proxied), { disableOfflineQueue: true }),
  }, [proxy])
})

t.test('Sentinel', async (t) => {
  const servers = await withServer(t, startRedisSentinel)
  if (!servers) return
  const proxy = await cuttingProxy(t, servers.master.port)
  const natMap = addresses([servers.master], [proxy])
  const { sentinels, name } = servers
  await loseConnections(t, {
    ...ofIoredis((options, proxied) => new Redis({ sentinels, name, retryStrategy: () => 10, ...options, ...proxied && { natMap } })),
    'node-redis': (t, proxied) => nodeRedisSentinel(t, servers, proxied ? { nodeAddressMap: natMap } : {}),
    'node-redis with several connections': (t, proxied) => nodeRedisSentinel(t, servers, { masterPoolSize: 3, ...proxied && { nodeAddressMap: natMap } }),
  }, [proxy])
})

t.test('a cluster', async (t) => {
  const cluster = await withServer(t, startRedisCluster)
  if (!cluster) return
  const proxies = await Promise.all(cluster.nodes.map(({ port }) => cuttingProxy(t, port)))
  const natMap = addresses(cluster.nodes, proxies)
  const allowed = optionSets.filter(({ enableOfflineQueue = true }) => enableOfflineQueue) // a cluster's client without it is refused
  await loseConnections(t, {
    ...ofIoredis(({ enableAutoPipelining = false, ...redisOptions }, proxied) =>
      new Cluster([...cluster.startupNodes], { enableAutoPipelining, redisOptions, ...proxied && { natMap } }), allowed),
    'node-redis': (t, proxied) => nodeRedisCluster(t, cluster.startupNodes, proxied ? { nodeAddressMap: natMap } : {}),
  }, proxies)
})

/** Tells a client the way to each server through its proxy. */
function addresses (servers: ReadonlyArray<{ port: number }>, proxies: readonly CuttingProxy[]): Record<string, { host: string, port: number }> {
  return Object.fromEntries(servers.map(({ port }, i) => [`127.0.0.1:${port}`, { host: '127.0.0.1', port: Number(new URL((proxies[i] as CuttingProxy).url).port) }]))
}
