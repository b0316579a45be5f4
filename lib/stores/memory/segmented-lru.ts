import { LinkedList } from '../../util/linked-list.js'
import type { Entry } from './entry.js'

/** The part of the bound for returning sessions. */
const protectedShare = 0.8

/**
 * All entries in the order of their eviction: a segmented LRU. A session starts in probation, and is protected once a later request
 * has loaded it. A new session evicts one in probation: a flood of one-time visitors evicts no returning visitors. Every method
 * takes constant time.
 */
export class SegmentedLru {
  readonly #probation = new LinkedList<Entry>()
  readonly #protected = new LinkedList<Entry>()
  readonly #maxProtected: number

  /** @param bound maximum entries, at least 1; the caller makes room before it adds one more */
  constructor (bound: number) {
    this.#maxProtected = Math.floor(bound * protectedShare)
  }

  get size (): number {
    return this.#probation.size + this.#protected.size
  }

  /** Adds an entry as the most recently used of its segment. */
  add (entry: Entry): void {
    this.#segmentOf(entry).add(entry)
    if (this.#protected.size > this.#maxProtected) this.#demote(this.#protected.oldest as Entry)
  }

  /** @param entry was added */
  remove (entry: Entry): void {
    this.#segmentOf(entry).remove(entry)
  }

  /** Notes a use by the request that has loaded or created the session: it stays in its segment. */
  touch (entry: Entry): void {
    const segment = this.#segmentOf(entry)
    if (segment.newest === entry) return
    segment.remove(entry)
    segment.add(entry)
  }

  /** Notes a load by a later request. */
  comeBack (entry: Entry): void {
    if (entry.isProtected) return this.touch(entry)
    this.#probation.remove(entry)
    entry.isProtected = true
    this.add(entry)
  }

  /** The next entry to evict; there is one while the bound is reached. Expired ones go first if they are the oldest of a segment. */
  next (now: number): Entry {
    const { oldest } = this.#protected
    return oldest?.isGone(now) ? oldest : this.#probation.oldest as Entry
  }

  /** Moves an entry to the front of probation: it is evicted after all others there. */
  #demote (entry: Entry): void {
    this.#protected.remove(entry)
    entry.isProtected = false
    this.#probation.add(entry)
  }

  #segmentOf (entry: Entry): LinkedList<Entry> {
    return entry.isProtected ? this.#protected : this.#probation
  }
}
