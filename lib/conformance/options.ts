import type { OptionalInterface } from '../stores/require-interface.js'
import type { SessionStore } from '../stores/store.js'

/**
 * Options of `storeConformance()`: the store under test, and control over its time.
 *
 * @example
 * ```ts
 * import { memoryStore } from 'fastify-request-session'
 * import type { ConformanceOptions } from 'fastify-request-session/conformance'
 *
 * // A store whose time cannot be moved: sessions live for a second, and `advance` waits.
 * const options: ConformanceOptions = {
 *   create: () => memoryStore(),
 *   advance: (ms) => new Promise((resolve) => { setTimeout(resolve, ms) }),
 *   lifetime: 1000,
 * }
 * ```
 */
export interface ConformanceOptions {
  /** Makes the store for one case. It may hold other sessions: each case uses ids of its own. */
  create (): SessionStore | Promise<SessionStore>
  /**
   * Lets this many milliseconds pass, for `Date.now()` and for the store: moves a fake clock, rewinds the expiry
   * times that a server keeps, or just waits.
   */
  advance (ms: number): void | Promise<void>
  /**
   * Lifetime of the suite's sessions, in milliseconds. If `advance` waits, make it short, but longer than a case may
   * take: some cases look at a session shortly before it expires.
   * @default 60000
   */
  lifetime?: number | undefined
  /**
   * Optional interfaces to test as well: `'list'` (ListingStore), `'subjects'` (SubjectStore), `'restore'`
   * (RestorableStore), `'watch'` (WatchableStore).
   * @default none
   */
  abilities?: readonly OptionalInterface[] | undefined
  /** Makes a stored session unreadable, behind the store's back. Without it the case of damaged records is left out. */
  damage? (store: SessionStore, id: string): void | Promise<void>
  /** Runs after each case, when its store is closed. */
  destroy? (store: SessionStore): void | Promise<void>
}
