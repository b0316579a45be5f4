import { types } from 'node:util'
import type {
  IAdvancedSessionOperations, IClusterTransactionOperations, IDocumentSession, IEagerSessionOperations, RequestExecutor,
} from 'ravendb'
import type { Access, SessionGuard } from './session-guard.js'
import { defineProperty, findProperty, insertPrototype, overrideMethod, type Method } from '../util/method-override.js'

type Members = Readonly<Record<string, Access>>

/** Every member of RavenDB's types. A member that is missing here still meets the guard of the request executor. */
const sessionMembers = {
  store: 'write',
  delete: 'write',
  saveChanges: 'write',
  defer: 'write',
  patch: 'write',
  patchArray: 'write',
  patchObject: 'write',
  increment: 'write',
  addOrPatch: 'write',
  addOrPatchArray: 'write',
  addOrIncrement: 'write',
  waitForReplicationAfterSaveChanges: 'write',
  waitForIndexesAfterSaveChanges: 'write',

  advanced: 'read',
  load: 'read',
  include: 'read',
  query: 'read',
  documentQuery: 'read',
  rawQuery: 'read',
  exists: 'read',
  loadStartingWith: 'read',
  conditionalLoad: 'read',
  refresh: 'read',
  stream: 'read',
  streamInto: 'read',
  loadIntoStream: 'read',
  loadStartingWithIntoStream: 'read',
  countersFor: 'read',
  timeSeriesFor: 'read',
  timeSeriesRollupFor: 'read',
  incrementalTimeSeriesFor: 'read',
  eagerly: 'read',
  lazily: 'read',
  executeAllPendingLazyOperations: 'read',
  attachments: 'read',
  revisions: 'read',
  clusterTransaction: 'read',
  evict: 'read',
  clear: 'read',
  ignoreChangesFor: 'read',
  hasChanges: 'read',
  hasChanged: 'read',
  whatChanged: 'read',
  whatChangedFor: 'read',
  getTrackedEntities: 'read',
  getMetadataFor: 'read',
  getChangeVectorFor: 'read',
  getCountersFor: 'read',
  getTimeSeriesFor: 'read',
  getLastModifiedFor: 'read',
  getCurrentSessionNode: 'read',

  dispose: 'unguarded',
  documentStore: 'unguarded',
  externalState: 'unguarded',
  requestExecutor: 'unguarded',
  sessionInfo: 'unguarded',
  maxNumberOfRequestsPerSession: 'unguarded',
  numberOfRequests: 'unguarded',
  storeIdentifier: 'unguarded',
  useOptimisticConcurrency: 'unguarded',
  optimisticConcurrencyMode: 'unguarded',
  transactionMode: 'unguarded',
  entityToJson: 'unguarded',
  getDocumentId: 'unguarded',
  isLoaded: 'unguarded',
  on: 'unguarded',
  removeListener: 'unguarded',
  emit: 'unguarded',
} as const satisfies Record<keyof IDocumentSession | keyof IAdvancedSessionOperations | keyof IEagerSessionOperations, Access>

/** Members of `session.advanced.clusterTransaction`: their changes are sent with the session's save. */
const clusterMembers = {
  createCompareExchangeValue: 'write',
  deleteCompareExchangeValue: 'write',
  getCompareExchangeValue: 'read',
  getCompareExchangeValues: 'read',
  lazily: 'read',
} as const satisfies Record<keyof IClusterTransactionOperations, Access>

const kGuard = Symbol('fastify-request-session.guard')

interface Guarded { [kGuard]: SessionGuard }

/** The guarded prototypes, by the client's own. */
const prototypes = new WeakMap<object, object>()

/** Puts a session under its guard. It stays the client's own object, of the client's own class. */
export function protectSession (session: IDocumentSession, guard: SessionGuard): void {
  protect(session, guard, sessionMembers, overrideSessionMembers)
}

function protect (target: object, guard: SessionGuard, members: Members, addOverrides?: (prototype: object) => void): void {
  (target as Guarded)[kGuard] = guard
  insertPrototype(target, prototypes, (prototype) => {
    guardMembers(prototype, members)
    addOverrides?.(prototype)
  })
}

/** Makes each member call the guard first, which throws after the end. */
function guardMembers (prototype: object, members: Members): void {
  for (const [name, access] of Object.entries(members)) {
    const inherited = findProperty(prototype, name)
    if (inherited === undefined || access === 'unguarded') continue
    const { value, get } = inherited
    if (typeof value === 'function') defineProperty(prototype, name, { value: guardedMethod(value as Method, access), writable: true })
    else if (get !== undefined) defineProperty(prototype, name, { ...inherited, get: guardedMethod(get, access) as () => unknown })
  }
}

function guardedMethod (method: Method, access: Access): Method {
  if (types.isAsyncFunction(method)) {
    return function guarded (...args) {
      try {
        (this as Guarded)[kGuard].admit(access)
      } catch (error) {
        return Promise.reject(error)
      }
      return Reflect.apply(method, this, args)
    }
  }
  return function guarded (...args) {
    (this as Guarded)[kGuard].admit(access)
    return Reflect.apply(method, this, args)
  }
}

/** Sets the deadline of saves, translates errors that do not pass the session's executor, and notes prepared saves. */
function overrideSessionMembers (prototype: object): void {
  overrideMethod<Guarded>(prototype, 'saveChanges', (saveChanges) => function (...args) {
    return this[kGuard].save(() => Reflect.apply(saveChanges, this, args) as Promise<void>)
  })
  // `store()` may get a range of ids from the server, with the store's executor.
  overrideMethod<Guarded>(prototype, 'store', (store) => function (...args) {
    const translated = async (): Promise<void> => {
      try {
        await Reflect.apply(store, this, args)
      } catch (error) {
        throw this[kGuard].readError(error)
      }
    }
    return this[kGuard].track(translated())
  })
  overrideMethod<Guarded & IDocumentSession['advanced']>(prototype, 'incrementRequestCount', (increment) => function (...args) {
    try {
      return Reflect.apply(increment, this, args)
    } catch (error) {
      throw this[kGuard].requestLimitError(error, this)
    }
  })
  overrideGetter(prototype, 'revisions', (_revisions, guard) => { guard.mayHaveChanges = true })
  overrideGetter(prototype, 'clusterTransaction', (clusterTransaction, guard) => {
    guard.mayHaveChanges = true
    if (!(kGuard in clusterTransaction)) protect(clusterTransaction, guard, clusterMembers)
  })
  // Attachments, counters and compare-exchange values are read with the store's executor.
  overrideGetter(prototype, 'operations', (operations, guard) => {
    const { getRequestExecutor } = operations as { getRequestExecutor?: () => RequestExecutor }
    if (getRequestExecutor === undefined || Object.hasOwn(operations, 'getRequestExecutor')) return
    const executor = guard.guardExecutor(Reflect.apply(getRequestExecutor, operations, []))
    defineProperty(operations, 'getRequestExecutor', { value: () => executor })
  })
}

/** Passes the value of a getter to `prepare` before it is returned. */
function overrideGetter (prototype: object, name: string, prepare: (value: object, guard: SessionGuard) => void): void {
  const get = findProperty(prototype, name)?.get
  if (get === undefined) return
  defineProperty(prototype, name, {
    get (this: Guarded) {
      const value = Reflect.apply(get, this, []) as object
      prepare(value, this[kGuard])
      return value
    },
  })
}
