import { AlreadyCommittedError, CommitError, OutcomeUnknownError } from '../errors.js'
import type { ErrorReplies, ErrorReply, OpenContext, OpenSession } from '../core/provider.js'
import { nothing } from '../util/maybe-promise.js'
import { within } from '../util/within.js'
import type { UserBookmarks } from './bookmarks.js'
import type { Neo4jResult, Neo4jSession, Neo4jTransaction, Neo4jTransactionPromise } from './driver-types.js'
import { observeBegun, observeTransaction, type TransactionObserver } from './observe-transaction.js'
import { Results } from './results.js'
import { beginError, commitError, queryError, replyToDriverError } from './translate-errors.js'

/** The session that a transaction begins in, and the options that it begins with. */
export interface TransactionStart {
  readonly session: Neo4jSession
  /** True if the session was opened for this transaction, and is closed with it. */
  readonly ownsSession: boolean
  readonly bookmarks: UserBookmarks | undefined
  readonly database: string | undefined
  readonly config: NonNullable<Parameters<Neo4jSession['beginTransaction']>[0]>
}

/** Milliseconds that a reply waits for a rollback, or for the answer to the handler's own commit, if the server hangs. */
const rollbackTimeout = 1000

/**
 * A transaction within one scope. `session` is the driver's own object. Its use is observed, to know at commit
 * whether the handler has committed or rolled back itself, and which results are still being read.
 */
export class ScopedTransaction implements OpenSession<Neo4jTransactionPromise>, ErrorReplies, TransactionObserver {
  readonly session: Neo4jTransactionPromise
  loaded: Neo4jTransaction | undefined
  readonly #start: TransactionStart
  readonly #route: string
  #context: OpenContext | undefined
  /** The result of each `await` of the transaction. */
  #begun: Promise<Neo4jTransaction> | undefined
  readonly #results = new Results()
  /** The first call of the driver's `commit()`, by the handler or at the end. */
  #committed: Promise<void> | undefined
  #isCommitSent = false
  #ending: Promise<void> | undefined

  constructor (start: TransactionStart, context: OpenContext) {
    this.#start = start
    this.#route = context.route
    this.#context = context
    this.session = observeTransaction(this.#begin(), this)
  }

  get bookmarks (): readonly string[] {
    return this.#start.session.lastBookmarks()
  }

  async commit (): Promise<void> {
    this.#refuseStreams()
    if (this.#results.areUnfinished && this.#committed === undefined) await this.#finishQueries()
    try {
      await (this.#committed ?? this.session.commit())
    } catch (error) {
      throw await this.#commitError(error)
    }
  }

  /**
   * Closes the session, which interrupts a running query on the server (RESET): the driver's `rollback()` would wait for
   * it. A transaction that still waits for a connection has nothing to roll back, and only `close()` waits for it, as for
   * a server that does not answer.
   */
  async rollback (): Promise<void> {
    if (this.#committed !== undefined) return within(rollbackTimeout, this.#refuseCommitted(this.#committed), () => { throw this.#unansweredError() })
    const begun = this.#hasBegun()
    const ended = this.close()
    ended.catch(nothing) // `close()` reports it
    if (await begun) await within(rollbackTimeout, ended, nothing)
  }

  close (): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, this.#start.ownsSession)
  }

  onCommit (committed: Promise<void>, isSent: boolean): void {
    if (this.#committed !== undefined) return
    this.#committed = committed
    this.#isCommitSent = isSent
  }

  onRollback (): void {
    this.#context?.rollbackOnly()
  }

  onRun (result: Neo4jResult): void {
    this.#results.add(result)
  }

  /** The driver's `Transaction`; rejects with the reason why none could begin. */
  onAwait (begin: () => Promise<Neo4jTransaction>): Promise<Neo4jTransaction> {
    this.#begun ??= begin().then(
      (transaction) => (this.loaded = observeBegun(transaction, this)),
      (error: unknown) => { throw this.#beginError(error) })
    return this.#begun
  }

  /** Throws if the handler's own commit has kept the work, or may have kept it. */
  async #refuseCommitted (committed: Promise<void>): Promise<void> {
    let failure: unknown
    try {
      await committed
      failure = new AlreadyCommittedError()
    } catch (error) {
      failure = await this.#commitError(error)
      if (!(failure instanceof OutcomeUnknownError)) return
    }
    throw failure
  }

  /** Translates the error of a commit, also of the handler's own one. */
  async #commitError (error: unknown): Promise<unknown> {
    if (!await this.#hasBegun()) return this.#beginError(error)
    if (this.#isCommitSent) return commitError(error, this.#route)
    return new CommitError(`the transaction of ${this.#route} had failed before: ${(error as Error).message}`, { cause: error })
  }

  #unansweredError (): OutcomeUnknownError {
    return new OutcomeUnknownError(`the server did not answer the commit of ${this.#route} within ${rollbackTimeout} milliseconds after the request had failed.`)
  }

  #beginError (error: unknown): unknown {
    return beginError(error, this.#route, this.#start.database)
  }

  /** True when the server has begun the transaction by now. Called after failures only: each answer is a copy of the transaction. */
  #hasBegun (): Promise<boolean> {
    return new Promise((resolve) => {
      this.session.then(() => resolve(true), () => resolve(false))
      setImmediate(resolve, false)
    })
  }

  async #end (): Promise<void> {
    const { session, ownsSession, bookmarks } = this.#start
    // The driver's objects may stay in V8's old space for a while: they must not keep the request alive.
    this.#context = undefined
    bookmarks?.close()
    if (ownsSession) await session.close()
    else if (this.session.isOpen()) await this.session.rollback()
  }

  #begin (): Neo4jTransactionPromise {
    const { session, config, ownsSession } = this.#start
    try {
      return session.beginTransaction(config)
    } catch (error) {
      if (ownsSession) session.close().catch(nothing)
      throw error
    }
  }

  /** Waits for unawaited queries of the handler, as the driver's commit would: if one fails, no commit was sent. */
  async #finishQueries (): Promise<void> {
    try {
      await this.#results.finish()
    } catch (error) {
      if (!await this.#hasBegun()) throw this.#beginError(error)
      throw queryError(error, this.#route)
    }
  }

  /** Throws if a result is still being read: at commit the driver drops the rest, and the reader would take the part for the whole. */
  #refuseStreams (): void {
    if (!this.#results.areStreamed) return
    throw new CommitError(`a result of ${this.#route} is still being read, and the transaction ends before the reply begins. ` +
      'Read it to its end first, or give the route `commit: \'onResponse\'`.')
  }
}
