import { Chain, type Link } from '../chain.js'

/** The most ticks of the clock within one timeout; a tick is a millisecond at the least. */
const maxTicks = 16

/** A call that waits for its answer. */
interface Call extends Link<Call> {
  readonly expire: () => void
  waits: boolean
  /** The tick in which it began. */
  readonly began: number
}

/**
 * Deadlines of many short calls that all have the same timeout: one coarse timer for all, instead of one for each. A
 * call expires after the timeout, or up to a sixteenth of it earlier.
 */
export class Deadlines {
  readonly #ticks: number
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #tick = 0
  readonly #calls = new Chain<Call>()

  /** @param timeout milliseconds */
  constructor (timeout: number) {
    this.#ticks = Math.min(maxTicks, timeout)
    this.#interval = timeout / this.#ticks
  }

  start (expire: () => void): Call {
    const call: Call = { expire, waits: true, began: this.#tick, older: undefined, newer: undefined }
    this.#calls.add(call)
    this.#timer ??= setInterval(() => this.#expire(), this.#interval)
    return call
  }

  end (call: Call): void {
    if (!call.waits) return
    call.waits = false
    this.#calls.remove(call)
  }

  #expire (): void {
    this.#tick++
    for (const call of this.#calls) {
      if (this.#tick - call.began < this.#ticks) break
      this.end(call)
      call.expire()
    }
    if (this.#calls.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
