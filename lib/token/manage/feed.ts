import { AsyncResource } from 'node:async_hooks'
import { report } from '../../core/events.js'

/**
 * Selects the sessions of a feed; without a filter `subscribe()` follows all.
 *
 * @example
 * ```ts
 * import { tokenSessions, type FeedFilter } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const filter: FeedFilter = { subject: 'ada' }
 * const feed = await users.subscribe(filter, ({ type, id }) => { console.log(type, id) })
 * await feed.close()
 * ```
 */
export interface FeedFilter {
  /** Only sessions of this owner. */
  subject: string
}

/**
 * An update of one of many sessions, without its token.
 *
 * @example
 * ```ts
 * import { tokenSessions, type FeedUpdate } from 'fastify-request-session'
 *
 * const online = new Map<string, string | undefined>()
 * function count ({ type, id, subject }: FeedUpdate): void {
 *   if (type === 'ended' || type === 'expired') online.delete(id)
 *   else online.set(id, subject)
 * }
 * const feed = await tokenSessions().subscribe(count)
 * await feed.close()
 * ```
 */
export type FeedUpdate = {
  /** The key of the session in the store, as `list()` returns it. */
  readonly id: string
  /** The owner; of a session that is over, its last one. */
  readonly subject: string | undefined
} & (
  /** A new session; in a feed of a subject, also a session that has got the subject. */
  | { readonly type: 'created' }
  /** Its data, subject, label or idle time has changed. A use alone is no change. */
  | { readonly type: 'changed' }
  /** It was ended. `renewed`: it continues under another id, which is reported as `created`. In a feed of a subject also a session that has lost the subject. */
  | { readonly type: 'ended', readonly renewed: boolean }
  /** Its time is up: the session is gone, or (with `deleteSession: false`) its data. */
  | { readonly type: 'expired' }
)

/**
 * Receives one update after the other: the next one waits for the promise of the last.
 *
 * @example
 * ```ts
 * import { tokenSessions, type FeedListener } from 'fastify-request-session'
 *
 * const listener: FeedListener = async ({ type, id, subject }) => console.log(type, id, subject)
 * const feed = await tokenSessions().subscribe(listener)
 * await feed.close()
 * ```
 */
export type FeedListener = (update: FeedUpdate) => unknown

/** A waiting update, and the function to call with the listener's success. */
interface Waiting {
  update: FeedUpdate
  readonly told: (isTaken: boolean) => void
}

/**
 * Follows all sessions of a store, or of a subject, for one listener.
 *
 * @example
 * ```ts
 * import { tokenSessions, type Feed } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const feed: Feed = await users.subscribe(({ type, id }) => { console.log(type, id) })
 * await feed.close()
 * console.log(feed.closed) // true
 * ```
 */
export class Feed {
  /** The subject of the followed sessions; `undefined`: all sessions are followed. */
  readonly subject: string | undefined
  readonly #listener: FeedListener
  readonly #closed: (feed: Feed) => void
  readonly #drained: () => void
  #waiting: Waiting[] = []
  /** The waiting change of each session, if nothing of the session waits behind it: further changes are merged into it. */
  readonly #changes = new Map<string, Waiting>()
  /** The update that the listener is handling. */
  #present: Waiting | undefined
  #isAtWork = false
  #isOver = false

  /**
   * @internal Feeds come from `subscribe()`.
   * @param listener it runs in the AsyncLocalStorage context of this call, not in that of the writer
   * @param drained called each time the queue becomes empty
   */
  constructor (subject: string | undefined, listener: FeedListener, closed: (feed: Feed) => void, drained: () => void) {
    this.subject = subject
    this.#listener = AsyncResource.bind(listener)
    this.#closed = closed
    this.#drained = drained
  }

  /** True once no update will follow: the feed or the app was closed. */
  get closed (): boolean {
    return this.#isOver
  }

  /** Stops: the listener is not called any more, but may still be running. */
  async close (): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    for (const { told } of this.#waiting.splice(0)) told(false)
    this.#present?.told(false)
    this.#closed(this)
  }

  /** @internal */
  get waiting (): number {
    return this.#waiting.length
  }

  /** @internal True if the feed follows the sessions of this subject. */
  covers (subject: string | undefined): boolean {
    return this.subject === undefined || this.subject === subject
  }

  /** @internal @returns true once the listener has taken the update; false if it has failed, or the feed was closed before */
  tell (update: FeedUpdate): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#isOver) return resolve(false)
      const change = this.#changes.get(update.id)
      if (change !== undefined && update.type === 'changed') {
        change.update = update
        return resolve(true)
      }
      const waiting = { update, told: resolve }
      this.#waiting.push(waiting)
      if (update.type === 'changed') this.#changes.set(update.id, waiting)
      else this.#changes.delete(update.id)
      if (!this.#isAtWork) this.#deliver().catch(() => {}) // it never rejects
    })
  }

  async #deliver (): Promise<void> {
    this.#isAtWork = true
    await undefined
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#present = next
      const { update, told } = next
      if (this.#changes.get(update.id) === next) this.#changes.delete(update.id)
      try {
        await this.#listener(update)
        told(true)
      } catch (error) {
        report(undefined, 'warn', { err: error }, 'a listener of subscribe() failed')
        told(false)
      }
    }
    this.#present = undefined
    this.#isAtWork = false
    this.#drained()
  }
}
