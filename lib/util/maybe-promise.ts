/** The result of a synchronous or an asynchronous store or provider. */
export type MaybePromise<T> = T | Promise<T>

export function isPromise (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Promise<unknown>).then === 'function'
}

/**
 * Passes on what a function of the app has answered where an answer is needed at once. A promise is refused then by whoever looks at it,
 * and its rejection, which nobody waits for, would end the process.
 */
export function atOnce<T> (answer: T): T {
  if (isPromise(answer)) answer.then(nothing, nothing)
  return answer
}

/** Ignores an answer that is not needed, or an error that is reported elsewhere. */
export function nothing (): void {}

/**
 * Runs `work` and continues with its result: synchronously if the result is no promise. An error of `work`, thrown or
 * rejected, goes to `failed`; an error of `next` does not.
 */
export function attempt<T, R> (
  work: () => MaybePromise<T>, next: (answer: T) => MaybePromise<R>, failed: (error: unknown) => MaybePromise<R>
): MaybePromise<R> {
  let answer: MaybePromise<T>
  try {
    answer = work()
  } catch (error) {
    return failed(error)
  }
  return isPromise(answer) ? (answer as Promise<T>).then(next, failed) : next(answer)
}
