import { checkOptions, wholeNumber, type Checked, type Rule } from '../../util/option-rules.js'

/**
 * Options of the embedded store.
 *
 * @example
 * ```ts
 * import { memoryStore, type MemoryStoreOptions } from 'fastify-request-session'
 *
 * const options: MemoryStoreOptions = { maxSessions: 10_000 }
 * await memoryStore(options).close()
 * ```
 */
export interface MemoryStoreOptions {
  /**
   * Maximum number of sessions. Beyond it a new session evicts the least recently used one that no later request has loaded. The
   * log has a warning at most once a minute, and `sessionStats()` counts evictions. `restore` stops there.
   * @default 100000
   */
  maxSessions?: number | undefined
}

const optionRules: Record<keyof MemoryStoreOptions, Rule> = {
  maxSessions: wholeNumber('sessions', 1),
}

const defaults = Object.freeze({ maxSessions: 100_000 })

/**
 * Checks the options of `memoryStore()`.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function checkMemoryOptions (options: unknown): Required<Checked<MemoryStoreOptions>> {
  return { ...defaults, ...checkOptions<MemoryStoreOptions>('memoryStore()', options, optionRules) }
}
