import { AlreadyCommittedError, CommitError } from '../errors.js'
import type { ErrorReplies, ErrorReply, OpenContext, OpenSession } from '../core/provider.js'
import type { Neo4jResult, Neo4jSession, Neo4jTransaction, Neo4jTransactionPromise } from './driver-types.js'
import { beginError, commitError, replyToDriverError } from './translate-errors.js'
import { watchBegun, watchTransaction, type TransactionWatch } from './watch-transaction.js'
import { nothing } from '../util/maybe-promise.js'

/** How a transaction is begun. */
export interface TransactionStart {
  readonly session: Neo4jSession
  /** Whether the session was opened for this transaction, and is closed with it. */
  readonly ownsSession: boolean
  readonly config: { timeout?: number, metadata?: object }
}

/** Milliseconds that a reply waits for its transaction to be rolled back, on a server that stands still. */
const rollbackWithin = 1000

/**
 * A transaction within one scope. `session` is the driver's own object, and its use is watched: what the handler commits
 * or rolls back by itself is known, and so is a result that is still being read when the commit comes.
 */
export class OpenTransaction implements OpenSession<Neo4jTransactionPromise>, ErrorReplies, TransactionWatch {
  readonly session: Neo4jTransactionPromise
  readonly #start: TransactionStart
  readonly #route: string
  #context: OpenContext | undefined
  /** What awaiting the transaction gives. */
  #begun: Promise<Neo4jTransaction> | undefined
  #reading: Neo4jResult[] | undefined
  #committed: Promise<void> | undefined
  #ending: Promise<void> | undefined

  constructor (start: TransactionStart, context: OpenContext) {
    this.#start = start
    this.#route = context.route
    this.#context = context
    this.session = watchTransaction(this.#begin(), this)
  }

  beforeHeaders (): void {}

  async commit (): Promise<void> {
    const route = this.#route
    this.#refuseToCutOff()
    const sent = this.#committed !== undefined || this.session.isOpen()
    try {
      await (this.#committed ?? this.session.commit())
    } catch (error) {
      if (!await this.#hasBegun()) throw beginError(error, route)
      if (sent) throw commitError(error, route)
      throw new CommitError(`the transaction of ${route} had failed before: ${(error as Error).message}`, { cause: error })
    }
  }

  /**
   * Closing the session interrupts a running query on the server (RESET), for which the driver's `rollback()` would
   * wait. A transaction that is still waiting for a connection has nothing to roll back: nobody waits for it here, nor
   * for a server that does not answer. `close()` does.
   */
  async rollback (): Promise<void> {
    if (this.#committed !== undefined) return this.#committed.then(() => { throw new AlreadyCommittedError() }, nothing)
    const begun = this.#hasBegun()
    const ended = this.close()
    ended.catch(nothing) // `close()` reports it
    if (await begun) await atMost(rollbackWithin, ended)
  }

  close (): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, this.#start.ownsSession)
  }

  committing (committed: Promise<void>): void {
    this.#committed ??= committed
  }

  rollingBack (): void {
    this.#context?.rollbackOnly()
  }

  reading (result: Neo4jResult): void {
    this.#reading ??= []
    this.#reading.push(result)
  }

  /** The driver's `Transaction`, or an error that says what is wrong. */
  awaited (begin: () => Promise<Neo4jTransaction>): Promise<Neo4jTransaction> {
    this.#begun ??= begin().then(
      (transaction) => watchBegun(transaction, this),
      (error: unknown) => { throw beginError(error, this.#route) })
    return this.#begun
  }

  /** Whether the server has begun it by now. Asked only when it fails: the driver's answer is a copy of the transaction. */
  #hasBegun (): Promise<boolean> {
    return new Promise((resolve) => {
      this.session.then(() => resolve(true), () => resolve(false))
      setImmediate(resolve, false)
    })
  }

  async #end (): Promise<void> {
    const { session, ownsSession } = this.#start
    // The driver's objects may live on in V8's old space for a while: without the request, and all that it refers to.
    this.#context = undefined
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

  /** The driver drops at commit what was not read yet, and lets the reader believe that it was all. */
  #refuseToCutOff (): void {
    for (const result of this.#reading ?? []) {
      if (!result.isOpen()) continue
      throw new CommitError(`a result of ${this.#route} is still being read, and the transaction ends before the reply begins. ` +
        'Read it to its end first, or give the route `commit: \'onResponse\'`.')
    }
  }
}

async function atMost (milliseconds: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, milliseconds) })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
