import type { Neo4jResult, Neo4jTransaction, Neo4jTransactionPromise } from './driver-types.js'
import { checkParameters } from './parameters.js'
import { findProperty, overrideMethod, type Method } from '../util/method-override.js'

/** Called when a handler uses its transaction. */
export interface TransactionObserver {
  /** The handler commits the transaction itself. `isSent`: the transaction was open, so the driver may send the commit. */
  onCommit (committed: Promise<void>, isSent: boolean): void
  /** The handler rolls the transaction back itself. */
  onRollback (): void
  /** The handler runs a query. */
  onRun (result: Neo4jResult): void
  /** The handler awaits the transaction, and gets the result of this method. */
  onAwait (begin: () => Promise<Neo4jTransaction>): Promise<Neo4jTransaction>
}

const kObserver = Symbol('fastify-request-session.observer')

interface Observed { [kObserver]: TransactionObserver }

type ObservedPromise = Observed & PromiseLike<Neo4jTransaction>

/** Make a transaction's observed methods from those of the driver. */
const methods = {
  run: (run: Method) => function (this: Observed, ...query: unknown[]) {
    checkParameters(query, 2)
    const result = Reflect.apply(run, this, query) as Neo4jResult
    this[kObserver].onRun(result)
    return result
  },
  commit: (commit: Method) => function (this: Observed & Neo4jTransaction) {
    const isSent = this.isOpen()
    const committed = Reflect.apply(commit, this, []) as Promise<void>
    this[kObserver].onCommit(committed, isSent)
    return committed
  },
  rollback: (rollback: Method) => function (this: Observed & Neo4jTransaction) {
    if (this.isOpen()) this[kObserver].onRollback()
    return Reflect.apply(rollback, this, []) as Promise<void>
  },
}

const promiseMethods = {
  then: (then: Method) => function (this: ObservedPromise, ...reactions: Parameters<Promise<Neo4jTransaction>['then']>) {
    const begin = () => new Promise<Neo4jTransaction>((...settle) => Reflect.apply(then, this, settle))
    return this[kObserver].onAwait(begin).then(...reactions)
  },
  catch: () => function (this: ObservedPromise, onRejected: (error: unknown) => unknown) {
    return this.then(undefined, onRejected)
  },
  finally: () => function (this: ObservedPromise, onFinally: () => void) {
    return Promise.resolve(this.then()).finally(onFinally)
  },
}

/** Observed methods of transactions, by the driver's own prototype. */
const transactionMethods = new WeakMap<object, ReturnType<typeof makeMethods>>()

/**
 * Observes the result of `session.beginTransaction()`, which remains the driver's own object. The methods are properties
 * of the object itself: the driver adds properties to it later, and behind another prototype each of these objects
 * would get a hidden class of its own in V8.
 */
export function observeTransaction (transaction: Neo4jTransactionPromise, observer: TransactionObserver): Neo4jTransactionPromise {
  const original = Object.getPrototypeOf(transaction) as object
  let observed = transactionMethods.get(original)
  if (observed === undefined) transactionMethods.set(original, observed = makeMethods(original))
  setObserver(transaction, observer)
  transaction.run = observed.run
  transaction.commit = observed.commit
  transaction.rollback = observed.rollback
  // The driver copies all enumerable properties to the `Transaction` that awaiting gives, which must not be a promise.
  for (const [name, descriptor] of observed.hidden) Object.defineProperty(transaction, name, descriptor)
  return transaction
}

function makeMethods (original: object) {
  const inherited = (name: string) => findProperty(original, name)?.value as Method
  return {
    run: methods.run(inherited('run')),
    commit: methods.commit(inherited('commit')),
    rollback: methods.rollback(inherited('rollback')),
    hidden: Object.entries(promiseMethods)
      .map(([name, observed]) => [name, { value: observed(inherited(name)), configurable: true, writable: true }] as const),
  }
}

/** Observes the `Transaction` that `await` returns: a copy with bound methods of its own. */
export function observeBegun (transaction: Neo4jTransaction, observer: TransactionObserver): Neo4jTransaction {
  setObserver(transaction, observer)
  for (const [name, observed] of Object.entries(methods)) {
    overrideMethod(transaction, name, (method) => observed(method).bind(transaction as never))
  }
  return transaction
}

function setObserver (target: object, observer: TransactionObserver): void {
  (target as Observed)[kObserver] = observer
}
