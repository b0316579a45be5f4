/** Milliseconds of one moment. */
const step = 250

/** The times at which sessions are due, by the moment: one timer instead of one per session. */
export class DueTimes {
  readonly #idsAt = new Map<number, Set<string>>()
  /** The moment for which each session waits. */
  readonly #momentOf = new Map<string, number>()
  #first = Infinity

  /** A session that waits for an earlier moment stays there: its time is read again then. */
  add (id: string, due: number): void {
    if (due === Infinity) return
    const moment = Math.ceil(due / step)
    const present = this.#momentOf.get(id)
    if (present !== undefined && present <= moment) return
    this.remove(id)
    this.#momentOf.set(id, moment)
    this.#first = Math.min(this.#first, moment)
    const ids = this.#idsAt.get(moment)
    if (ids === undefined) this.#idsAt.set(moment, new Set([id]))
    else ids.add(id)
  }

  remove (id: string): void {
    const moment = this.#momentOf.get(id)
    if (moment === undefined) return
    this.#momentOf.delete(id)
    const ids = this.#idsAt.get(moment)
    ids?.delete(id)
    if (ids?.size === 0) this.#idsAt.delete(moment)
  }

  /** Returns the due sessions and removes them. */
  take (now: number): string[] {
    const last = Math.floor(now / step)
    if (this.#first > last) return []
    const due: string[] = []
    this.#first = Infinity
    for (const [moment, ids] of this.#idsAt) {
      if (moment > last) {
        this.#first = Math.min(this.#first, moment)
        continue
      }
      this.#idsAt.delete(moment)
      for (const id of ids) {
        this.#momentOf.delete(id)
        due.push(id)
      }
    }
    return due
  }

  clear (): void {
    this.#idsAt.clear()
    this.#momentOf.clear()
    this.#first = Infinity
  }
}
