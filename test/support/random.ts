/** A seeded generator of numbers: a seed gives the same ones each time. */
export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = Math.imul(seed + 1, 0x9E3779B9) | 0
  }

  /** From 0 up to, but not, 1 (mulberry32). */
  next (): number {
    this.#state = (this.#state + 0x6D2B79F5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, but not, `end`. */
  below (end: number): number {
    return Math.floor(this.next() * end)
  }

  between (min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True once in so many times. */
  onceIn (times: number): boolean {
    return this.below(times) === 0
  }

  pick<T> (list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

/** Waits for so many turns: up to 3 of microtasks, beyond of the event loop. */
export async function turns (count: number): Promise<void> {
  for (let i = 0; i < Math.min(count, 3); i++) await undefined
  for (let i = 3; i < count; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
