import { SessionClosedError } from '../errors.js'
import { report } from '../core/events.js'
import type { ErrorReplies, ErrorReply, OpenContext, OpenSession } from '../core/provider.js'
import { nothing, type MaybePromise } from '../util/maybe-promise.js'
import { insertPrototype, overrideMethod, type Method } from '../util/method-override.js'
import type { UserBookmarks } from './bookmarks.js'
import type { CheckedConfig } from './options.js'
import type { Neo4jResult, Neo4jSession, Neo4jTransactionPromise } from './driver-types.js'
import { observeBegun, observeTransaction, type TransactionObserver } from './observe-transaction.js'
import { checkParameters } from './parameters.js'
import { Results } from './results.js'
import { replyToDriverError } from './translate-errors.js'

const kObserver = Symbol('fastify-request-session.observer')

interface Observed { [kObserver]: ScopedSession }

/** Observed prototypes of sessions, by the driver's own. */
const prototypes = new WeakMap<object, object>()

/** Running work that the driver may retry. */
interface Work {
  readonly promise: Promise<unknown>
  /** Rejects the handler's promise. */
  reject (error: Error): void
}

/**
 * A session within one scope. Each of its queries commits by itself, so there is nothing to commit or to roll back;
 * the commit waits for unawaited work of the handler. `session` is the driver's own object.
 */
export class ScopedSession implements OpenSession<Neo4jSession>, ErrorReplies {
  readonly session: Neo4jSession
  readonly #name: string
  readonly #route: string
  readonly #log: OpenContext['log']
  readonly #results = new Results()
  readonly #works = new Set<Work>()
  #transactions: Neo4jTransactionPromise[] | undefined
  #isCommitted = false

  readonly #bookmarks: UserBookmarks | undefined

  constructor (session: Neo4jSession, { request, name, route, log }: OpenContext, bookmarks: UserBookmarks | undefined) {
    this.#name = request === undefined ? 'the session' : `request.${name}`
    this.#route = route
    this.#log = log
    this.#bookmarks = bookmarks
    this.session = observeSession(session, this)
  }

  get bookmarks (): readonly string[] {
    return this.session.lastBookmarks()
  }

  commit (): MaybePromise<void> {
    this.#isCommitted = true
    if (this.#works.size > 0 || this.#results.areUnfinished) return this.#finishWork()
  }

  /** Also terminates a running query on the server. */
  close (): Promise<void> {
    if (this.#isCommitted && this.#transactions?.some((transaction) => transaction.isOpen()) === true) {
      report(this.#log, 'warn', { session: this.#name, route: this.#route },
        `a transaction that ${this.#route} began in ${this.#name} was never committed, and is rolled back`)
    }
    this.#bookmarks?.close()
    const closed = this.session.close()
    return this.#works.size === 0 ? closed : closed.finally(() => this.#endWork())
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, false)
  }

  /** The handler runs a query. */
  onRun (result: Neo4jResult): void {
    this.#results.add(result)
  }

  /** The handler begins a transaction of its own, and ends it. The commit waits for one that is being committed. */
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

  /** The handler passes work to the driver, which may retry it (`executeWrite()`), and gets the result of this method. */
  onWork (promise: Promise<unknown>): Promise<unknown> {
    const answer = new Promise<unknown>((resolve, reject) => {
      const work: Work = {
        promise,
        reject: (error) => {
          answer.catch(nothing) // a late access by unawaited work must not end the process
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

  /** An error of `executeWrite()` belongs to its caller, who has its promise; the error of an unread query is the reply's. */
  async #finishWork (): Promise<void> {
    while (this.#works.size > 0 || this.#results.areUnfinished) {
      await this.#results.finish()
      await Promise.allSettled([...this.#works].map(({ promise }) => promise))
    }
  }

  /** Rejects work that waits for a retry, which a closed session never makes: the driver would leave it pending. */
  #endWork (): void {
    setImmediate(() => {
      for (const { reject } of this.#works) reject(new SessionClosedError(this.#name, this.#route))
      this.#works.clear()
    })
  }
}

/**
 * A session or transaction with an asynchronous config: `session` is a promise. If the app's function fails, the user gets its
 * error, and there is nothing to commit.
 */
export class AwaitedSession<S> implements OpenSession<Promise<Awaited<S>>>, ErrorReplies {
  readonly session: Promise<Awaited<S>>
  loaded: Awaited<S> | undefined
  #opened: OpenSession<S> & Partial<ErrorReplies> | undefined
  #isEnded = false

  constructor (config: Promise<CheckedConfig>, context: OpenContext, open: (config: CheckedConfig, context: OpenContext) => OpenSession<S>) {
    this.session = this.#open(config, context, open)
    this.session.catch(nothing) // a handler without `await` has not failed
  }

  get bookmarks (): readonly string[] {
    return this.#opened?.bookmarks ?? []
  }

  async commit (): Promise<void> {
    await this.session.catch(nothing)
    await this.#opened?.commit?.()
  }

  rollback (): MaybePromise<void> {
    this.#isEnded = true
    return this.#opened?.rollback?.()
  }

  close (): MaybePromise<void> {
    this.#isEnded = true
    return this.#opened?.close()
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return this.#opened?.replyTo?.(error)
  }

  async #open (config: Promise<CheckedConfig>, context: OpenContext, open: (config: CheckedConfig, context: OpenContext) => OpenSession<S>): Promise<Awaited<S>> {
    const checked = await config
    if (this.#isEnded) throw new SessionClosedError(`request.${context.name}`, context.route)
    this.#opened = open(checked, context)
    this.loaded = await this.#opened.session
    return this.loaded
  }
}

/** Observes a session, which remains the driver's own object, of the driver's own class. */
function observeSession (session: Neo4jSession, observer: ScopedSession): Neo4jSession {
  (session as Neo4jSession & Observed)[kObserver] = observer
  insertPrototype(session, prototypes, addMethods)
  return session
}

function addMethods (prototype: object): void {
  overrideMethod<Observed>(prototype, 'run', (run) => function (...query) {
    checkParameters(query, 3)
    const result = Reflect.apply(run, this, query) as Neo4jResult
    this[kObserver].onRun(result)
    return result
  })
  overrideMethod<Observed>(prototype, 'beginTransaction', (begin) => function (...config) {
    const transaction = Reflect.apply(begin, this, config) as Neo4jTransactionPromise
    return observeTransaction(transaction, this[kObserver].onBegin(transaction))
  })
  // The last two are their names before neo4j-driver 5.
  for (const name of ['executeRead', 'executeWrite', 'readTransaction', 'writeTransaction']) {
    overrideMethod<Observed>(prototype, name, (execute) => function (work: unknown, ...config) {
      const checked = typeof work === 'function' ? (transaction: object) => (work as Method).call(this, checkRuns(transaction)) : work
      return this[kObserver].onWork(Reflect.apply(execute, this, [checked, ...config]) as Promise<unknown>)
    })
  }
}

/** Checks the parameters of queries before they are sent, in the transaction of `executeWrite()`. */
function checkRuns<T extends object> (transaction: T): T {
  overrideMethod<object>(transaction, 'run', (run) => function (...query) {
    checkParameters(query, 2)
    return Reflect.apply(run, this, query)
  })
  return transaction
}
