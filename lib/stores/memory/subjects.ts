import type { Entry } from './entry.js'

/** The sessions of each subject of the embedded store. */
export class MemorySubjects {
  readonly #entries = new Map<string, Set<Entry>>()

  add (entry: Entry): void {
    const subject = entry.extra?.subject
    if (subject === undefined) return
    const entries = this.#entries.get(subject)
    if (entries === undefined) this.#entries.set(subject, new Set([entry]))
    else entries.add(entry)
  }

  remove (entry: Entry): void {
    const subject = entry.extra?.subject
    if (subject === undefined) return
    const entries = this.#entries.get(subject)
    entries?.delete(entry)
    if (entries?.size === 0) this.#entries.delete(subject)
  }

  of (subject: string): ReadonlySet<Entry> | undefined {
    return this.#entries.get(subject)
  }
}
