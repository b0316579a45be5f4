/** An entry of a `LinkedList`. Only the list writes these two. */
export interface Link<T> {
  older: T | undefined
  newer: T | undefined
}

/** Entries in the order in which they were added. They carry their links themselves, which costs less than a `Set`. */
export class LinkedList<T extends Link<T>> {
  oldest: T | undefined
  newest: T | undefined
  /** The entries now. */
  size = 0
  /** The entries since the beginning. */
  added = 0

  add (entry: T): void {
    entry.older = this.newest
    if (this.newest === undefined) this.oldest = entry
    else this.newest.newer = entry
    this.newest = entry
    this.size++
    this.added++
  }

  /** @param entry is in this list */
  remove (entry: T): void {
    const { older, newer } = entry
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
    // Clear the links: a dead entry in V8's old space would keep its younger neighbours alive until the next full collection.
    entry.older = entry.newer = undefined
    this.size--
  }

  /** The oldest first. The entry that was just returned may be removed. */
  * [Symbol.iterator] (): Generator<T, undefined> {
    let entry = this.oldest
    while (entry !== undefined) {
      const { newer } = entry
      yield entry
      entry = newer
    }
  }
}
