import { Cluster, Redis, type RedisOptions } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../../lib/index.js'
import { cuttingProxy } from '../../support/redis-proxy.js'
import { emitted } from '../../support/emitted.js'
import { startRedis } from '../../support/servers/redis.js'
import { startRedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

const named = ['FST_SESSION_OUTCOME_UNKNOWN', 'FST_SESSION_STORE_UNAVAILABLE']

t.test('a connection that is lost with commands under way: each is settled in time, and later ones are served, whatever the client\'s options', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const direct = new Redis(server.url)
  t.teardown(() => { direct.disconnect() })
  const truth = tokenSessions({ store: redisStore(direct) })
  const optionSets: Array<Pick<RedisOptions, 'enableAutoPipelining' | 'autoResendUnfulfilledCommands' | 'enableOfflineQueue' | 'maxRetriesPerRequest'>> = [
    {}, { enableAutoPipelining: true }, { autoResendUnfulfilledCommands: false }, { enableAutoPipelining: true, autoResendUnfulfilledCommands: false },
    { enableAutoPipelining: true, enableOfflineQueue: false }, { maxRetriesPerRequest: 0 },
  ]
  for (const options of optionSets) {
    await t.test(JSON.stringify(options), async (t) => {
      const proxy = await cuttingProxy(t, server.port)
      const client = new Redis(proxy.url, { retryStrategy: () => 10, ...options })
      client.on('error', () => {})
      t.teardown(() => { client.disconnect() })
      await emitted(client, 'ready')
      const users = tokenSessions({ store: redisStore(client, { timeout: 500 }) })
      const { token } = await users.create({ data: { n: 0 } })
      const increment = async (): Promise<void> => {
        const session = await users.load(token)
        session?.increment('n')
        await session?.commit()
      }
      await increment()
      let acknowledged = 1
      for (let round = 0; round < 3; round++) {
        const reconnected = emitted(client, 'ready')
        proxy.cutNext()
        const results = await Promise.allSettled(Array.from({ length: 10 }, increment))
        for (const result of results) {
          if (result.status === 'fulfilled') acknowledged++
          else t.ok(named.includes((result.reason as { code: string }).code), String(result.reason))
        }
        await reconnected
        for (let i = 0; i < 5; i++) {
          await increment()
          acknowledged++
        }
      }
      t.ok(Number((await truth.load(token))?.get('n')) >= acknowledged, 'nothing that was acknowledged is lost')
    })
  }
})

t.test('a write that the client did not send is not of unknown outcome', async (t) => {
  const client = new Redis({ port: 1, lazyConnect: true, enableOfflineQueue: false })
  t.teardown(() => { client.disconnect() })
  const users = tokenSessions({ store: redisStore(client) })
  await t.rejects(users.create(), { code: 'FST_SESSION_STORE_UNAVAILABLE' })
})

t.test('in a cluster commands are sent in batches, to the node that has the key', async (t) => {
  const cluster = await withServer(t, startRedisCluster)
  if (!cluster) return
  const client = new Cluster([...cluster.startupNodes], { keyPrefix: 'app:' })
  t.teardown(() => { client.disconnect() })
  let pipelines = 0
  const make = client.pipeline.bind(client)
  client.pipeline = (...args: Parameters<typeof make>) => { pipelines++; return make(...args) }
  const users = tokenSessions({ store: redisStore(client, { timeout: 30_000 }) })
  const sessions = await Promise.all(Array.from({ length: 200 }, (_, n) => users.create({ data: { n }, subject: `of ${n % 7}` })))
  pipelines = 0
  const loaded = await Promise.all(sessions.map(({ token }) => users.load(token)))
  t.strictSame(loaded.map((session) => session?.get('n')), sessions.map((_, n) => n))
  t.equal(pipelines, 3, 'one for each master')
  t.equal(await users.endAll({ subject: 'of 3' }), 29)
})
