import { attempt, type MaybePromise } from '../util/maybe-promise.js'
import { StoreUnavailableError } from '../errors.js'

/**
 * Calls the store and goes on with its answer. A failure of the store is told apart from one of `next`, where the
 * app's own functions may run.
 */
export function callStore<T, R> (call: () => MaybePromise<T>, next: (answer: T) => MaybePromise<R>): MaybePromise<R> {
  return attempt(call, next, failStore)
}

function failStore (error: unknown): never {
  throw storeFailure(error)
}

/** Errors of ours say what happened; any other error of a store means that it is of no use now. */
export function storeFailure (error: unknown): Error {
  const { code, message } = Object(error) as { code?: unknown, message?: unknown }
  if (typeof code === 'string' && code.startsWith('FST_SESSION_')) return error as Error
  return new StoreUnavailableError(String(message ?? error), { cause: error })
}
