import { AlreadyCommittedError, CommitError } from '../errors.js'
import type { ErrorReplies, ErrorReply, OpenContext, OpenSession } from '../provider.js'
import type { Neo4jResult, Neo4jSession, Neo4jTransaction, Neo4jTransactionPromise } from './neo4j-driver.js'
import { beginError, commitError, replyToDriverError } from './neo4j-errors.js'
import { nothing } from '../maybe-promise.js'

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
 * A transaction within one scope. `session` is the driver's own object, with its methods watched: what the handler
 * commits or rolls back by itself is known, and so is a result that is still being read when the commit comes.
 */
export class OpenTransaction implements OpenSession<Neo4jTransactionPromise>, ErrorReplies {
  readonly session: Neo4jTransactionPromise
  readonly #start: TransactionStart
  readonly #context: OpenContext
  readonly #reading = new Set<Neo4jResult>()
  #begun = false
  /** The handler's own commit. */
  #committed: Promise<void> | undefined
  #ending: Promise<void> | undefined

  constructor (start: TransactionStart, context: OpenContext) {
    this.#start = start
    this.#context = context
    this.session = this.#watchBegin(this.#begin())
  }

  beforeHeaders (): void {}

  async commit (): Promise<void> {
    const { route } = this.#context
    this.#refuseToCutOff()
    const sent = this.#committed !== undefined || this.session.isOpen()
    try {
      await (this.#committed ?? this.session.commit())
    } catch (error) {
      if (!this.#begun) throw beginError(error, route)
      if (sent) throw commitError(error, route)
      throw new CommitError(`the transaction of ${route} had failed before: ${(error as Error).message}`, { cause: error })
    }
  }

  /**
   * Closing the session interrupts a running query on the server (RESET), for which the driver's `rollback()` would
   * wait. A transaction that is still waiting for a connection has nothing to roll back: nobody waits for it here, nor
   * for a server that does not answer. `close()` does.
   */
  rollback (): Promise<void> | void {
    if (this.#committed !== undefined) return this.#committed.then(() => { throw new AlreadyCommittedError() }, nothing)
    const ended = this.close()
    return this.#begun ? atMost(rollbackWithin, ended) : undefined
  }

  close (): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, this.#start.ownsSession)
  }

  async #end (): Promise<void> {
    const { session, ownsSession } = this.#start
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

  /** Awaiting the transaction gives the driver's `Transaction`, or an error that says what is wrong. */
  #watchBegin (promise: Neo4jTransactionPromise): Neo4jTransactionPromise {
    const begun = promise.then((transaction) => {
      this.#begun = true
      return this.#watch(transaction)
    }, (error: unknown) => { throw beginError(error, this.#context.route) }) as Promise<Neo4jTransaction>
    begun.catch(nothing) // whoever uses the transaction without awaiting it is told by its first query
    // Hidden, since the driver makes its `Transaction` of all that can be enumerated here.
    return define(this.#watch(promise), { then: begun.then.bind(begun), catch: begun.catch.bind(begun), finally: begun.finally.bind(begun) })
  }

  #watch<T extends Neo4jTransaction> (transaction: T): T {
    const run = transaction.run.bind(transaction)
    const commit = transaction.commit.bind(transaction)
    const rollback = transaction.rollback.bind(transaction)
    return define(transaction, {
      run: (...query: Parameters<typeof run>) => this.#watchResult(run(...query)),
      commit: () => {
        const committed = commit()
        this.#committed ??= committed
        return committed
      },
      rollback: () => {
        if (transaction.isOpen()) this.#context.rollbackOnly()
        return rollback()
      },
    })
  }

  #watchResult (result: Neo4jResult): Neo4jResult {
    const iterate = result[Symbol.asyncIterator].bind(result)
    const subscribe = result.subscribe.bind(result)
    return define(result, {
      [Symbol.asyncIterator]: () => {
        this.#reading.add(result)
        return iterate()
      },
      subscribe: (observer: never) => {
        this.#reading.add(result)
        subscribe(observer)
      },
    })
  }

  /** The driver drops at commit what was not read yet, and lets the reader believe that it was all. */
  #refuseToCutOff (): void {
    for (const result of this.#reading) {
      if (!result.isOpen()) continue
      throw new CommitError(`a result of ${this.#context.route} is still being read, and the transaction ends before the reply begins. ` +
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

function define<T extends object> (target: T, methods: object): T {
  for (const key of Reflect.ownKeys(methods)) {
    Object.defineProperty(target, key, { value: methods[key as keyof typeof methods], configurable: true, writable: true })
  }
  return target
}
