import { Cluster, Redis, type ClusterOptions } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type CompleteStore } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conformsOnRedis } from '../../support/conformance.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'

/** A client whose errors have other names, as in a bundle whose classes a minifier renamed. */
class MinifiedRedis extends Redis {
  override sendCommand (...args: Parameters<Redis['sendCommand']>): unknown {
    const [command] = args
    const { reject } = command
    command.reject = (error) => { reject(Object.defineProperty(error, 'name', { value: 'e' })) }
    return super.sendCommand(...args)
  }
}

/** A cluster's client that does not connect. */
function clusterWith (t: Test, options: Pick<ClusterOptions, 'scaleReads' | 'keyPrefix' | 'enableOfflineQueue'>): Cluster {
  const client = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, ...options })
  t.teardown(() => { client.disconnect() })
  return client
}

function refuses (t: Test, make: () => CompleteStore, why: RegExp): void {
  t.throws(make, { code: 'FST_SESSION_OPTION', message: why })
}

t.test('a cluster that reads from replicas is refused', async (t) => {
  for (const scaleReads of ['slave', 'all', () => []] as const) refuses(t, () => redisStore(clusterWith(t, { scaleReads })), /redisStore\(\).*scaleReads.*replicas/)
  for (const options of [{}, { scaleReads: 'master' as const }]) t.doesNotThrow(() => redisStore(clusterWith(t, options)))
})

t.test('a cluster without an offline queue is refused: ioredis mixes up replies', async (t) => {
  refuses(t, () => redisStore(clusterWith(t, { enableOfflineQueue: false })), /redisStore\(\).*enableOfflineQueue: true/)
  t.doesNotThrow(() => redisStore(clusterWith(t, { enableOfflineQueue: true })))
})

t.test('a cluster with a prefix that begins no hash tag is refused: the keys of a session would be in different slots', async (t) => {
  for (const [keyPrefix, prefix] of [['', 'app{}:'], ['{}', 'app:'], ['', 'a{'], ['{', 'app:'], ['', 'a{}{b}']] as const) {
    refuses(t, () => redisStore(clusterWith(t, { keyPrefix }), { prefix }), /redisStore\(\).*prefix.*hash tag/)
  }
  for (const [keyPrefix, prefix] of [['', 'app}:'], ['{a}', '{}'], ['{a', 'b}:']] as const) t.doesNotThrow(() => redisStore(clusterWith(t, { keyPrefix }), { prefix }))
})

const server = await redisForTest(t)
if (server) {
  await t.test('a minified client: scripts are sent, and errors keep their kind', async (t) => {
    const client = new MinifiedRedis(server.url)
    const prefix = redisPrefix(t, client)
    await client.script('FLUSH')
    const users = tokenSessions<{ n: number }>({ store: redisStore(client, { prefix }) })
    const session = await users.create({ data: { n: 1 } })
    const [key = ''] = await client.keys(`${prefix}*`)
    await client.set(key, 'a text')
    await t.rejects(users.load(session.token), { code: 'FST_SESSION_RECORD' })
    session.set('n', 2)
    await t.rejects(session.commit(), { code: 'FST_SESSION_RECORD' })
  })

  await t.test('a client with stringNumbers', async (t) => {
    const tick = fakeClock(t, ['Date'])
    const client = new Redis(server.url, { stringNumbers: true })
    const prefix = redisPrefix(t, client)
    await conformsOnRedis(t, client, prefix, tick)
  })
}
