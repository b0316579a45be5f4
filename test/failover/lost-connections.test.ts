import { Cluster, Redis, type RedisOptions } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { cuttingProxy, type CuttingProxy } from '../support/redis-proxy.js'
import { Load } from '../support/load.js'
import { startRedis } from '../support/servers/redis.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { startRedisSentinel } from '../support/servers/redis-sentinel.js'
import { withServer } from '../support/servers/require.js'

type Options = Pick<RedisOptions, 'enableAutoPipelining' | 'autoResendUnfulfilledCommands' | 'enableOfflineQueue'>

t.setTimeout(1_500_000)

const clients = 50
const commits = 10_000
/** Commits between two lost connections. */
const cutEvery = 150
/** Milliseconds. */
const timeout = 2000

const optionSets: Options[] = [
  {}, { enableAutoPipelining: true }, { autoResendUnfulfilledCommands: false }, { enableAutoPipelining: true, autoResendUnfulfilledCommands: false }, { enableOfflineQueue: false },
]

/** Commits through proxies that lose answers with their connections, and compares the result with what the clients were told. */
async function loseConnections (t: Test, connect: (options: Options, proxied: boolean) => Redis | Cluster, proxies: readonly CuttingProxy[], sets = optionSets): Promise<void> {
  for (const [i, options] of sets.entries()) {
    await t.test(JSON.stringify(options), async (t) => {
      const [client, direct] = [connect(options, true), connect({}, false)]
      for (const each of [client, direct]) {
        each.on('error', () => {})
        t.teardown(() => { each.disconnect() })
      }
      await direct.get('connected')
      if (client.status !== 'ready') await new Promise((resolve) => { client.once('ready', () => { resolve(undefined) }) })
      const prefix = `load ${i}:`
      const load = new Load(tokenSessions({ store: redisStore(client, { prefix, timeout }) }), i)
      await load.begin(clients)
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
  await loseConnections(t, (options, proxied) => new Redis(proxied ? proxy.url : server.url, { retryStrategy: () => 10, ...options }), [proxy])
})

t.test('Sentinel', async (t) => {
  const servers = await withServer(t, startRedisSentinel)
  if (!servers) return
  const proxy = await cuttingProxy(t, servers.master.port)
  const natMap = { [`127.0.0.1:${servers.master.port}`]: { host: '127.0.0.1', port: Number(new URL(proxy.url).port) } }
  const { sentinels, name } = servers
  await loseConnections(t, (options, proxied) => new Redis({ sentinels, name, retryStrategy: () => 10, ...options, ...proxied && { natMap } }), [proxy])
})

t.test('a cluster', async (t) => {
  const cluster = await withServer(t, startRedisCluster)
  if (!cluster) return
  const proxies = await Promise.all(cluster.nodes.map(({ port }) => cuttingProxy(t, port)))
  const natMap = Object.fromEntries(cluster.nodes.map(({ port }, i) => [`127.0.0.1:${port}`, { host: '127.0.0.1', port: Number(new URL((proxies[i] as CuttingProxy).url).port) }]))
  const allowed = optionSets.filter(({ enableOfflineQueue = true }) => enableOfflineQueue) // a cluster's client without it is refused
  await loseConnections(t, ({ enableAutoPipelining = false, ...redisOptions }, proxied) =>
    new Cluster([...cluster.startupNodes], { enableAutoPipelining, redisOptions, ...proxied && { natMap } }), proxies, allowed)
})
