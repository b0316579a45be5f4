import { messageOf } from '../core/events.js'
import { StoreUnavailableError } from '../errors.js'
import { attempt, type MaybePromise } from '../util/maybe-promise.js'

/**
 * Calls the store and goes on with its answer, if there is a `next`. Only a failure of the store is translated, not one of `next`,
 * where the app's own functions may run.
 */
export function callStore<T> (call: () => MaybePromise<T>): MaybePromise<T>
export function callStore<T, R> (call: () => MaybePromise<T>, next: (answer: T) => MaybePromise<R>): MaybePromise<R>
export function callStore<T> (call: () => MaybePromise<T>, next: (answer: T) => unknown = (answer) => answer): unknown {
  return attempt(call, next, failStore)
}

/** Throws the error of a failed store under its name. */
export function failStore (error: unknown): never {
  throw storeFailure(error)
}

/** Passes on this package's errors; any other error of a store becomes a StoreUnavailableError. */
export function storeFailure (error: unknown): Error {
  const { code } = Object(error) as { code?: unknown }
  if (typeof code === 'string' && code.startsWith('FST_SESSION_')) return error as Error
  return new StoreUnavailableError(messageOf(error), { cause: error })
}
