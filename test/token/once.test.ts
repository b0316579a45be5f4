import { mock } from 'node:test'
import t from 'tap'
import { memoryStore, tokenSessions, type SessionStore } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'

/** A store that answers later, as one across a network does. */
class LateStore extends SpyStore {
  constructor (store: SessionStore) {
    super(store)
    this.before = () => new Promise((resolve) => { setImmediate(resolve) })
  }
}

await inEachPlace(t, async (t, place) => {
  const users = tokenSessions<{ code?: string, message?: string }>({ store: new LateStore(place.connect()) })

  await t.test('claim: of callers at once exactly one gets the value, from the newest one on', async (t) => {
    const { token } = await users.create({ data: { code: '123456' } })
    const sessions = await Promise.all(Array.from({ length: 5 }, () => users.load(token)))
    const claims = await Promise.all(sessions.map((session) => session?.claim('code')))
    t.strictSame(claims.filter((claim) => claim !== undefined), ['123456'])
    const [first, second] = [await users.load(token), await users.load(token)]
    await second?.set('code', 'newer').commit()
    t.equal(await first?.claim('code'), undefined, 'it was absent when this one was loaded')
    t.equal(await second?.claim('code'), 'newer')
    t.equal(second?.has('code'), false)
  })

  await t.test('claim: a value of this request is saved first, an ended session is an error', async (t) => {
    const session = await users.create()
    session.set('code', '7')
    t.equal(await session.claim('code'), '7')
    t.strictSame((await users.load(session.token))?.data(), {})
    const other = await users.create({ data: { code: '8' } })
    await users.end(other.token)
    await t.rejects(other.claim('code'), { code: 'FST_SESSION_GONE' })
  })

  await t.test('take: deletes only the value that it has read', async (t) => {
    const { token } = await users.create({ data: { message: 'older' } })
    const [reader, writer] = [await users.load(token), await users.load(token)]
    t.equal(reader?.take('message'), 'older')
    await writer?.set('message', 'newer').commit()
    await reader?.commit()
    t.strictSame((await users.load(token))?.data(), { message: 'newer' })
    const again = await users.load(token)
    t.equal(again?.take('message'), 'newer')
    await again?.commit()
    t.strictSame((await users.load(token))?.data(), {})
  })
})

t.test('updates of one session by many at once take turns: two commits for each at the most', async (t) => {
  const store = new LateStore(memoryStore())
  const users = tokenSessions<{ list: number[] }>({ store })
  const { token } = await users.create({ data: { list: [] } })
  const count = 200
  const sessions = await Promise.all(Array.from({ length: count }, () => users.load(token)))
  store.take()
  await Promise.all(sessions.map(async (session, n) => {
    session?.append('list', n)
    await session?.commit()
  }))
  const commits = store.take().length
  t.ok(commits <= 2 * count, `${commits} commits`)
  t.equal((await users.load(token))?.get('list')?.length, count)
})

t.test('of a store that hangs, updates of one session wait for their own calls, and not for those of all before them', async (t) => {
  const store = new SpyStore(memoryStore())
  const users = tokenSessions<{ n: number }>({ store })
  const { token } = await users.create({ data: { n: 0 } })
  const sessions = await Promise.all(Array.from({ length: 10 }, () => users.load(token)))
  const hung = barrier()
  store.before = () => hung.opened
  store.take()
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const saved = sessions.map((session) => {
    session?.update('n', (n = 0) => n + 1)
    return session?.commit()
  })
  t.strictSame(store.take(), ['commit'], 'the first one')
  mock.timers.tick(1000)
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(store.take().length, sessions.length - 1, 'the others')
  hung.open()
  await Promise.all(saved)
  t.equal((await users.load(token))?.get('n'), sessions.length)
})
