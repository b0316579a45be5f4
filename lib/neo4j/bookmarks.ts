import { OptionError, SessionClosedError, SessionEndedError, SessionRenewedError } from '../errors.js'
import { asHint, type OpenContext } from '../core/provider.js'
import { report } from '../core/events.js'
import type { BookmarkCheck } from './bookmark-check.js'
import type { CheckedConfig } from './options.js'

/** The key of a user's bookmarks in the token session. */
const key = 'neo4j:bookmarks'

/** The part of a token session that bookmarks need. */
interface KeyValueSession {
  get (key: string): unknown
  update (key: string, change: (stored: unknown) => string[]): unknown
}

/**
 * Replaces `bookmarks: 'session'` by a bookmark manager on the token session of the same request: the driver gets the
 * user's bookmarks from there, and the new ones are stored there. Without a request there is no user and no manager.
 * A route that only reads (`accessMode: 'READ'`) stores none.
 */
export function withUserBookmarks (config: CheckedConfig, context: OpenContext, check: BookmarkCheck): { config: CheckedConfig, bookmarks?: UserBookmarks } {
  if (config['bookmarks'] !== 'session') return { config }
  const { bookmarks: _, ...rest } = config
  if (context.request === undefined) return { config: rest }
  const bookmarks = new UserBookmarks(context, rest, check)
  return { config: { ...rest, bookmarkManager: bookmarks }, bookmarks }
}

/**
 * A `BookmarkManager` of neo4j-driver, which gets bookmarks before each transaction and updates them after it. Bookmarks
 * are hints: without them a transaction may read older data, and nothing else goes wrong. So those that the server
 * refuses, or does not reach, are dropped, and a session that cannot store new ones fails no request.
 */
export class UserBookmarks {
  readonly #context: OpenContext
  readonly #config: CheckedConfig
  readonly #check: BookmarkCheck
  readonly #closing = new AbortController()
  #loading: Promise<KeyValueSession | undefined> | undefined
  /** `undefined` before it is loaded, and if it is unreachable. */
  #session: KeyValueSession | undefined
  /** The bookmarks of a transaction, until it has succeeded. */
  #unconfirmed: ReadonlySet<string> = new Set()

  constructor (context: OpenContext, config: CheckedConfig, check: BookmarkCheck) {
    this.#context = context
    this.#config = config
    this.#check = check
  }

  /** The driver calls this twice for each transaction: before it takes a connection, and with it. */
  async getBookmarks (): Promise<string[]> {
    this.#session = await (this.#loading ??= this.#loadSession())
    const stored = bookmarksIn(this.#session?.get(key))
    if (stored.every((bookmark) => this.#unconfirmed.has(bookmark))) return stored
    const problem = await this.#check.problemOf(stored, this.#config, this.#closing.signal)
    const given = new Set(stored)
    if (problem === undefined) {
      this.#unconfirmed = given
      return stored
    }
    const { route, log, name } = this.#context
    report(log, 'warn', { session: name, route }, `bookmarks of request.${name} were dropped: ${problem}`)
    this.#store((newest) => without(newest, given))
    return []
  }

  /** Updates at once, since the token session is committed right after the transaction. The driver has called `getBookmarks()` before, which loads it. */
  async updateBookmarks (previous: Iterable<string>, next: Iterable<string>): Promise<void> {
    const [covered, added] = [new Set(previous), [...next]]
    this.#unconfirmed = new Set()
    this.#check.confirm([...covered, ...added])
    if (this.#config['defaultAccessMode'] === 'READ' || added.length === 0) return
    this.#store((stored) => [...new Set([...without(stored, covered), ...added])])
  }

  /** The session is closed: its bookmarks are not needed any more. Those of a failed transaction are checked before their next use. */
  close (): void {
    this.#closing.abort()
    this.#check.doubt([...this.#unconfirmed])
  }

  /** `update()` gets the newest value, so parallel requests of a user all add theirs. */
  #store (change: (stored: string[]) => string[]): void {
    try {
      this.#session?.update(key, asHint((stored: unknown) => change(bookmarksIn(stored))))
    } catch (error) {
      // The user has logged out or in meanwhile: these bookmarks have no owner.
      if (![SessionEndedError, SessionRenewedError, SessionClosedError].some((Over) => error instanceof Over)) throw error
    }
  }

  /** `undefined` if the token session is unreachable. */
  async #loadSession (): Promise<KeyValueSession | undefined> {
    const { request, route, log } = this.#context
    let session: Partial<KeyValueSession> | undefined
    try {
      session = await (request as { readonly session?: unknown }).session as typeof session
    } catch (err) {
      if (!isOutage(err)) throw err
      report(log, 'warn', { err, route }, 'the bookmarks of the session cannot be read, since its store has failed')
      return undefined
    }
    if (typeof session?.get === 'function' && typeof session.update === 'function') return session as KeyValueSession
    throw new OptionError(`bookmarks of ${route}`, '\'session\' needs token sessions, registered before as request.session')
  }
}

/** True if the session's store has failed, or its record is damaged. */
function isOutage (error: unknown): boolean {
  return ['FST_SESSION_STORE_UNAVAILABLE', 'FST_SESSION_RECORD'].includes((error as { code?: string } | undefined)?.code ?? '')
}

function without (bookmarks: readonly string[], dropped: ReadonlySet<string>): string[] {
  return bookmarks.filter((bookmark) => !dropped.has(bookmark))
}

function bookmarksIn (stored: unknown): string[] {
  return Array.isArray(stored) ? stored.filter((bookmark) => typeof bookmark === 'string') : []
}
