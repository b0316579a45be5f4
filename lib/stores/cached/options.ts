import { OptionError } from '../../errors.js'
import { storeMethods } from '../contract-helpers.js'
import { checkOptions, wholeNumber, withMethods, type Checked, type Rule } from '../../util/option-rules.js'

/**
 * Options of the cache in front of a store.
 *
 * @example
 * ```ts
 * import type { CachedOptions } from 'fastify-request-session'
 *
 * export const options: CachedOptions = { maxSessions: 50_000, maxAge: 500, staleIfError: 10 }
 * ```
 */
export interface CachedOptions {
  /**
   * Maximum number of cached sessions. Beyond it the least recently used one that no second request has read is evicted.
   * @default 10000
   */
  maxSessions?: number | undefined
  /**
   * Maximum age of a read in milliseconds, even while the connection hangs. Nearly all reads are current: a change by another process
   * is heard within a millisecond or two.
   * @default 1000
   */
  maxAge?: number | undefined
  /**
   * Seconds for which cached sessions are read while the store is away; writes still fail. A session that another process has ended
   * may stay readable that long.
   * @default 0
   */
  staleIfError?: number | undefined
}

const optionRules: Record<keyof CachedOptions, Rule> = {
  maxSessions: wholeNumber('sessions', 1),
  maxAge: wholeNumber('milliseconds', 20, 2_147_483_647),
  staleIfError: wholeNumber('seconds', 0, 2_147_483),
}

const defaults = Object.freeze({ maxSessions: 10_000, maxAge: 1000, staleIfError: 0 })

const storeRule = withMethods('a store', ...storeMethods)

/**
 * Checks the arguments of `cached()`.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function cachedOptions (store: unknown, options: CachedOptions | undefined): Required<Checked<CachedOptions>> {
  if (!storeRule.test(store)) throw new OptionError('cached()', `the first argument must be ${storeRule.allowed}`)
  return { ...defaults, ...checkOptions<CachedOptions>('cached()', options, optionRules) }
}
