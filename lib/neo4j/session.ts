import { SessionClosedError } from '../errors.js'
import { report } from '../core/events.js'
import type { ErrorReplies, ErrorReply, OpenContext, OpenSession } from '../core/provider.js'
import { nothing, type MaybePromise } from '../util/maybe-promise.js'
import type { Neo4jResult, Neo4jSession, Neo4jTransactionPromise } from './driver-types.js'
import { observeSession, type SessionObserver } from './observe-session.js'
import { observeBegun, type TransactionObserver } from './observe-transaction.js'
import { Results } from './results.js'
import { replyToDriverError } from './translate-errors.js'

/** Work under way, which the driver may do again. */
interface Work {
  readonly promise: Promise<unknown>
  /** Rejects the answer that the handler has. */
  reject (error: Error): void
}

/**
 * A session within one scope. Each of its queries commits by itself, so that nothing is left to commit or to roll back;
 * the commit waits for the work that the handler did not wait for. `session` is the driver's own object.
 */
export class ScopedSession implements OpenSession<Neo4jSession>, ErrorReplies, SessionObserver {
  readonly session: Neo4jSession
  readonly #name: string
  readonly #route: string
  readonly #log: OpenContext['log']
  readonly #results = new Results()
  readonly #works = new Set<Work>()
  #transactions: Neo4jTransactionPromise[] | undefined
  #isCommitted = false

  constructor (session: Neo4jSession, { request, name, route, log }: OpenContext) {
    this.#name = request === undefined ? 'the session' : `request.${name}`
    this.#route = route
    this.#log = log
    this.session = observeSession(session, this)
  }

  commit (): MaybePromise<void> {
    this.#isCommitted = true
    if (this.#works.size > 0 || this.#results.areUnfinished) return this.#finishWork()
  }

  /** Also ends a query that still runs on the server. */
  close (): Promise<void> {
    if (this.#isCommitted && this.#transactions?.some((transaction) => transaction.isOpen()) === true) {
      report(this.#log, 'warn', { session: this.#name, route: this.#route },
        `a transaction that ${this.#route} began in ${this.#name} was never committed, and is rolled back`)
    }
    const closed = this.session.close()
    return this.#works.size === 0 ? closed : closed.finally(() => this.#endWork())
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, false)
  }

  onRun (result: Neo4jResult): void {
    this.#results.add(result)
  }

  /** The handler ends its own transactions. The commit waits for one that is being committed. */
  onBegin (transaction: Neo4jTransactionPromise): TransactionObserver {
    this.#transactions ??= []
    this.#transactions.push(transaction)
    const observer: TransactionObserver = {
      onRun: nothing,
      onCommit: (committed) => this.#addWork({ promise: committed, reject: nothing }),
      onRollback: nothing,
      onAwait: (begin) => begin().then((begun) => observeBegun(begun, observer)),
    }
    return observer
  }

  onWork (promise: Promise<unknown>): Promise<unknown> {
    const answer = new Promise<unknown>((resolve, reject) => {
      const work: Work = {
        promise,
        reject: (error) => {
          answer.catch(nothing) // a late access by work that nobody waits for is no reason to end the process
          reject(error)
        },
      }
      this.#addWork(work)
      promise.then(resolve, reject)
    })
    return answer
  }

  #addWork (work: Work): void {
    const done = (): boolean => this.#works.delete(work)
    this.#works.add(work)
    work.promise.then(done, done)
  }

  /** An error of `executeWrite()` is its caller's, who has a promise of it; that of a query which nobody reads is the reply's. */
  async #finishWork (): Promise<void> {
    while (this.#works.size > 0 || this.#results.areUnfinished) {
      await this.#results.finish()
      await Promise.allSettled([...this.#works].map(({ promise }) => promise))
    }
  }

  /** Ends work that waits to be done again, which the closed session never does: the driver would leave it pending. */
  #endWork (): void {
    setImmediate(() => {
      for (const { reject } of this.#works) reject(new SessionClosedError(this.#name, this.#route))
      this.#works.clear()
    })
  }
}
