import type { StoreEvent, StoreWatch } from '../store.js'
import type { Entry } from './entry.js'

type Listener = (event: StoreEvent) => void

/** Who watches which sessions of the embedded store. */
export class MemoryWatchers {
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

  tell (entry: Entry, event: StoreEvent): void {
    for (const listener of [...this.#listeners.get(entry) ?? []]) listener(event)
  }

  /** The session is gone. */
  drop (entry: Entry): void {
    if (this.#listeners.size > 0) this.#listeners.delete(entry)
  }
}
