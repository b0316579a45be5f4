import { checkOptions, wholeNumber, type Rule } from '../../util/option-rules.js'

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
   * The most sessions that are kept; beyond it the least recently used goes first. `restore` stops there.
   * @default 100000
   */
  maxSessions?: number | undefined
}

const optionRules: Record<keyof MemoryStoreOptions, Rule> = {
  maxSessions: wholeNumber('sessions', 1),
}

const defaults = Object.freeze({ maxSessions: 100_000 })

/** @throws OptionError (`FST_SESSION_OPTION`) */
export function memoryStoreOptions (options: MemoryStoreOptions | undefined): { maxSessions: number } {
  return { ...defaults, ...checkOptions<MemoryStoreOptions>('memoryStore()', options, optionRules) }
}
