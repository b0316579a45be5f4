/** What a synchronous store or provider may answer with at once, and another with a promise. */
export type MaybePromise<T> = T | Promise<T>

export function isPromise (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Promise<unknown>).then === 'function'
}

/** Goes on at once where the value is there already, so that the embedded store costs no turn of the event loop. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? (value as Promise<T>).then(next) : next(value)
}
