import type { Neo4jResult, Neo4jSession, Neo4jTransactionPromise } from './driver-types.js'
import { observeTransaction, type TransactionObserver } from './observe-transaction.js'
import { checkParameters } from './parameters.js'
import { insertPrototype, overrideMethod, type Method } from '../util/method-override.js'

/** Is called when a handler uses its session. */
export interface SessionObserver {
  onRun (result: Neo4jResult): void
  /** The handler begins a transaction of its own. Gives the observer of that transaction. */
  onBegin (transaction: Neo4jTransactionPromise): TransactionObserver
  /** The handler gives the driver work to do and to do again (`executeWrite()`), and gets the answer of this method. */
  onWork (work: Promise<unknown>): Promise<unknown>
}

const kObserver = Symbol('fastify-request-session.observer')

interface Observed { [kObserver]: SessionObserver }

/** Observed prototypes of sessions, by the driver's own. */
const prototypes = new WeakMap<object, object>()

/** Observes a session, which remains the driver's own object, of the driver's own class. */
export function observeSession (session: Neo4jSession, observer: SessionObserver): Neo4jSession {
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
