import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { RedisClient } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conformsOnRedis, tellingFrom } from '../../support/conformance.js'
import { nodeRedis } from '../../support/node-redis.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'

const server = await redisForTest(t)
if (server) {
  const { url } = server
  const tick = fakeClock(t, ['Date'])

  function ioredis (t: Test, enableAutoPipelining: boolean): RedisClient {
    const client = new Redis(url, { enableAutoPipelining })
    t.teardown(() => { client.disconnect() })
    return client
  }

  const clients: Record<string, (t: Test) => RedisClient | Promise<RedisClient>> = {
    'ioredis without auto-pipelining': (t) => ioredis(t, false),
    'ioredis with auto-pipelining': (t) => ioredis(t, true),
    'node-redis with protocol 2': (t) => nodeRedis(t, url, { RESP: 2 }),
    'node-redis with protocol 3': (t) => nodeRedis(t, url, { RESP: 3 }),
  }
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(name, async (t) => {
      const admin = new Redis(url)
      const prefix = redisPrefix(t, admin)
      await conformsOnRedis(t, await connect(t), prefix, tick, admin)
    })
  }

  for (const which of ['present', 'first'] as const) {
    await t.test(`with changes made from the ${which} record`, async (t) => {
      const admin = new Redis(url)
      const prefix = redisPrefix(t, admin)
      await conformsOnRedis(t, admin, prefix, tick, admin, (store) => tellingFrom(store, which))
    })
  }
}
