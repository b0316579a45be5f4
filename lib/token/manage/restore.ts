import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { checkOptions, oneOf, rules, type Rule } from '../../util/option-rules.js'
import { OptionError, RestoreConflictError, RestoreFullError, RestoreLineError, RestoreTruncatedError, RestoreVersionError, SessionTooLargeError } from '../../errors.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import { summaryOf } from '../look.js'
import { headerProblem, parseSession, readLines, trailerCount, type Line, type SavedSession } from './save-file.js'
import type { SessionSettings } from '../settings.js'
import { callStore } from '../call-store.js'
import { sizeOf } from '../values.js'

/**
 * Options of `restore()`.
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream'
 * import { tokenSessions, type RestoreOptions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const file = new PassThrough()
 * await users.save(file)
 * const options: RestoreOptions = { onConflict: 'skip', onDamage: 'skip' }
 * await users.restore(file.end(), options)
 * ```
 */
export interface RestoreOptions {
  /**
   * The action if a session already exists: `'fail'` stops the restore, `'skip'` keeps the existing session,
   * `'replace'` overwrites it.
   * @default 'fail'
   */
  onConflict?: 'fail' | 'skip' | 'replace' | undefined
  /** The action for an unreadable line: `'fail'` stops the restore, `'skip'` counts the line and continues. @default 'fail' */
  onDamage?: 'fail' | 'skip' | undefined
  /** Called from time to time with the counts so far. */
  onProgress?: ((progress: RestoreResult) => void) | undefined
}

/**
 * Counts of the restored lines. An error of `restore()` carries the counts so far as its `result`.
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream'
 * import { tokenSessions, type RestoreResult } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const file = new PassThrough()
 * await users.save(file)
 * const result: RestoreResult = await users.restore(file.end())
 * console.log(`${result.restored} restored, ${result.expired} had expired`)
 * ```
 */
export interface RestoreResult {
  /** Sessions that did not exist in the store before. */
  readonly restored: number
  readonly replaced: number
  /** Existing sessions that were kept. */
  readonly skipped: number
  /** Sessions that have expired since they were saved. */
  readonly expired: number
  /** Lines that could not be read. */
  readonly damaged: number
}

type Count = { -readonly [K in keyof RestoreResult]: RestoreResult[K] }

const restoreRules: Record<keyof RestoreOptions, Rule> = {
  onConflict: oneOf('fail', 'skip', 'replace'),
  onDamage: oneOf('fail', 'skip'),
  onProgress: rules.function,
}

/** Sessions that are written in parallel. */
const atOnce = 256

export async function restoreSessions (settings: SessionSettings, source: Readable | string | URL, options: RestoreOptions): Promise<RestoreResult> {
  const checked = checkOptions<RestoreOptions>('restore()', options, restoreRules)
  if (checked.onConflict === 'replace') requireInterface('restore', settings.store, "restore({ onConflict: 'replace' })")
  const input = typeof source === 'string' || source instanceof URL ? createReadStream(source) : source
  if (typeof Object(input)[Symbol.asyncIterator] !== 'function') throw new OptionError('restore()', 'the source must be a path or a readable stream')
  const restoring = new Restoring(settings, checked)
  try {
    for await (const some of readLines(input)) await restoring.take(some)
    await restoring.end()
  } catch (error) {
    input.destroy()
    throw Object.assign(error as Error, { result: { ...restoring.count } })
  }
  return restoring.count
}

class Restoring {
  readonly count: Count = { restored: 0, replaced: 0, skipped: 0, expired: 0, damaged: 0 }
  readonly #settings: SessionSettings
  readonly #options: RestoreOptions
  #waiting: Array<SavedSession & { line: number }> = []
  #lines = 0
  #end: number | undefined

  constructor (settings: SessionSettings, options: RestoreOptions) {
    this.#settings = settings
    this.#options = options
  }

  /** Restores lines. Those before a line that stops the restore are restored. */
  async take (lines: readonly Line[]): Promise<void> {
    try {
      for (const line of lines) {
        this.#read(line)
        if (this.#waiting.length === atOnce) await this.#write()
      }
    } catch (error) {
      await this.#write()
      throw error
    }
  }

  /** Checks that the file was complete, after its last line. */
  async end (): Promise<void> {
    await this.#write()
    if (this.#end === undefined) throw new RestoreTruncatedError('the last line is missing')
    if (this.#end !== this.#lines) throw new RestoreTruncatedError(`it has ${this.#lines} sessions of ${this.#end}`)
  }

  #read ({ number, value }: Line): void {
    if (number === 1) {
      const problem = headerProblem(value)
      if (problem !== undefined) throw new RestoreVersionError(problem)
      return
    }
    const end = trailerCount(value)
    if (end !== undefined && this.#end === undefined) {
      this.#end = end
      return
    }
    this.#lines++
    const session = this.#end === undefined ? parseSession(value) : undefined
    const { maxSize } = this.#settings
    const size = session === undefined ? 0 : sizeOf(session.record.fields)
    if (session !== undefined && size <= maxSize) this.#waiting.push({ ...session, line: number })
    else if (this.#options.onDamage === 'skip') this.count.damaged++
    else if (session === undefined) throw new RestoreLineError(number)
    else throw new SessionTooLargeError(`line ${number} of the saved sessions`, size, maxSize)
  }

  async #write (): Promise<void> {
    const sessions = this.#waiting
    this.#waiting = []
    // Wait for all: the counts must be right even if one fails.
    const results = await Promise.allSettled(sessions.map(async (session) => {
      this.count[await this.#restore(session)]++
    }))
    for (const result of results) if (result.status === 'rejected') throw result.reason
    if (sessions.length > 0) this.#options.onProgress?.({ ...this.count })
  }

  async #restore ({ id, record, line }: SavedSession & { line: number }): Promise<keyof Count> {
    const { store } = this.#settings
    if (record.expiresAt !== null && record.expiresAt <= Date.now()) {
      if (record.deleteSession) return 'expired'
      record.fields = new Map()
      record.expiresAt = null
    }
    if (store.full && await summaryOf(store, id) === undefined) throw new RestoreFullError(line)
    if (await callStore(() => store.create(id, record), (created) => created === true)) return 'restored'
    if (this.#options.onConflict === 'skip') return 'skipped'
    if (this.#options.onConflict !== 'replace') throw new RestoreConflictError(line)
    await callStore(() => requireInterface('restore', store, 'restore()').replace(id, record), () => {})
    return 'replaced'
  }
}
