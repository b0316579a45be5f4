import type { Surroundings } from './terminal.js'

/** Milliseconds between two words of progress. */
const pause = 100

/** Tells on a terminal how far long work is, on one line that is gone at the end. Elsewhere it says nothing. */
export class Progress {
  readonly #stderr: Surroundings['stderr']
  readonly #visible: boolean
  #last = 0

  constructor ({ stderr }: Surroundings, visible = true) {
    this.#stderr = stderr
    this.#visible = visible && stderr.isTTY === true
  }

  tell (text: string): void {
    const now = Date.now()
    if (!this.#visible || now - this.#last < pause) return
    this.#last = now
    this.#stderr.write(`\r\x1b[K${text}`)
  }

  end (): void {
    if (this.#last > 0) this.#stderr.write('\r\x1b[K')
    this.#last = 0
  }
}
