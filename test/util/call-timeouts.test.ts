import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Deadlines } from '../../lib/util/call-timeouts.js'
import { fakeClock } from '../support/clock.js'

const timedOut = (): Error => new Error('timed out')

t.test('limit: a promise that settles in time is passed on', async (t) => {
  const deadlines = new Deadlines(1000)
  t.equal(await deadlines.limit(Promise.resolve(1), timedOut), 1)
  await t.rejects(deadlines.limit(Promise.reject(new Error('its own')), timedOut), { message: 'its own' })
})

t.test('limit: rejects after the timeout, never before, and a sixteenth of it later at the latest', async (t) => {
  const tick = fakeClock(t)
  const deadlines = new Deadlines(1600)
  tick(150) // no call is under way: the timer starts with the first one
  const outcomes: string[] = []
  const start = (name: string, settle?: Promise<void>): void => {
    deadlines.limit(settle ?? new Promise<void>(() => {}), timedOut).then(() => outcomes.push(`${name} settled`), () => outcomes.push(`${name} timed out`))
  }
  start('first')
  tick(50)
  start('second')
  start('third', Promise.resolve())
  await turn()
  t.strictSame(outcomes.splice(0), ['third settled'])
  tick(1550)
  await turn()
  t.strictSame(outcomes, [])
  tick(100)
  await turn()
  t.strictSame(outcomes, ['first timed out', 'second timed out'])
  mock.timers.tick(10_000)
})

t.test('limit: a promise that settles after its timeout changes nothing', async (t) => {
  const tick = fakeClock(t)
  const deadlines = new Deadlines(100)
  let fail: (error: Error) => void = () => {}
  const limited = deadlines.limit(new Promise((_resolve, reject) => { fail = reject }), timedOut)
  for (let i = 0; i < 20; i++) tick(10)
  await t.rejects(limited, { message: 'timed out' })
  fail(new Error('too late'))
  await turn()
  t.equal(await deadlines.limit(Promise.resolve('next'), timedOut), 'next')
})
