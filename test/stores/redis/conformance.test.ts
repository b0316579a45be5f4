import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { redisStore } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'
import { passTime } from '../../support/redis-time.js'
import { redisForTest } from '../../support/servers/require.js'

const server = await redisForTest(t)
if (server) {
  const tick = fakeClock(t, ['Date'])
  for (const enableAutoPipelining of [false, true]) {
    await t.test(enableAutoPipelining ? 'with auto-pipelining' : 'without auto-pipelining', async (t) => {
      const client = new Redis(server.url, { enableAutoPipelining })
      const prefix = `${randomUUID()}:`
      t.teardown(async () => {
        const keys = await client.keys(`${prefix}*`)
        if (keys.length > 0) await client.unlink(...keys)
        await client.quit()
      })
      await conforms(t, {
        abilities: ['list', 'subjects', 'restore', 'watch'],
        create: () => redisStore(client, { prefix, timeout: 30_000 }),
        async advance (ms) {
          tick(ms)
          await passTime([client], prefix, ms)
        },
        async damage (_store, id) {
          for (const key of await client.keys(`${prefix}*${id.slice(2)}`)) await client.hset(key, '', 'not a description')
        },
      })
    })
  }
}
