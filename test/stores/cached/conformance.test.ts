import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { cached, redisStore, type RedisClient } from '../../../lib/index.js'
import { readingTwice } from '../../support/cache-stage.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'
import { nodeRedis, throughSentinel } from '../../support/node-redis.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { passTime } from '../../support/redis-time.js'
import { redisForTest } from '../../support/servers/require.js'

const quiet = { info () {}, warn () {}, error () {} }

const server = await redisForTest(t)
if (server) {
  const { url } = server
  const tick = fakeClock(t, ['Date'])
  const clients: Record<string, (t: Test) => RedisClient | Promise<RedisClient>> = {
    ioredis (t) {
      const client = new Redis(url)
      t.teardown(() => { client.disconnect() })
      return client
    },
    'node-redis': (t) => nodeRedis(t, url),
    'node-redis, Sentinel': (t) => throughSentinel(t, url),
  }
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(name, async (t) => {
      const admin = new Redis(url)
      const prefix = redisPrefix(t, admin)
      const client = await connect(t)
      let hits = 0
      await conforms(t, {
        abilities: ['list', 'subjects', 'restore', 'watch', 'track', 'lease'],
        async create () {
          const store = cached(redisStore(client, { prefix, timeout: 30_000 }))
          await store.checkAtBoot?.(quiet)
          return readingTwice(store)
        },
        destroy (store) { hits += store.counts?.()['hits'] ?? 0 },
        async advance (ms) {
          tick(ms)
          await passTime([admin], prefix, ms)
          await delay(10) // the changes are told meanwhile
        },
        async damage (_store, id) {
          for (const key of await admin.keys(`${prefix}*${id.slice(2)}`)) await admin.hset(key, '', 'not a description')
          await delay(10)
        },
      })
      t.ok(hits > 100, `${hits} sessions were read from the cache`)
    })
  }
}
