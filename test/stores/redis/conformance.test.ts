import { Redis } from 'ioredis'
import t from 'tap'
import { fakeClock } from '../../support/clock.js'
import { conformsOnRedis } from '../../support/conformance.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'

const server = await redisForTest(t)
if (server) {
  const tick = fakeClock(t, ['Date'])
  for (const enableAutoPipelining of [false, true]) {
    await t.test(enableAutoPipelining ? 'with auto-pipelining' : 'without auto-pipelining', async (t) => {
      const client = new Redis(server.url, { enableAutoPipelining })
      const prefix = redisPrefix(t, client)
      await conformsOnRedis(t, client, prefix, tick)
    })
  }
}
