import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { cached, redisStore, type CachedOptions, type RedisClient, type SessionChange, type SessionStore } from '../../lib/index.js'
import { change, record, recordOf } from './records.js'

/** Milliseconds that a busy machine may take for a thing of a moment. */
const patience = 20_000

export type Cache = ReturnType<typeof cached<ReturnType<typeof redisStore>>>

/** Two processes: one with a cache that has the session `ab`, with `n` 1, and one without. */
export interface CacheStage {
  readonly store: Cache
  readonly other: SessionStore
  readonly count: (name: string) => number
  /** The messages of warnings and errors. */
  readonly log: string[]
}

/** A client of ioredis that reconnects at once, and is closed after the test. */
export function ioredis (t: Test, url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

/**
 * @param client the cache's
 * @param otherClient the other process's
 * @param timeout milliseconds that a call of the store may take
 */
export async function cacheStage (t: Test, client: RedisClient, otherClient: RedisClient, options?: CachedOptions, timeout = 2000): Promise<CacheStage> {
  const store = cached(redisStore(client, { timeout }), options)
  t.teardown(() => store.close())
  const log: string[] = []
  const note = (...args: unknown[]): void => { log.push(String(args.at(-1))) }
  await store.checkAtBoot?.({ info () {}, warn: note, error: note })
  const other = redisStore(otherClient, { timeout })
  await other.create('ab', record({ fields: new Map([['n', '1']]) }))
  const stage: CacheStage = { store, other, log, count: (name) => store.counts?.()[name] ?? 0 }
  await isCached(stage)
  return stage
}

/** Reads the session until it comes from the cache. */
export async function isCached ({ store, count }: Pick<CacheStage, 'store' | 'count'>, id = 'ab'): Promise<void> {
  const end = performance.now() + patience
  for (const hits = count('hits'); count('hits') === hits;) {
    if (performance.now() > end) throw new Error('it is never read from the cache')
    await Promise.resolve(store.load(id)).catch(() => {})
    await delay(1)
  }
}

export async function n (store: SessionStore, id = 'ab'): Promise<string | undefined> {
  return (await recordOf(store, id))?.fields.get('n')
}

export function setTo (value: string): SessionChange {
  return change({ set: new Map([['n', value]]) })
}

/** Reads until the store says so, and returns the milliseconds that it took. */
export async function until (store: SessionStore, value: string | undefined, id = 'ab'): Promise<number> {
  const began = performance.now()
  while (await n(store, id) !== value) {
    if (performance.now() - began > patience) throw new Error('it is never seen')
    await new Promise(setImmediate)
  }
  return performance.now() - began
}

/** How old the reads of a cache were. */
export interface Ages {
  /** Milliseconds: the longest time for which a write had been acknowledged that a read did not have. */
  readonly oldest: number
  readonly reads: number
  readonly hits: number
  readonly writes: number
}

/**
 * Writes one number after the other to a session and reads it from the cache at the same time, until it is over.
 * @param kept resolves to true once a write is kept, whatever happens
 */
export async function agesOf ({ store, other, count }: CacheStage, isOver: () => boolean, kept: () => Promise<boolean> = async () => true, id = 'ab'): Promise<Ages> {
  const acknowledged: number[] = []
  const hits = count('hits')
  let [written, oldest, reads] = [1, 0, 0]
  const write = async (): Promise<void> => {
    for (let next = 2; !isOver(); await delay(2)) {
      try {
        await other.commit(id, setTo(String(next)))
        if (!await kept()) continue
        acknowledged[next] = performance.now()
        written = next++
      } catch {} // an outage
    }
  }
  const read = async (): Promise<void> => {
    while (!isOver()) {
      const asked = performance.now()
      const last = written
      try {
        const value = Number(await n(store, id))
        reads++
        if (value < last) oldest = Math.max(oldest, asked - (acknowledged.find((_, number) => number > value) ?? asked))
      } catch {} // an outage
      await new Promise(setImmediate)
    }
  }
  await Promise.all([write(), read()])
  return { oldest, reads, hits: count('hits') - hits, writes: written }
}

/** Reads each session twice, so that the answer is the cache's. */
export function readingTwice<S extends SessionStore> (store: S): S {
  const load = store.load.bind(store)
  return Object.assign(store, {
    load: async (id: string, look?: boolean) => {
      await load(id, look)
      return load(id, look)
    },
  })
}
