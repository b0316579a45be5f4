import { OptionError } from '../errors.js'
import type { OpenContext } from '../core/provider.js'
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
 * A route that only reads (`accessMode: 'READ'`) changes nothing in the token session.
 */
export function withUserBookmarks (config: CheckedConfig, { request, route }: OpenContext): CheckedConfig {
  if (config['bookmarks'] !== 'session') return config
  const { bookmarks, ...rest } = config
  if (request === undefined) return rest
  return { ...rest, bookmarkManager: new UserBookmarks(request, route, config['defaultAccessMode'] !== 'READ') }
}

/** A `BookmarkManager` of neo4j-driver, which gets bookmarks before each transaction and updates them after it. */
class UserBookmarks {
  readonly #request: object
  readonly #route: string
  readonly #writes: boolean
  #session: KeyValueSession | undefined

  constructor (request: object, route: string, writes: boolean) {
    this.#request = request
    this.#route = route
    this.#writes = writes
  }

  async getBookmarks (): Promise<string[]> {
    this.#session ??= await this.#loadSession()
    return bookmarksIn(this.#session.get(key))
  }

  /** Updates at once, since the token session is committed right after the transaction. The driver has called `getBookmarks()` before, which loads it. */
  async updateBookmarks (previous: Iterable<string>, next: Iterable<string>): Promise<void> {
    const [covered, added] = [new Set(previous), [...next]]
    if (!this.#writes || added.length === 0) return
    // `update()` gets the newest value, so two requests of one user at the same moment both add theirs.
    this.#session?.update(key, (stored) => [...new Set([...bookmarksIn(stored).filter((bookmark) => !covered.has(bookmark)), ...added])])
  }

  async #loadSession (): Promise<KeyValueSession> {
    const session = await (this.#request as { readonly session?: unknown }).session as Partial<KeyValueSession> | undefined
    if (typeof session?.get === 'function' && typeof session.update === 'function') return session as KeyValueSession
    throw new OptionError(`bookmarks of ${this.#route}`, '\'session\' needs token sessions, registered before as request.session')
  }
}

function bookmarksIn (stored: unknown): string[] {
  return Array.isArray(stored) ? stored.filter((bookmark) => typeof bookmark === 'string') : []
}
