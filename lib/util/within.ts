/**
 * Settles as the work does, or as `late` once the time is over: what becomes of the work then is its own affair.
 * @param milliseconds the time that the work may take
 * @param late gives the result, or throws the error, of work that is late
 */
export async function within<T> (milliseconds: number, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeIsOver = new Promise<void>((resolve) => { timer = setTimeout(resolve, milliseconds) })
  try {
    return await Promise.race([work, timeIsOver.then(late)])
  } finally {
    clearTimeout(timer)
  }
}
