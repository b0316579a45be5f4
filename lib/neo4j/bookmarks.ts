import { OptionError } from '../errors.js'
import type { OpenContext } from '../core/provider.js'
import type { CheckedConfig } from './options.js'

/** Where a token session keeps its user's bookmarks. */
const key = 'neo4j:bookmarks'

/** What is needed of a token session. */
interface Keeper {
  get (key: string): unknown
  update (key: string, change: (kept: unknown) => string[]): unknown
}

/**
 * A config whose `bookmarks: 'session'` is put into practice: the driver takes the user's bookmarks from the token
 * session of the same request, and gives it those of what the request writes. Outside of a request there is no user.
 *
 * A route that only reads (`accessMode: 'READ'`) changes nothing in the token session.
 */
export function withUserBookmarks (config: CheckedConfig, { request, route }: OpenContext): CheckedConfig {
  if (config['bookmarks'] !== 'session') return config
  const { bookmarks, ...rest } = config
  if (request === undefined) return rest
  return { ...rest, bookmarkManager: new UserBookmarks(request, route, config['defaultAccessMode'] !== 'READ') }
}

/** A `BookmarkManager` of neo4j-driver: the driver asks it before each transaction, and tells it after. */
class UserBookmarks {
  readonly #request: object
  readonly #route: string
  readonly #writes: boolean
  #keeper: Keeper | undefined

  constructor (request: object, route: string, writes: boolean) {
    this.#request = request
    this.#route = route
    this.#writes = writes
  }

  async getBookmarks (): Promise<string[]> {
    this.#keeper ??= await this.#load()
    return bookmarksIn(this.#keeper.get(key))
  }

  /** At once, since the token session is committed right after the transaction; the driver has asked before, so that it is loaded. */
  async updateBookmarks (previous: Iterable<string>, next: Iterable<string>): Promise<void> {
    const [covered, added] = [new Set(previous), [...next]]
    if (!this.#writes || added.length === 0) return
    // Applied to the newest value: of two requests of one user at the same moment both are remembered.
    this.#keeper?.update(key, (kept) => [...new Set([...bookmarksIn(kept).filter((bookmark) => !covered.has(bookmark)), ...added])])
  }

  async #load (): Promise<Keeper> {
    const session = await (this.#request as { readonly session?: unknown }).session as Partial<Keeper> | undefined
    if (typeof session?.get === 'function' && typeof session.update === 'function') return session as Keeper
    throw new OptionError(`bookmarks of ${this.#route}`, '\'session\' needs token sessions, registered before as request.session')
  }
}

function bookmarksIn (kept: unknown): string[] {
  return Array.isArray(kept) ? kept.filter((bookmark) => typeof bookmark === 'string') : []
}
