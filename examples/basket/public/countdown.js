/** Counts down to the end of the basket by this browser's clock, without asking the server. */
export class Countdown {
  #timer
  #end = 0
  #onTick
  #onZero

  /** `onTick` is given the milliseconds that are left, 5 times a second; `onZero` is called once they are over. */
  constructor ({ onTick, onZero }) {
    this.#onTick = onTick
    this.#onZero = onZero
  }

  /** Begins anew. */
  start (left) {
    this.stop()
    this.#end = Date.now() + left
    this.#timer = setInterval(() => this.#tick(), 200)
    this.#tick()
  }

  stop () {
    clearInterval(this.#timer)
  }

  #tick () {
    const left = this.#end - Date.now()
    this.#onTick(Math.max(left, 0))
    if (left > 0) return
    this.stop()
    this.#onZero()
  }
}

/** `9 s`, `29:05` */
export function clockText (milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/** `10 s`, `30 min` */
export function lifetimeText (seconds) {
  return seconds < 60 ? `${seconds} s` : `${seconds / 60} min`
}

/** For sentences: `10 seconds`, `30 minutes` */
export function lifetimeWords (seconds) {
  return seconds < 60 ? `${seconds} seconds` : `${seconds / 60} minutes`
}
