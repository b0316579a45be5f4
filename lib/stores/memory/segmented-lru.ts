import { LinkedList } from '../../util/linked-list.js'
import type { Entry } from './entry.js'

/** The part of the bound that sessions which have come back may take. */
const protectedShare = 0.8

/**
 * All entries in the order in which they go: a segmented LRU. A session begins in probation, and is protected once a later request
 * has loaded it. A new session displaces one in probation: a flood of visitors who never come back displaces none of those who
 * do. Every method takes constant time.
 */
export class SegmentedLru {
  readonly #probation = new LinkedList<Entry>()
  readonly #protected = new LinkedList<Entry>()
  readonly #maxProtected: number

  /** @param bound the most entries, at least 1; the caller makes room before it adds one more */
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

  /** Notes that a later request has come with the session. */
  comeBack (entry: Entry): void {
    if (entry.isProtected) return this.touch(entry)
    this.#probation.remove(entry)
    entry.isProtected = true
    this.add(entry)
  }

  /** The entry that goes next; there is one while the bound is reached. Expired ones go first where they are the oldest of a segment. */
  next (now: number): Entry {
    const { oldest } = this.#protected
    return oldest?.isGone(now) ? oldest : this.#probation.oldest as Entry
  }

  /** Moves an entry to the front of probation: new sessions displace it after all others that are there. */
  #demote (entry: Entry): void {
    this.#protected.remove(entry)
    entry.isProtected = false
    this.#probation.add(entry)
  }

  #segmentOf (entry: Entry): LinkedList<Entry> {
    return entry.isProtected ? this.#protected : this.#probation
  }
}
