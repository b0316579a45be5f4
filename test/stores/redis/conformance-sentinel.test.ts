import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { RedisClient } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conformsOnRedis } from '../../support/conformance.js'
import { nodeRedisSentinel } from '../../support/node-redis.js'
import { startRedisSentinel } from '../../support/servers/redis-sentinel.js'
import { withServer } from '../../support/servers/require.js'

const servers = await withServer(t, startRedisSentinel)
if (servers) {
  const tick = fakeClock(t, ['Date'])
  const admin = new Redis(servers.master.url)
  t.teardown(() => { admin.disconnect() })

  const clients: Record<string, (t: Test) => RedisClient | Promise<RedisClient>> = {
    ioredis (t) {
      const client = new Redis(servers)
      t.teardown(() => { client.disconnect() })
      return client
    },
    'node-redis, with replicas and protocol 2': (t) => nodeRedisSentinel(t, servers, { replicaPoolSize: 2, RESP: 2 }),
    'node-redis, with connections and protocol 3': (t) => nodeRedisSentinel(t, servers, { masterPoolSize: 3, RESP: 3 }),
  }
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(name, async (t) => { await conformsOnRedis(t, await connect(t), `${name}:`, tick, admin) })
  }
}
