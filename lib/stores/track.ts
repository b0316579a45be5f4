import type { SessionStore } from './store.js'

/**
 * Receives the changes of a store's sessions. Its methods must not throw.
 *
 * @example
 * ```ts
 * import type { TrackListener } from 'fastify-request-session'
 *
 * const kept = new Map<string, unknown>()
 * export const listener: TrackListener = {
 *   changed: (id) => { if (id === undefined) kept.clear(); else kept.delete(id) },
 *   lost: () => { kept.clear() },
 * }
 * ```
 */
export interface TrackListener {
  /** The session of this id has changed, ended or expired, or may have done so. `undefined`: any session may have. */
  changed (id: string | undefined): void

  /** From now on changes may be missed: any session that was read before may be outdated. */
  lost (): void
}

/**
 * The tracking of a store's sessions.
 *
 * @example
 * ```ts
 * import type { Tracking } from 'fastify-request-session'
 *
 * export const mayBeBelieved = (tracking: Tracking): boolean => tracking.lag() < 1000
 * ```
 */
export interface Tracking {
  /** Milliseconds since the moment up to which all changes have been reported; `Infinity` while changes may be missed. */
  lag (): number

  /**
   * Called when the plugin is registered, or never: waits for the first attempt, and keeps the log for later ones.
   * @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`) if the server forbids the tracking
   */
  checkAtBoot (log: Pick<Console, 'info' | 'warn' | 'error'>): Promise<void>

  /** Stops tracking: nothing is reported any more. */
  stop (): void
}

/**
 * A store that reports changes of its sessions by any process, and their expiry. `cached()` and feeds need it.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { redisStore, type TrackableStore } from 'fastify-request-session'
 *
 * const client = new Redis(process.env['REDIS_URL'] ?? '')
 * const store: TrackableStore = redisStore(client)
 * const tracking = store.track({ changed: (id) => { console.log(id) }, lost: () => { console.log('all') } }, 250)
 * tracking.stop()
 * await store.close()
 * client.disconnect()
 * ```
 */
export interface TrackableStore extends SessionStore {
  /**
   * Starts to report the changes of all sessions, including those through this store. If the server is away it keeps trying.
   * @param every milliseconds between two proofs that no change was missed: `lag()` is seldom more than twice as long
   */
  track (listener: TrackListener, every: number): Tracking
}

/**
 * A store that lets one of all processes do a piece of work. Feeds of the whole store need it, to deliver an expiry once.
 *
 * @example
 * ```ts
 * import { memoryStore, type LeasingStore } from 'fastify-request-session'
 *
 * const store: LeasingStore = memoryStore()
 * if (await store.lease('nightly report', 'process 7', 60_000) === 'held') {
 *   console.log('the report')
 *   await store.finish('nightly report', 3_600_000)
 * }
 * ```
 */
export interface LeasingStore extends SessionStore {
  /**
   * Gives a holder the lease of a piece of work for this many milliseconds, in one atomic step, or extends its own lease. After them
   * another holder may get it, if the process has died for example.
   * @returns `'held'`: the lease is this holder's. `'taken'`: it is another's. `'done'`: `finish` was called
   */
  lease (work: string, holder: string, ms: number): Lease | Promise<Lease>

  /** Remembers for this many milliseconds that the work is done, by any holder. */
  finish (work: string, ms: number): void | Promise<void>
}

/**
 * The result of a request for a lease.
 *
 * @example
 * ```ts
 * import type { Lease } from 'fastify-request-session'
 *
 * export const mayWork = (lease: Lease): boolean => lease === 'held'
 * ```
 */
export type Lease = 'held' | 'taken' | 'done'
