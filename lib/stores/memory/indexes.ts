import type { StoreEvent, StoreWatch } from '../store.js'
import type { Entry } from './entry.js'

/** The sessions of each subject. */
export class SubjectIndex {
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

type Listener = (event: StoreEvent) => void

/** The listeners of each watched session. */
export class Watchers {
  readonly #listeners = new Map<Entry, Set<Listener>>()

  watch (entry: Entry, listener: Listener): StoreWatch {
    let listeners = this.#listeners.get(entry)
    if (listeners === undefined) this.#listeners.set(entry, listeners = new Set())
    listeners.add(listener)
    return {
      stop: () => {
        listeners.delete(listener)
        if (listeners.size === 0) this.#listeners.delete(entry)
      },
    }
  }

  has (entry: Entry): boolean {
    return this.#listeners.size > 0 && this.#listeners.has(entry)
  }

  notify (entry: Entry, event: StoreEvent): void {
    for (const listener of [...this.#listeners.get(entry) ?? []]) listener(event)
  }

  /** Removes all listeners of a session that is gone. */
  remove (entry: Entry): void {
    if (this.#listeners.size > 0) this.#listeners.delete(entry)
  }
}
