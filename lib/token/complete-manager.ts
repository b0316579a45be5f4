import type { Readable, Writable } from 'node:stream'
import type { SessionInfo } from './manage/info.js'
import { endSessions, listSessions, totalsOf, type EndFilter, type ListingOptions, type SessionTotals, type TotalsOptions } from './manage/list.js'
import { SessionManager, type SessionAddress } from './manager.js'
import { restoreSessions, type RestoreOptions, type RestoreResult } from './manage/restore.js'
import { saveSessions, type SaveOptions, type SaveResult } from './manage/save.js'
import { Subscription } from './manage/subscribe.js'
import type { UpdateListener } from './manage/update-queue.js'

/**
 * All of the management. What a store cannot do is refused by name, with `FST_SESSION_STORE_LACKS`; with
 * `memoryStore()` and `redisStore()` nothing is.
 */
export class CompleteSessionManager<Data extends object> extends SessionManager<Data> {
  readonly #subscriptions = new Set<Subscription>()

  /**
   * What the sessions are, one after the other, in no order. One that begins or ends meanwhile may be told or not;
   * what is told was there when the store was asked. One that cannot be read is left out, see `onDamaged`.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NameError (`FST_SESSION_NAME`), OptionError
   */
  list (options: ListingOptions = {}): AsyncGenerator<SessionInfo, undefined> {
    return listSessions(this.home, options)
  }

  /**
   * Ends all sessions, or all of a subject ("log out everywhere"). One that begins meanwhile may stay.
   * @returns how many were ended
   * @throws as `list` does
   */
  async endAll (filter: EndFilter = {}): Promise<number> {
    return endSessions(this.home, filter)
  }

  /** Totals over all sessions, each of which is looked at. */
  async infoAll (options: TotalsOptions = {}): Promise<SessionTotals> {
    return totalsOf(this.home, options)
  }

  /**
   * Saves all sessions, or those of some tokens, as lines of JSON, in memory that does not grow with their number. What
   * changes meanwhile is saved as it was or as it is. A file is replaced once the new one is whole, and is for its owner's
   * eyes only; a stream is not ended.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), RecordError (`FST_SESSION_RECORD`), OptionError; what the file or
   *   stream fails with, or an AbortError
   */
  async save (target: Writable | string | URL, options: SaveOptions = {}): Promise<SaveResult> {
    return saveSessions(this.home, target, options)
  }

  /**
   * Puts saved sessions back, each wholly or not at all; their tokens, times and subjects are what they were. Who held
   * one has it again.
   * @throws RestoreVersionError (`FST_SESSION_RESTORE_VERSION`), RestoreLineError (`FST_SESSION_RESTORE_LINE`),
   *   RestoreTruncatedError (`FST_SESSION_RESTORE_TRUNCATED`), RestoreConflictError (`FST_SESSION_RESTORE_CONFLICT`),
   *   RestoreFullError (`FST_SESSION_RESTORE_FULL`), each with the counts as its `result`; StoreLacksError, OptionError; what
   *   the file or stream fails with
   */
  async restore (source: Readable | string | URL, options: RestoreOptions = {}): Promise<RestoreResult> {
    return restoreSessions(this.home, source, options)
  }

  /**
   * Follows a session, whatever process changes it: the listener is told of changed keys, of its expiry and of its end,
   * one after the other; while it is at work, changes add up to one. A text that cannot be a token is the name of a shared
   * session: pass on what comes from a client as `{ token }`. Ends by `close()` of what it gives, when the session is
   * gone, and when the app closes.
   * @returns `undefined` if there is no such session
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NoSecretError, NameError, OptionError
   */
  async subscribe (address: SessionAddress, listener: UpdateListener): Promise<Subscription | undefined> {
    const isName = typeof address === 'string' && !this.home.tokens.valid(address)
    for (const id of this.idsAt(isName ? { name: address } : address, 'subscribe()')) {
      const subscription = new Subscription(this.home.store, id, listener, (subscription) => { this.#subscriptions.delete(subscription) })
      this.#subscriptions.add(subscription)
      if (await subscription.start()) return subscription
      this.#subscriptions.delete(subscription)
    }
    return undefined
  }

  override async close (): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()))
    await super.close()
  }
}
