import { randomUUID } from 'node:crypto'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { SessionStore } from '../../stores/store.js'
import { elapsed } from '../../util/elapsed.js'
import { nothing } from '../../util/maybe-promise.js'
import type { FeedUpdate } from './feed.js'

/** Milliseconds of a lease: if its process dies, the others try again after them. */
const leaseTime = 5000
/** Milliseconds for which a delivered expiry is remembered: a process may learn of it that much later. */
const keptFor = 600_000
/** Expiries that are delivered in parallel. */
const atOnce = 16
/** Attempts of one process on a listener that fails. */
const maxTries = 5

interface Expiration {
  readonly work: string
  readonly update: FeedUpdate
  tries: number
  /** By `elapsed()`: the earliest time. */
  at: number
}

/**
 * Lets one of all processes deliver an expiry: the one that gets the lease, which it extends while its listeners
 * run. The others remember the expiry until it has finished: it may die.
 */
export class Expirations {
  readonly #store: SessionStore
  readonly #tell: (update: FeedUpdate) => Promise<boolean | undefined>
  readonly #holder = randomUUID()
  readonly #due = new Set<Expiration>()
  /** The expiries to try again, the first one first: all wait equally long. */
  #later: Expiration[] = []
  #atWork = 0

  /** @param tell resolves to true once all listeners have taken the update, to `undefined` if there are none */
  constructor (store: SessionStore, tell: (update: FeedUpdate) => Promise<boolean | undefined>) {
    this.#store = store
    this.#tell = tell
  }

  add (work: string, update: FeedUpdate): void {
    this.#due.add({ work, update, tries: 0, at: 0 })
    this.#run()
  }

  tick (): void {
    const now = elapsed()
    const ready = this.#later.findIndex(({ at }) => at > now)
    for (const expiration of this.#later.splice(0, ready < 0 ? Infinity : ready)) this.#due.add(expiration)
    this.#run()
  }

  clear (): void {
    this.#due.clear()
    this.#later = []
  }

  #run (): void {
    for (const next of this.#due) {
      if (this.#atWork >= atOnce) return
      this.#due.delete(next)
      this.#atWork++
      const later = this.#later // not the present list any more once all feeds are closed, and nobody waits
      this.#settle(next).then((isSettled) => {
        if (isSettled) return
        next.at = elapsed() + leaseTime
        later.push(next)
      }).catch(nothing).finally(() => {
        this.#atWork--
        this.#run()
      })
    }
  }

  /** @returns false if it is to be tried again */
  async #settle (expiration: Expiration): Promise<boolean> {
    const store = requireInterface('lease', this.#store, 'subscribe()')
    const { work, update } = expiration
    const lease = async () => store.lease(work, this.#holder, leaseTime)
    try {
      const answer = await lease()
      if (answer !== 'held') return answer === 'done'
    } catch {
      return false // the store is away
    }
    const prolonging = setInterval(() => { lease().catch(nothing) }, leaseTime / 3).unref()
    try {
      const isTaken = await this.#tell(update)
      if (isTaken === undefined) return true
      if (!isTaken) return ++expiration.tries === maxTries
    } finally {
      clearInterval(prolonging)
    }
    const finish = async () => store.finish(work, keptFor)
    await finish().catch(nothing) // another process delivers it once more then
    return true
  }
}
