/** A member of a chain. Only the chain reads and writes its neighbours. */
export interface Link<T> {
  older: T | undefined
  newer: T | undefined
}

/** Objects in the order in which they were added. They carry their links themselves: a Set would cost each request more. */
export class Chain<T extends Link<T>> {
  #oldest: T | undefined
  #newest: T | undefined
  #size = 0

  get oldest (): T | undefined { return this.#oldest }
  get newest (): T | undefined { return this.#newest }
  get size (): number { return this.#size }

  add (link: T): void {
    link.older = this.#newest
    if (this.#newest === undefined) this.#oldest = link
    else this.#newest.newer = link
    this.#newest = link
    this.#size++
  }

  /** @param link is in this chain */
  remove (link: T): void {
    const { older, newer } = link
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    // Clear the links: a dead object of the old generation would keep its younger neighbours from the minor collections.
    link.older = link.newer = undefined
    this.#size--
  }

  /** Iterates from the oldest on. The one that was just yielded may be removed. */
  * [Symbol.iterator] (): Generator<T, undefined> {
    let link = this.#oldest
    while (link !== undefined) {
      const { newer } = link
      yield link
      link = newer
    }
  }
}
