import type { Neo4jResult, Neo4jTransaction, Neo4jTransactionPromise } from './driver-types.js'
import { derive, find, override, type Method } from '../util/method-override.js'

/** What is told of a handler's use of its transaction. */
export interface TransactionWatch {
  /** It commits by itself. */
  committing (committed: Promise<void>): void
  /** It rolls back by itself. */
  rollingBack (): void
  /** It reads a result record by record. */
  reading (result: Neo4jResult): void
  /** It awaits the transaction: what that gives. */
  awaited (begin: () => Promise<Neo4jTransaction>): Promise<Neo4jTransaction>
}

const kWatch = Symbol('fastify-request-session.watch')

interface Watched { [kWatch]: TransactionWatch }

type WatchedPromise = Watched & PromiseLike<Neo4jTransaction>

/** The watched methods of a transaction, around those of the driver. */
const methods = {
  run: (run: Method) => function (this: Watched, ...query: unknown[]) {
    return watchResult(Reflect.apply(run, this, query) as Neo4jResult, this[kWatch])
  },
  commit: (commit: Method) => function (this: Watched) {
    const committed = Reflect.apply(commit, this, []) as Promise<void>
    this[kWatch].committing(committed)
    return committed
  },
  rollback: (rollback: Method) => function (this: Watched & Neo4jTransaction) {
    if (this.isOpen()) this[kWatch].rollingBack()
    return Reflect.apply(rollback, this, []) as Promise<void>
  },
}

const promiseMethods = {
  then: (then: Method) => function (this: WatchedPromise, ...reactions: Parameters<Promise<Neo4jTransaction>['then']>) {
    const begin = () => new Promise<Neo4jTransaction>((...settle) => Reflect.apply(then, this, settle))
    return this[kWatch].awaited(begin).then(...reactions)
  },
  catch: () => function (this: WatchedPromise, onRejected: (error: unknown) => unknown) {
    return this.then(undefined, onRejected)
  },
  finally: () => function (this: WatchedPromise, onFinally: () => void) {
    return Promise.resolve(this.then()).finally(onFinally)
  },
}

/** The watched methods of transactions, and the watched prototypes of results, by the driver's own prototypes. */
const transactions = new WeakMap<object, ReturnType<typeof watchedMethods>>()
const results = new WeakMap<object, object>()

/**
 * Watches what `session.beginTransaction()` gave, which remains the driver's own object. The methods go into the object
 * itself: the driver adds properties to it later, and behind another prototype that would give each its own hidden class in V8.
 */
export function watchTransaction (transaction: Neo4jTransactionPromise, watch: TransactionWatch): Neo4jTransactionPromise {
  const original = Object.getPrototypeOf(transaction) as object
  let watched = transactions.get(original)
  if (watched === undefined) transactions.set(original, watched = watchedMethods(original))
  attach(transaction, watch)
  transaction.run = watched.run
  transaction.commit = watched.commit
  transaction.rollback = watched.rollback
  // The driver makes its `Transaction` of all that can be enumerated here, and that is no promise.
  for (const [name, descriptor] of watched.hidden) Object.defineProperty(transaction, name, descriptor)
  return transaction
}

function watchedMethods (original: object) {
  const inherited = (name: string) => find(original, name)?.value as Method
  return {
    run: methods.run(inherited('run')),
    commit: methods.commit(inherited('commit')),
    rollback: methods.rollback(inherited('rollback')),
    hidden: Object.entries(promiseMethods)
      .map(([name, watched]) => [name, { value: watched(inherited(name)), configurable: true, writable: true }] as const),
  }
}

/** Watches what awaiting it gives: a copy, whose methods are its own and bound to it. */
export function watchBegun (transaction: Neo4jTransaction, watch: TransactionWatch): Neo4jTransaction {
  attach(transaction, watch)
  for (const [name, watched] of Object.entries(methods)) override(transaction, name, (method) => watched(method).bind(transaction as never))
  return transaction
}

function watchResult (result: Neo4jResult, watch: TransactionWatch): Neo4jResult {
  attach(result, watch)
  derive(result, results, (prototype) => {
    for (const name of ['subscribe', Symbol.asyncIterator]) {
      override(prototype, name, (read) => function (this: Watched & Neo4jResult, ...args: unknown[]) {
        this[kWatch].reading(this)
        return Reflect.apply(read, this, args)
      })
    }
  })
  return result
}

function attach (target: object, watch: TransactionWatch): void {
  (target as Watched)[kWatch] = watch
}
