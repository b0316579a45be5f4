import type { Test } from 'tap'
import type { Redis } from 'ioredis'
import { redisStore, type RedisClient } from '../../lib/index.js'
import { storeConformance, type ConformanceOptions } from '../../lib/conformance/index.js'
import { passTime } from './redis-time.js'

/** Runs the conformance suite with tap. */
export async function conforms (t: Test, options: ConformanceOptions): Promise<void> {
  for (const { name, run } of storeConformance(options)) {
    await t.test(name, async (t) => {
      await run()
      t.pass('holds')
    })
  }
}

/**
 * Runs the whole conformance suite on a Redis.
 * @param tick moves the fake clock by milliseconds
 * @param admin an ioredis client that may do everything
 */
export async function conformsOnRedis (t: Test, client: RedisClient, prefix: string, tick: (ms: number) => void, admin: Redis = client as Redis): Promise<void> {
  await conforms(t, {
    abilities: ['list', 'subjects', 'restore', 'watch'],
    create: () => redisStore(client, { prefix, timeout: 30_000 }),
    async advance (ms) {
      tick(ms)
      await passTime([admin], prefix, ms)
    },
    async damage (_store, id) {
      for (const key of await admin.keys(`${prefix}*${id.slice(2)}`)) await admin.hset(key, '', 'not a description')
    },
  })
}
