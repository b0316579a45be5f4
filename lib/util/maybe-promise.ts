/** What a synchronous store or provider may answer with at once, and another with a promise. */
export type MaybePromise<T> = T | Promise<T>

export function isPromise (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Promise<unknown>).then === 'function'
}

/** For an answer that nobody needs, and an error that somebody else reports. */
export function nothing (): void {}
