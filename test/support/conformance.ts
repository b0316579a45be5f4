import type { Test } from 'tap'
import type { Redis } from 'ioredis'
import { redisStore, type CompleteStore, type RedisClient, type SessionRecord } from '../../lib/index.js'
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
 * @param layer goes between the suite and the store
 * @param abilities the optional interfaces to test
 */
export async function conformsOnRedis (
  t: Test, client: RedisClient, prefix: string, tick: (ms: number) => void, admin: Redis = client as Redis, layer = (store: CompleteStore): CompleteStore => store,
  abilities: ConformanceOptions['abilities'] = ['list', 'subjects', 'restore', 'watch', 'track', 'lease']
): Promise<void> {
  await conforms(t, {
    abilities,
    create: () => layer(redisStore(client, { prefix, timeout: 30_000 })),
    async advance (ms) {
      tick(ms)
      await passTime([admin], prefix, ms)
    },
    async damage (_store, id) {
      for (const key of await admin.keys(`${prefix}*${id.slice(2)}`)) await admin.hset(key, '', 'not a description')
    },
  })
}

/**
 * A store whose commits tell the record that they were made from, as requests do.
 * @param which `first`: the record as it was when it was first committed to, which may have changed since
 */
export function tellingFrom (store: CompleteStore, which: 'present' | 'first'): CompleteStore {
  const first = new Map<string, SessionRecord>()
  const commit: CompleteStore['commit'] = async (id, change) => {
    const found = first.get(id) ?? await store.load(id)
    const from = found !== undefined && 'fields' in found ? found : undefined
    if (which === 'first' && from !== undefined) first.set(id, { ...from })
    return store.commit(id, { ...change, from: from && { ...from } })
  }
  return new Proxy(store, {
    get (_target, name) {
      if (name === 'commit') return commit
      const value: unknown = Reflect.get(store, name, store)
      return typeof value === 'function' ? value.bind(store) as unknown : value
    },
  })
}
