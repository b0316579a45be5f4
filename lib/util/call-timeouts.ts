import { LinkedList, type Link } from './linked-list.js'

/** The most ticks of the timer within one timeout; a tick is a millisecond at the least. */
const maxTicks = 16

/** A call that waits for its answer. */
class Call implements Link<Call> {
  older: Call | undefined
  newer: Call | undefined
  isWaiting: boolean
  readonly expire: () => void
  /** The tick in which it began. */
  readonly began: number

  constructor (expire: () => void, began: number) {
    this.older = this.newer = undefined
    this.isWaiting = true
    this.expire = expire
    this.began = began
  }
}

/**
 * The timeouts of many short calls, all of the same length: one coarse timer for all, instead of one for each. A
 * call expires after the timeout, never before, and up to a sixteenth of it later.
 */
export class Deadlines {
  /** Milliseconds. */
  readonly timeout: number
  /** Milliseconds after which a call has expired for certain. */
  readonly latest: number
  readonly #ticks: number
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #tick = 0
  readonly #calls = new LinkedList<Call>()

  /** @param timeout milliseconds */
  constructor (timeout: number) {
    this.timeout = timeout
    this.#ticks = Math.min(maxTicks, timeout)
    this.#interval = timeout / this.#ticks
    this.latest = Math.ceil(timeout + this.#interval)
  }

  /**
   * Settles as the promise does, or rejects once the timeout is over.
   * @param onTimeout makes the error of that rejection
   */
  limit<T> (promise: Promise<T>, onTimeout: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new Call(() => reject(onTimeout()), this.#tick)
      this.#calls.add(call)
      if (this.#timer === undefined) this.#timer = setInterval(this.#expire, this.#interval)
      else if (this.#calls.size === 1) this.#timer.ref()
      promise.then((value) => {
        this.#end(call)
        resolve(value)
      }, (error: unknown) => {
        this.#end(call)
        reject(error)
      })
    })
  }

  #end (call: Call): void {
    if (!call.isWaiting) return
    call.isWaiting = false
    this.#calls.remove(call)
    // The timer goes on until its next tick, but a process that has nothing else to do need not wait for it.
    if (this.#calls.size === 0) this.#timer?.unref()
  }

  readonly #expire = (): void => {
    this.#tick++
    for (let call = this.#calls.oldest; call !== undefined && this.#tick - call.began > this.#ticks; call = this.#calls.oldest) {
      this.#end(call)
      call.expire()
    }
    if (this.#calls.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** One instance for each timeout that is in use. */
const known = new Map<number, Deadlines>()

/** @param timeout milliseconds */
export function deadlinesOf (timeout: number): Deadlines {
  let deadlines = known.get(timeout)
  if (deadlines === undefined) known.set(timeout, deadlines = new Deadlines(timeout))
  return deadlines
}
