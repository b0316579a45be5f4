/** Milliseconds by which the clock of the day has gone on further than that of the process, and by which it was ahead at the last look. */
let [slept, last] = [0, Infinity]

/** Milliseconds by which the two differ without a reason at the most. */
const jitter = 50

/**
 * Milliseconds on a clock that never goes back and counts the time for which the machine sleeps. The clock of the day may be set back, and
 * that of the process (`performance.now()`) stands still meanwhile: whichever goes on further counts.
 */
export function elapsed (): number {
  const now = performance.now()
  const ahead = Date.now() - now
  if (ahead - last > jitter) slept += ahead - last
  last = ahead
  return now + slept
}
