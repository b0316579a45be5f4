import { Redis } from 'ioredis'
import t from 'tap'
import { cached, redisStore } from '../../lib/index.js'
import { readingTwice } from '../support/cache-stage.js'
import { nodeRedis } from '../support/node-redis.js'
import { raceLaws } from '../support/race-laws.js'
import { scaled } from '../support/scale.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const server = await withServer(t, startRedis)
if (server) {
  const client = new Redis(server.url, { enableAutoPipelining: true })
  t.teardown(() => { client.disconnect() })
  await t.test('ioredis', async (t) => { await raceLaws(t, redisStore(client, { timeout: 30_000 })) })
  await t.test('node-redis', async (t) => {
    await raceLaws(t, redisStore(await nodeRedis(t, server.url), { timeout: 30_000, prefix: 'node-redis:' }), scaled(250, 10_000))
  })
  await t.test('with a cache', async (t) => {
    const store = cached(redisStore(client, { timeout: 30_000, prefix: 'cached:' }))
    t.teardown(() => store.close())
    await raceLaws(t, readingTwice(store), scaled(250, 10_000))
    const { hits = 0 } = store.counts?.() ?? {}
    t.ok(hits > 500, `${hits} sessions were read from it`)
  })
}
