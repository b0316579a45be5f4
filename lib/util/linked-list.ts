/** What a chain links: the neighbours are the chain's own business. */
export interface Link<T> {
  older: T | undefined
  newer: T | undefined
}

/** Things in the order in which they were added. They carry their links themselves: a Set would cost each request more. */
export class Chain<T extends Link<T>> {
  #oldest: T | undefined
  #newest: T | undefined
  #size = 0

  get oldest (): T | undefined { return this.#oldest }
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
    // What is old and dead would keep its younger neighbours alive, and they theirs, until the next full collection.
    link.older = link.newer = undefined
    this.#size--
  }

  /** The oldest first. What was just given may be removed. */
  * [Symbol.iterator] (): Generator<T, undefined> {
    let link = this.#oldest
    while (link !== undefined) {
      const { newer } = link
      yield link
      link = newer
    }
  }
}
