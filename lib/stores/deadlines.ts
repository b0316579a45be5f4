/** The most ticks of the clock within one timeout; a tick is a millisecond at the least. */
const maxTicks = 16

/** A call that waits for its answer. */
interface Call {
  readonly expire: () => void
  waits: boolean
  /** The tick in which it began. */
  readonly began: number
  /** Its neighbours, in order of their beginning. */
  older: Call | undefined
  newer: Call | undefined
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
  #oldest: Call | undefined
  #newest: Call | undefined

  /** @param timeout milliseconds */
  constructor (timeout: number) {
    this.#ticks = Math.min(maxTicks, timeout)
    this.#interval = timeout / this.#ticks
  }

  start (expire: () => void): Call {
    const call: Call = { expire, waits: true, began: this.#tick, older: this.#newest, newer: undefined }
    if (this.#newest === undefined) this.#oldest = call
    else this.#newest.newer = call
    this.#newest = call
    this.#timer ??= setInterval(() => this.#expire(), this.#interval)
    return call
  }

  end (call: Call): void {
    if (!call.waits) return
    const { older, newer } = call
    call.waits = false
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    // What is old and dead would keep its younger neighbours alive, and they theirs, until the next full collection.
    call.older = call.newer = undefined
  }

  #expire (): void {
    this.#tick++
    for (let call = this.#oldest; call !== undefined && this.#tick - call.began >= this.#ticks; call = this.#oldest) {
      this.end(call)
      call.expire()
    }
    if (this.#oldest !== undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
