/**
 * Settles as the work does, or as `late` once the time is over. The work is not stopped.
 * @param milliseconds the time that the work may take
 * @param late returns the result, or throws the error, for late work
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
