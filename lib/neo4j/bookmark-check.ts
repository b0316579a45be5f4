import { nothing } from '../util/maybe-promise.js'
import type { Neo4jDriver } from './driver-types.js'
import type { CheckedConfig } from './options.js'

/** Milliseconds for which a reached bookmark counts as reached: a restore from a backup takes longer. */
const freshFor = 5000
/** Milliseconds that a request waits until its bookmarks are reached. */
const waitAtMost = 5000
/** Maximum checks that wait for the server in parallel, each with a connection. */
const maxQuestions = 8

/** The codes of a server that refuses bookmarks: it cannot read them, or its wait has timed out. */
const refusal = /^Neo\.\w+\.Transaction\.\w*Bookmark/

/**
 * Checks with the server that it has reached bookmarks, before a transaction is sent with them. A server that was restored from
 * an older backup never reaches them: it makes each transaction wait for up to a minute, and neither a time limit
 * nor the end of the session interrupts that. Here the check waits instead of the request. Bookmarks that
 * this process has seen a moment ago are not checked.
 */
export class BookmarkCheck {
  readonly #driver: Neo4jDriver
  /** The time at which each bookmark was last seen; the oldest first. */
  readonly #seen = new Map<string, number>()
  readonly #questions = new Set<Promise<unknown>>()
  /** Checks that still wait for the server, although no request waits for them. */
  #late = 0

  constructor (driver: Neo4jDriver) {
    this.#driver = driver
  }

  /** The server has these bookmarks. */
  confirm (bookmarks: readonly string[]): void {
    const now = performance.now()
    this.doubt(bookmarks)
    for (const bookmark of bookmarks) this.#seen.set(bookmark, now)
    for (const [bookmark, since] of this.#seen) {
      if (now - since < freshFor) break
      this.#seen.delete(bookmark)
    }
  }

  /** The next use of these bookmarks checks with the server first. */
  doubt (bookmarks: readonly string[]): void {
    for (const bookmark of bookmarks) this.#seen.delete(bookmark)
  }

  /**
   * The reason why these bookmarks are unusable; `undefined`: the server has reached them. Other errors than a refusal are
   * ignored: they occur again when the transaction begins.
   *
   * @param config the database and the user to ask as
   * @param left aborts when no request waits for the answer any more
   */
  async problemOf (bookmarks: readonly string[], config: CheckedConfig, left: AbortSignal): Promise<string | undefined> {
    const now = performance.now()
    if (bookmarks.every((bookmark) => now - (this.#seen.get(bookmark) ?? -Infinity) < freshFor)) return undefined
    let problem: string | undefined
    let end = nothing
    const ended = new Promise<void>((resolve) => { end = resolve })
    left.addEventListener('abort', end, { once: true })
    const timer = setTimeout(() => {
      problem = `the server has not reached them within ${waitAtMost} milliseconds`
      end()
    }, waitAtMost)
    const isOver = (): boolean => left.aborted || problem !== undefined
    try {
      while (!isOver() && this.#late === 0 && this.#questions.size >= maxQuestions) await Promise.race([...this.#questions, ended])
      if (isOver()) return problem
      if (this.#late > 0) return 'the server keeps the bookmarks of others waiting'
      const answer = this.#ask(bookmarks, config)
      return await Promise.race([answer, ended.then(() => {
        if (problem !== undefined) this.#countLate(answer)
        return problem
      })])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves with the reason of a refusal, or `undefined`. */
  #ask (bookmarks: readonly string[], config: CheckedConfig): Promise<string | undefined> {
    const answer = this.#askServer(bookmarks, config)
    this.#questions.add(answer)
    return answer.finally(() => this.#questions.delete(answer))
  }

  async #askServer (bookmarks: readonly string[], { database, impersonatedUser, auth, defaultAccessMode }: CheckedConfig): Promise<string | undefined> {
    const session = this.#driver.session({ database, impersonatedUser, auth, defaultAccessMode, bookmarks })
    try {
      await session.run('RETURN 1' as never)
      this.confirm(bookmarks)
      return undefined
    } catch (error) {
      const { code, message } = error as { code?: unknown, message: string }
      return typeof code === 'string' && refusal.test(code) ? message : undefined
    } finally {
      await session.close()
    }
  }

  #countLate (answer: Promise<unknown>): void {
    this.#late++
    answer.then(nothing, nothing).finally(() => this.#late--)
  }
}
