import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Watches this process's own event loop for a while. The figures, in milliseconds, include the one that the
 * monitor itself sleeps between two looks.
 */
export async function watchDelay (milliseconds) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  await wait(milliseconds)
  histogram.disable()
  return { p99: histogram.percentile(99) / 1e6, longest: histogram.max / 1e6 }
}
