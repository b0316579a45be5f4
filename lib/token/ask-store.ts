import { StoreUnavailableError } from '../errors.js'
import { isPromise, type MaybePromise } from '../util/maybe-promise.js'

/**
 * Asks the store and goes on with its answer, at once if it is there at once. What fails in the store is told apart
 * from what fails in `next`, where the app's own functions may run.
 */
export function ask<T, R> (question: () => MaybePromise<T>, next: (answer: T) => MaybePromise<R>): MaybePromise<R> {
  let answer: MaybePromise<T>
  try {
    answer = question()
  } catch (error) {
    throw storeFailure(error)
  }
  return isPromise(answer) ? (answer as Promise<T>).then(next, fail) : next(answer)
}

function fail (error: unknown): never {
  throw storeFailure(error)
}

/** Errors of ours say what happened; what else a store throws means that it is of no use now. */
export function storeFailure (error: unknown): Error {
  const { code, message } = Object(error) as { code?: unknown, message?: unknown }
  if (typeof code === 'string' && code.startsWith('FST_SESSION_')) return error as Error
  return new StoreUnavailableError(String(message ?? error), { cause: error })
}
