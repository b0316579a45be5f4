import type { SessionInfo } from './info.js'
import { endSessions, listSessions, totalsOf, type EndFilter, type SessionFilter, type SessionTotals } from './listing.js'
import { SessionManager } from './manager.js'

/**
 * All of the management. What a store cannot do is refused by name, with `FST_SESSION_STORE_LACKS`; with
 * `memoryStore()` and `redisStore()` nothing is.
 */
export class CompleteSessionManager<Data extends object> extends SessionManager<Data> {
  /**
   * What the sessions are, one after the other, in no order. One that begins or ends meanwhile may be told or not;
   * what is told was there when the store was asked.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NameError (`FST_SESSION_NAME`), OptionError
   */
  list (filter: SessionFilter = {}): AsyncGenerator<SessionInfo, undefined> {
    return listSessions(this.home, filter)
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
  async infoAll (): Promise<SessionTotals> {
    return totalsOf(this.home)
  }
}
