import { types } from 'node:util'
import type { IDocumentSession, RequestExecutor } from 'ravendb'
import type { SessionGuard } from './session-guard.js'
import { define, derive, find, override, type Method } from '../util/method-override.js'
import { clusterMembers, sessionMembers, type Members, type Until } from './session-members.js'

const kGuard = Symbol('fastify-request-session.guard')

interface Guarded { [kGuard]: SessionGuard }

/** The guarded prototypes, by the client's own. */
const prototypes = new WeakMap<object, object>()

/** Puts a session under its guard. It stays the client's own object, of the client's own class. */
export function protectSession (session: IDocumentSession, guard: SessionGuard): void {
  protect(session, guard, sessionMembers, guardSessionSpecials)
}

function protect (target: object, guard: SessionGuard, members: Members, special?: (prototype: object) => void): void {
  (target as Guarded)[kGuard] = guard
  derive(target, prototypes, (prototype) => {
    guardMembers(prototype, members)
    special?.(prototype)
  })
}

/** The members ask the guard first. */
function guardMembers (prototype: object, members: Members): void {
  for (const [name, until] of Object.entries(members)) {
    const inherited = find(prototype, name)
    if (inherited === undefined || until === 'ever') continue
    const { value, get } = inherited
    if (typeof value === 'function') define(prototype, name, { value: guardedMethod(value as Method, until), writable: true })
    else if (get !== undefined) define(prototype, name, { ...inherited, get: guardedMethod(get, until) as () => unknown })
  }
}

function guardedMethod (method: Method, until: Until): Method {
  if (types.isAsyncFunction(method)) {
    return function guarded (...args) {
      try {
        (this as Guarded)[kGuard].admit(until)
      } catch (error) {
        return Promise.reject(error)
      }
      return Reflect.apply(method, this, args)
    }
  }
  return function guarded (...args) {
    (this as Guarded)[kGuard].admit(until)
    return Reflect.apply(method, this, args)
  }
}

/** What a session does besides: its saves have a deadline, and what does not pass its executor gets its errors named too. */
function guardSessionSpecials (prototype: object): void {
  override<Guarded>(prototype, 'saveChanges', (saveChanges) => function (...args) {
    return this[kGuard].save(() => Reflect.apply(saveChanges, this, args) as Promise<void>)
  })
  // It may ask the server for a range of ids, with the store's executor.
  override<Guarded>(prototype, 'store', (store) => async function (...args) {
    try {
      await Reflect.apply(store, this, args)
    } catch (error) {
      throw this[kGuard].readError(error)
    }
  })
  override<Guarded & IDocumentSession['advanced']>(prototype, 'incrementRequestCount', (increment) => function (...args) {
    try {
      return Reflect.apply(increment, this, args)
    } catch (error) {
      throw this[kGuard].limitError(error, this)
    }
  })
  overrideGetter(prototype, 'revisions', (_revisions, guard) => { guard.mayHaveChanges = true })
  overrideGetter(prototype, 'clusterTransaction', (cluster, guard) => {
    guard.mayHaveChanges = true
    if (!(kGuard in cluster)) protect(cluster, guard, clusterMembers)
  })
  // Attachments, counters and compare-exchange values are read with the store's executor.
  overrideGetter(prototype, 'operations', (operations, guard) => {
    const { getRequestExecutor } = operations as { getRequestExecutor?: () => RequestExecutor }
    if (getRequestExecutor === undefined || Object.hasOwn(operations, 'getRequestExecutor')) return
    const executor = guard.guardExecutor(Reflect.apply(getRequestExecutor, operations, []))
    define(operations, 'getRequestExecutor', { value: () => executor })
  })
}

function overrideGetter (prototype: object, name: string, prepare: (value: object, guard: SessionGuard) => void): void {
  const get = find(prototype, name)?.get
  if (get === undefined) return
  define(prototype, name, {
    get (this: Guarded) {
      const value = Reflect.apply(get, this, []) as object
      prepare(value, this[kGuard])
      return value
    },
  })
}
