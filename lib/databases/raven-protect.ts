import { types } from 'node:util'
import type { IDocumentSession, RequestExecutor } from 'ravendb'
import type { SessionGuard } from './raven-guard.js'
import { clusterMembers, sessionMembers, type Members, type Until } from './raven-members.js'

const kGuard = Symbol('fastify-request-session.guard')

interface Guarded { [kGuard]: SessionGuard }

type Method = (this: object, ...args: unknown[]) => unknown

/** The guarded prototypes, by the client's own: one for each class of the client that is in use. */
const prototypes = new WeakMap<object, object>()

/** Puts a session under its guard. It stays the client's own object, of the client's own class. */
export function protectSession (session: IDocumentSession, guard: SessionGuard): void {
  protect(session, guard, sessionMembers, guardSessionSpecials)
}

function protect (target: object, guard: SessionGuard, members: Members, special?: (prototype: object) => void): void {
  const original = Object.getPrototypeOf(target) as object
  let guarded = prototypes.get(original)
  if (guarded === undefined) {
    guarded = guardedPrototype(original, members)
    special?.(guarded)
    prototypes.set(original, guarded)
  }
  // In this order: added behind the prototype, the guard would give each session a hidden class of its own in V8.
  (target as Guarded)[kGuard] = guard
  Object.setPrototypeOf(target, guarded)
}

/** A prototype whose members ask the guard first. */
function guardedPrototype (original: object, members: Members): object {
  const guarded = Object.create(original) as object
  for (const [name, until] of Object.entries(members)) {
    const inherited = find(original, name)
    if (inherited === undefined || until === 'ever') continue
    const { value, get } = inherited
    if (typeof value === 'function') define(guarded, name, { value: guardedMethod(value as Method, until), writable: true })
    else if (get !== undefined) define(guarded, name, { ...inherited, get: guardedMethod(get, until) as () => unknown })
  }
  return guarded
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
  override(prototype, 'saveChanges', (saveChanges) => function (this: Guarded, ...args) {
    return this[kGuard].save(() => Reflect.apply(saveChanges, this, args) as Promise<void>)
  })
  // It may ask the server for a range of ids, with the store's executor.
  override(prototype, 'store', (store) => async function (this: Guarded, ...args) {
    try {
      await Reflect.apply(store, this, args)
    } catch (error) {
      throw this[kGuard].readError(error)
    }
  })
  override(prototype, 'incrementRequestCount', (increment) => function (this: Guarded & IDocumentSession['advanced'], ...args) {
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

/** A member that some version of the client may not have is left out: the executor's guard remains. */
function override (prototype: object, name: string, wrap: (method: Method) => (this: never, ...args: unknown[]) => unknown): void {
  const method: unknown = find(prototype, name)?.value
  if (typeof method === 'function') define(prototype, name, { value: wrap(method as Method), writable: true })
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

function find (start: object, name: string): PropertyDescriptor | undefined {
  for (let object: object | null = start; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(object, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}

function define (target: object, name: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(target, name, { configurable: true, ...descriptor })
}
