import { elapsed } from '../../util/elapsed.js'
import { Entry } from '../memory/entry.js'
import type { CommitResult, SessionChange, SessionRecord } from '../store.js'

/**
 * A session in the cache.
 *
 * A commit of this process changes it too, after the store has answered. The store reports that change like any other, and may merge
 * it with one of another process. So one report is ignored per own commit, and from the first own commit on the session is used for
 * `maxAge` at most: it can only lack changes since then.
 */
export class KeptSession extends Entry {
  /** By `elapsed()`: the moment at which its use ends. */
  #until: number
  /** Outstanding reports of commits of this process. */
  #echoes: number
  #isCommitting: boolean
  /** By `elapsed()`: the moment since which changes may have been missed; `Infinity`: none. */
  lostAt: number
  /** The properties that the store has added to the record. */
  #own: object | undefined

  constructor (id: string, record: SessionRecord) {
    super(id, record)
    this.#own = ownOf(record)
    this.#until = Infinity
    this.#echoes = 0
    this.#isCommitting = false
    this.lostAt = Infinity
  }

  override record (): SessionRecord {
    return this.#own === undefined ? super.record() : Object.assign(super.record(), this.#own)
  }

  isUsable (): boolean {
    return (this.#until === Infinity || elapsed() < this.#until) && !this.expired(Date.now())
  }

  /** Changes may have been missed: it is used only while the store is away. */
  lose (now: number): void {
    this.#until = -Infinity
    this.lostAt = Math.min(this.lostAt, now)
  }

  /** A change was reported. True if it may be that of a commit of this process. */
  isOwnEcho (): boolean {
    if (this.#echoes === 0) return false
    this.#echoes--
    return true
  }

  /**
   * @param until the moment up to which a read may lack a change that is made from now on
   * @returns false if another commit is under way: the store may take them in another order than it answers them
   */
  beginCommit (until: number): boolean {
    if (this.#isCommitting) return false
    this.#isCommitting = true
    this.#until = Math.min(this.#until, until)
    this.#echoes++
    return true
  }

  /** Applies the change. False if the session then differs from the stored one. */
  endCommit (change: SessionChange, result: CommitResult): boolean {
    this.#isCommitting = false
    // The data of a session that outlives it may have expired.
    if (result.status !== 'committed' || this.extra?.deleteSession === false || this.#until === -Infinity) return false
    if (change.from !== undefined) this.#own = ownOf(change.from)
    const applied = this.apply(change)
    return applied.status === 'committed' && applied.increments.every((sum, i) => sum === result.increments[i])
  }
}

function ownOf (record: SessionRecord): object | undefined {
  const { fields, createdAt, expiresAt, usedAt, ttl, maxAge, deleteSession, dataSince, dataVersion, name, label, generation, subject, ...own } = record
  return Object.keys(own).length === 0 ? undefined : own
}
