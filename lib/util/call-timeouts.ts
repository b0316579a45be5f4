import { LinkedList, type Link } from './linked-list.js'

/** The most ticks of the timer within one timeout; a tick is a millisecond at the least. */
const maxTicks = 16

/** One or more calls that wait for their answer. */
export interface TimedCall extends Link<TimedCall> {
  /** The tick in which it began; -1 while it does not wait. */
  began: number
  /** Its time is over. */
  expire (): void
}

/**
 * The timeouts of many short calls, all of the same length: one coarse timer for all, instead of one for each. A
 * call expires after the timeout, never before, and up to a sixteenth of it later.
 */
export class Deadlines {
  /** Milliseconds. */
  readonly timeout: number
  /** Milliseconds after which a call has certainly expired. */
  readonly latest: number
  readonly #ticks: number
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #tick = 0
  readonly #calls = new LinkedList<TimedCall>()

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
      const call: TimedCall = { older: undefined, newer: undefined, began: -1, expire: () => reject(onTimeout()) }
      this.start(call)
      promise.then((value) => {
        this.end(call)
        resolve(value)
      }, (error: unknown) => {
        this.end(call)
        reject(error)
      })
    })
  }

  /** Begins the time of a call. */
  start (call: TimedCall): void {
    call.began = this.#tick
    this.#calls.add(call)
    if (this.#timer === undefined) this.#timer = setInterval(this.#expire, this.#interval)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  /** The call has its answer. */
  end (call: TimedCall): void {
    if (call.began < 0) return
    call.began = -1
    this.#calls.remove(call)
    // The timer runs until its next tick, but does not keep the process alive.
    if (this.#calls.size === 0) this.#timer?.unref()
  }

  readonly #expire = (): void => {
    this.#tick++
    for (let call = this.#calls.oldest; call !== undefined && this.#tick - call.began > this.#ticks; call = this.#calls.oldest) {
      this.end(call)
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
