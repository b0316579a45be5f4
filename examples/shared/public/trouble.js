import { ask, Refusal } from './ask.js'

/** Milliseconds between two looks whether an outage is over. */
const pause = 2000

/** Says in a notice what went wrong. An outage is told in the page's own words, which go by themselves when it is over. */
export class Trouble {
  #notice
  #words
  #onOver
  #timer

  /** `words` are for an outage; `onOver` is called at its end. */
  constructor (notice, words, onOver) {
    this.#notice = notice
    this.#words = words
    this.#onOver = onOver
  }

  tell (error) {
    const isOutage = !(error instanceof Refusal) || error.status >= 500
    this.clear()
    this.#notice.textContent = isOutage ? this.#words : error.message
    this.#notice.hidden = false
    this.#notice.scrollIntoView({ block: 'nearest' })
    if (isOutage) this.#watch()
  }

  clear () {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#notice.hidden = true
  }

  #watch () {
    const timer = this.#timer = setTimeout(async () => {
      const isOver = await ask('GET', 'health').then(() => true, () => false)
      if (timer !== this.#timer) return // something else is told by now
      if (!isOver) return this.#watch()
      this.clear()
      this.#onOver?.()
    }, pause)
  }
}
