import type { SessionStore } from '../../../lib/index.js'
import { Random, turns } from '../random.js'

/** A store whose calls take random numbers of turns, before and after their work: requests meet as they do over a network. */
export class DelayedStore implements SessionStore {
  readonly #store: SessionStore
  readonly #random: Random

  constructor (store: SessionStore, seed: number) {
    this.#store = store
    this.#random = new Random(seed)
  }

  load: SessionStore['load'] = (...args) => this.#delay(() => this.#store.load(...args))
  create: SessionStore['create'] = (...args) => this.#delay(() => this.#store.create(...args))
  commit: SessionStore['commit'] = (...args) => this.#delay(() => this.#store.commit(...args))
  renew: SessionStore['renew'] = (...args) => this.#delay(() => this.#store.renew(...args))
  regenerate: SessionStore['regenerate'] = (...args) => this.#delay(() => this.#store.regenerate(...args))
  end: SessionStore['end'] = (...args) => this.#delay(() => this.#store.end(...args))
  close (): void | Promise<void> { return this.#store.close() }

  async #delay<T> (call: () => T | Promise<T>): Promise<T> {
    await turns(this.#random.below(5))
    const answer = await call()
    await turns(this.#random.below(5))
    return answer
  }
}
