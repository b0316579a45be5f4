import { mock } from 'node:test'
import type { Test } from 'tap'

/** Fakes `Date` from now on, and `setInterval` for sweepers, until the test is over; `mock.timers.tick(ms)` moves both. */
export function fakeClock (t: Test, apis: Array<'Date' | 'setInterval'> = ['Date', 'setInterval']): (ms: number) => void {
  mock.timers.enable({ apis, now: Date.now() })
  t.teardown(() => { mock.timers.reset() })
  return (ms) => { mock.timers.tick(ms) }
}
