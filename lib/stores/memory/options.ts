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
   * The most sessions that are kept. Beyond it a new session displaces the least recently used one that no later request has come
   * back with. The log is told of it once a minute, and `sessionStats()` counts it. `restore` stops there.
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
