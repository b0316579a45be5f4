import { mock } from 'node:test'
import t from 'tap'
import { memoryStore, tokenSessions, type CompleteStore, type SessionSummary, type SessionUpdate, type StoreEvent } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { record } from '../support/records.js'
import { turns } from '../support/random.js'

const id = 'x'.repeat(43)
const summary: SessionSummary = { ...record(), size: 1, timeLeft: 1000 }

/** Follows a session of a store whose looks answer as the test says; `undefined`: the session is gone. */
async function follow (t: { teardown (end: () => unknown): void }, look: () => SessionSummary | undefined | Promise<SessionSummary | undefined>) {
  let emit: (event: StoreEvent) => void = () => {}
  const inner = memoryStore()
  let looks = 0
  const store: CompleteStore = Object.assign(Object.create(inner) as CompleteStore, {
    watch: (_id: string, listener: (event: StoreEvent) => void) => {
      emit = listener
      return { look: () => { looks++; return look() }, stop () {} }
    },
    close () {},
  })
  const users = tokenSessions({ store })
  t.teardown(() => users.close())
  const updates: SessionUpdate[] = []
  const subscription = await users.subscribe({ id }, (update) => { updates.push(update) })
  await turns(8)
  return { subscription: subscription!, updates, emit: (event: StoreEvent) => emit(event), looks: () => looks }
}

t.beforeEach(() => { mock.timers.enable({ apis: ['setTimeout'] }) })
t.afterEach(() => { mock.timers.reset() })

async function pass (ms: number): Promise<void> {
  mock.timers.tick(ms)
  await turns(8)
}

t.test('the store decides whether the time is up: it is asked when it said that it would be, and when it says so again', async (t) => {
  let answer: SessionSummary | undefined = summary
  const { updates, looks, subscription } = await follow(t, () => answer)
  await pass(1000)
  t.equal(looks(), 1)
  answer = { ...summary, timeLeft: 500 }
  await pass(1)
  t.equal(looks(), 2)
  await pass(500)
  t.equal(looks(), 2)
  answer = undefined
  await pass(1)
  t.equal(looks(), 3)
  t.equal(subscription.closed, true)
  t.equal(updates.length, 1)
})

t.test('a store that fails is asked less and less often, and at once again when it has answered', async (t) => {
  let isDown = false
  const { updates, looks } = await follow(t, async () => {
    if (isDown) throw new Error('down')
    return summary
  })
  isDown = true
  await pass(1001)
  t.equal(looks(), 2)
  let expected = 2
  for (const pause of [250, 500, 1000, 2000, 4000, 8000, 8000]) {
    await pass(pause - 1)
    t.equal(looks(), expected, `not before ${pause} milliseconds`)
    await pass(2)
    t.equal(looks(), ++expected)
  }
  isDown = false
  await pass(8001)
  t.equal(looks(), ++expected)
  isDown = true
  await pass(1001)
  await pass(251)
  t.equal(looks(), expected + 2, 'the pauses begin anew')
  t.strictSame(updates, [])
})

t.test('a flood of events has one look at a time, and one after the last', async (t) => {
  let gate = barrier()
  gate.open()
  const { updates, looks, emit, subscription } = await follow(t, async () => {
    await gate.opened
    return summary
  })
  gate = barrier()
  for (let i = 0; i < 1000; i++) emit({ type: 'ended', renewed: i % 2 === 0 })
  await turns(8)
  t.equal(looks(), 2)
  gate.open()
  await turns(8)
  t.equal(looks(), 3)
  t.strictSame(updates, [])
  t.equal(subscription.closed, false)
})

t.test('an expiry that is brought forward while a look is under way counts', async (t) => {
  let gate = barrier()
  gate.open()
  let answer: SessionSummary | undefined = { ...summary, timeLeft: null }
  const { subscription, updates, emit } = await follow(t, async () => {
    const now = answer
    await gate.opened
    return now
  })
  gate = barrier()
  emit({ type: 'interrupted' })
  await turns(8)
  emit({ type: 'changed', keys: [], timeLeft: 300 })
  answer = { ...summary, timeLeft: 300 }
  gate.open()
  await turns(8)
  answer = undefined
  await pass(301)
  t.equal(subscription.closed, true)
  t.equal(updates.length, 2, 'what may have been missed, and the end')
})
