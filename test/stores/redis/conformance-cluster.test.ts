import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import { cached, redisStore, type RedisClient } from '../../../lib/index.js'
import { readingTwice } from '../../support/cache-stage.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'
import { nodeRedisCluster } from '../../support/node-redis.js'
import { record } from '../../support/records.js'
import { passTime } from '../../support/redis-time.js'
import { startRedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

const quiet = { info () {}, warn () {}, error () {} }

const cluster = await withServer(t, startRedisCluster)
if (cluster) {
  const { startupNodes } = cluster
  const tick = fakeClock(t, ['Date'])
  const admin = new Cluster([...startupNodes], { enableAutoPipelining: true })
  t.teardown(() => { admin.disconnect() })

  const clients: Record<string, (t: Test) => RedisClient | Promise<RedisClient>> = {
    ioredis: () => admin,
    'node-redis': (t) => nodeRedisCluster(t, startupNodes, { useReplicas: true }),
  }
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(name, async (t) => {
      const client = await connect(t)
      const prefix = `${name}:`
      await conforms(t, {
        abilities: ['list', 'subjects', 'restore', 'watch', 'track', 'lease'],
        create: () => redisStore(client, { timeout: 30_000, prefix }),
        async advance (ms) {
          tick(ms)
          await passTime(admin.nodes('master'), prefix, ms)
        },
        async damage (_store, id) {
          const found = await Promise.all(admin.nodes('master').map((node) => node.keys(`${prefix}*${id.slice(2)}`)))
          for (const key of found.flat()) await admin.hset(key, '', '2 of a later version')
        },
      })

      await t.test('the sessions are spread over all masters', async (t) => {
        const store = redisStore(client, { timeout: 30_000, prefix: `spread by ${prefix}` })
        await Promise.all(Array.from({ length: 600 }, () => store.create(randomBytes(32).toString('base64url'), record())))
        const keys = await Promise.all(admin.nodes('master').map((node) => node.keys(`spread by ${prefix}*`)))
        // The mean is 200, and 256 slots spread a little unevenly: fewer than half of the mean is a fault, not chance.
        t.ok(keys.length === 3 && keys.every(({ length }) => length > 100), `sessions on each master: ${keys.map(({ length }) => length).join(', ')}`)
      })
    })
  }

  await t.test('with a cache', async (t) => {
    const prefix = 'cached:'
    let hits = 0
    await conforms(t, {
      abilities: ['list', 'subjects', 'restore', 'watch'],
      async create () {
        const store = cached(redisStore(admin, { timeout: 30_000, prefix }))
        await store.checkAtBoot?.(quiet)
        return readingTwice(store)
      },
      destroy (store) { hits += store.counts?.()['hits'] ?? 0 },
      async advance (ms) {
        tick(ms)
        await passTime(admin.nodes('master'), prefix, ms)
        await delay(10) // the changes are told meanwhile
      },
      async damage (_store, id) {
        const found = await Promise.all(admin.nodes('master').map((node) => node.keys(`${prefix}*${id.slice(2)}`)))
        for (const key of found.flat()) await admin.hset(key, '', '2 of a later version')
        await delay(10)
      },
    })
    t.ok(hits > 100, `${hits} sessions were read from the cache`)
  })
}
