import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Watches this process's own event loop while `task` runs. The figures include the millisecond that the
 * monitor itself sleeps between two looks.
 * @param {() => Promise<object>} task what it resolves to is added to the figures
 */
export async function watchDelay (task) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  const startedAt = Date.now()
  histogram.enable()
  const result = await task()
  histogram.disable()
  return {
    ...result,
    p99: histogram.percentile(99) / 1e6,
    max: histogram.max / 1e6,
    seconds: (Date.now() - startedAt) / 1000,
  }
}

export const delayCommands = {
  watch: ({ milliseconds }) => watchDelay(() => wait(milliseconds, {})),
}
