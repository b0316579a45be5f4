import { Writable } from 'node:stream'
import { mock } from 'node:test'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { memoryStore, tokenSessions, type CompleteStore, type SessionStats, type StoreEvent } from '../../../lib/index.js'
import { idOf } from '../../../lib/token/tokens.js'
import { fakeClock } from '../../support/clock.js'
import { Random } from '../../support/random.js'
import { change, record } from '../../support/records.js'
import { tokenApp, Visitor } from '../../support/token-app.js'

/** A store that ends with its test, and the warnings of its log. */
function loggedStore (t: Test, maxSessions: number): { store: CompleteStore, warnings: string[] } {
  const store = memoryStore({ maxSessions })
  t.teardown(() => store.close())
  const warnings: string[] = []
  t.equal(store.checkAtBoot?.({ info: () => {}, error: () => {}, warn: (message: string) => { warnings.push(message) } }), undefined)
  return { store, warnings }
}

function storeOf (t: Test, maxSessions: number): CompleteStore {
  return loggedStore(t, maxSessions).store
}

/** The ids that are there, in alphabetical order. To list them is no use. */
async function idsIn (store: CompleteStore): Promise<string[]> {
  const all: string[] = []
  for await (const page of store.ids()) all.push(...page)
  return all.sort()
}

/** Creates sessions, one after the other. */
async function create (store: CompleteStore, ids: string[], given: Parameters<typeof record>[0] = {}): Promise<void> {
  for (const id of ids) if (!await store.create(id, record(given))) throw new Error(`${id} is taken`)
}

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i}`)

/** The ids in the order in which new sessions displace them. */
async function orderOf (store: CompleteStore): Promise<string[]> {
  const order: string[] = []
  let left = await idsIn(store)
  for (const id of numbered('displacing', left.length)) {
    await store.create(id, record())
    const now = new Set(await idsIn(store))
    order.push(...left.filter((id) => !now.has(id)))
    left = left.filter((id) => now.has(id))
  }
  return order
}

t.test('a flood of sessions that are used once', async (t) => {
  async function shop (t: Test, maxSessions: number) {
    return tokenApp(t, { store: storeOf(t, maxSessions) }, (app) => {
      app.get('/login', async (request) => { (await request.session).set('user', 'ada'); return 'in' })
      app.get('/me', async (request) => (await request.session).get('user') ?? 'nobody')
      app.get('/login-safely', async (request) => { (await request.session).regenerate(['user']); return 'in' })
      app.get('/often', async (request) => {
        const session = await request.session
        for (let i = 0; i < 3; i++) {
          session.set('user', 'ada')
          session.increment('n')
          await session.commit()
          await session.reload()
        }
        return 'ok'
      })
    })
  }

  async function visitors (app: ConstructorParameters<typeof Visitor>[0], count: number, ...paths: string[]): Promise<Visitor[]> {
    const all = Array.from({ length: count }, () => new Visitor(app))
    for (const path of paths) for (const visitor of all) await visitor.get(path)
    return all
  }

  async function flood (app: ConstructorParameters<typeof Visitor>[0], path: string): Promise<void> {
    for (let i = 0; i < 500; i++) await app.inject(path)
  }

  const still = async (users: Visitor[]): Promise<number> => {
    const bodies = await Promise.all(users.map(async (user) => (await user.get('/me')).body))
    return bodies.filter((body) => body === 'ada').length
  }

  t.test('displaces nobody who has come back', async (t) => {
    const { app } = await shop(t, 50)
    const users = await visitors(app, 40, '/login', '/me')
    await flood(app, '/often')
    t.equal(await still(users), 40)
  })

  t.test('displaces those who have not: saving and reloading in the creating request is one use', async (t) => {
    const { app } = await shop(t, 50)
    const once = await visitors(app, 10, '/login')
    const often = await visitors(app, 10, '/often')
    await flood(app, '/login')
    t.equal(await still(once), 0)
    t.equal(await still(often), 0)
  })

  t.test('displaces nobody whose session was regenerated when they came back', async (t) => {
    const { app } = await shop(t, 50)
    const users = await visitors(app, 20, '/login', '/login-safely')
    await flood(app, '/often')
    t.equal(await still(users), 20)
  })
})

t.test('the order of eviction', async (t) => {
  t.test('the least recently used of those that were used once go first, then those that came back', async (t) => {
    const store = storeOf(t, 5)
    await create(store, ['a', 'b', 'c', 'd', 'e'])
    await store.load('a')
    await store.load('c')
    await store.commit('b', change())
    t.strictSame((await orderOf(store)).slice(0, 3), ['d', 'e', 'b'])
    t.strictSame(await idsIn(store), ['a', 'c', 'displacing-2', 'displacing-3', 'displacing-4'], 'a and c are displaced by nothing that is used once')
  })

  t.test('of those that came back at most four fifths are protected: the least recently used one goes back, after all that were used once', async (t) => {
    const store = storeOf(t, 10)
    const ids = numbered('s', 10)
    await create(store, ids)
    for (const id of ids.slice(0, 9)) await store.load(id) // s-0 is the ninth, and goes back
    t.strictSame(await orderOf(store), ['s-9', 's-0'])
    await store.load('s-1')
    await store.load('displacing-9') // displaces s-2 from the protected ones: s-1 was used since
    await create(store, ['new'])
    t.notOk((await idsIn(store)).includes('displacing-8'))
    await create(store, ['newer'])
    t.notOk((await idsIn(store)).includes('s-2'))
    t.ok((await idsIn(store)).includes('s-1'))
  })

  t.test('a commit is a use, and no visit of its own', async (t) => {
    const store = storeOf(t, 10)
    await create(store, numbered('s', 10))
    for (let i = 0; i < 3; i++) await store.commit('s-0', change({ increment: new Map([['n', 1]]) }))
    await store.load('s-2')
    await store.load('s-1')
    await store.commit('s-2', change())
    t.strictSame(await orderOf(store), [...numbered('s', 10).slice(3), 's-0'])
    for (const id of numbered('displacing', 10)) await store.load(id)
    t.match((await idsIn(store)).filter((id) => id.startsWith('s')), ['s-1', 's-2'])
    await create(store, ['new'])
    await create(store, ['newer'])
    t.notOk((await idsIn(store)).includes('s-1'))
  })

  t.test('a renewed session keeps its rank, and is the most recently used there', async (t) => {
    const store = storeOf(t, 5)
    await create(store, ['a', 'b', 'c', 'd', 'e'])
    await store.load('a')
    await store.renew('a', 'a-renewed', change())
    await store.renew('b', 'b-renewed', change())
    t.strictSame(await orderOf(store), ['c', 'd', 'e', 'b-renewed'])
    t.ok((await idsIn(store)).includes('a-renewed'))
  })

  t.test('a regenerated session takes the rank of the one that it replaces', async (t) => {
    const store = storeOf(t, 5)
    await create(store, ['a', 'b', 'c', 'd', 'e'])
    await store.load('a')
    await store.regenerate('a', 'a-regenerated', record())
    await store.regenerate('b', 'b-regenerated', record())
    await store.regenerate('none', 'from-none', record())
    t.strictSame(await idsIn(store), ['a-regenerated', 'b-regenerated', 'd', 'e', 'from-none'])
    t.strictSame(await orderOf(store), ['d', 'e', 'b-regenerated', 'from-none'])
  })

  t.test('a description, a listing, and a saving of all sessions are no uses', async (t) => {
    const store = storeOf(t, 5)
    const users = tokenSessions({ store })
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.push(idOf((await users.create({ data: { i } })).token))
    await store.load(ids[0] as string)
    await store.describe(ids[1] as string)
    for await (const { id } of users.list()) t.ok(id)
    let lines = ''
    await users.save(new Writable({ write (chunk, _encoding, done) { lines += String(chunk); done() } }))
    t.ok(ids.every((id) => lines.includes(id)))
    t.strictSame(await orderOf(store), ids.slice(1))
  })

  t.test('a session that has expired goes before those that live, in silence, also a protected one', async (t) => {
    const tick = fakeClock(t, ['Date'])
    const store = storeOf(t, 5)
    await create(store, ['expiring'], { expiresAt: Date.now() + 1000 })
    await create(store, ['a', 'b', 'c', 'd'])
    await store.load('expiring')
    await store.load('b')
    const told: StoreEvent[] = []
    await store.watch('expiring', (event) => { told.push(event) })
    tick(1000)
    await create(store, ['e'])
    t.strictSame(await idsIn(store), ['a', 'b', 'c', 'd', 'e'])
    t.strictSame(store.counts?.(), { evicted: 0 })
    t.strictSame(told, [])
    await create(store, ['f'])
    t.strictSame(await idsIn(store), ['b', 'c', 'd', 'e', 'f'])
    t.strictSame(store.counts?.(), { evicted: 1 })
  })

  t.test('a session that outlives its data is no expired one', async (t) => {
    const tick = fakeClock(t, ['Date'])
    const store = storeOf(t, 5)
    await create(store, ['emptied'], { fields: new Map([['a', '1']]), deleteSession: false, expiresAt: Date.now() + 1000 })
    await create(store, ['a', 'b', 'c', 'd'])
    await store.load('emptied')
    tick(1000)
    await create(store, ['e'])
    t.strictSame(await idsIn(store), ['b', 'c', 'd', 'e', 'emptied'])
    t.strictSame(store.counts?.(), { evicted: 1 })
  })

  t.test('an id that is taken displaces no session', async (t) => {
    const store = storeOf(t, 2)
    await create(store, ['a', 'b'])
    t.equal(await store.create('a', record()), false)
    await store.replace('a', record())
    t.strictSame(await idsIn(store), ['a', 'b'])
  })
})

for (const maxSessions of [1, 2, 3, 7]) {
  t.test(`never more than ${maxSessions} session(s), whatever is done`, async (t) => {
    const store = storeOf(t, maxSessions)
    const random = new Random(maxSessions)
    const ids = numbered('s', 12)
    let created = 0
    for (let i = 0; i < 1500; i++) {
      const [id, other] = [random.pick(ids), random.pick(ids)]
      const before = new Set(await idsIn(store))
      const does = random.below(7)
      if (does === 0 && await store.create(id, record())) created++
      if (does === 1) await store.load(id)
      if (does === 2) await store.commit(id, change({ increment: new Map([['n', 1]]) }))
      if (does === 3 && !before.has(other)) await store.renew(id, other, change())
      if (does === 4) await store.regenerate(id, other, record())
      if (does === 5 && random.onceIn(4)) await store.end(id)
      if (does === 6) await store.replace(id, record())
      const now = await idsIn(store)
      if (now.length > maxSessions || store.full !== (now.length === maxSessions)) t.fail(`${now.length} sessions, full: ${store.full}`)
    }
    t.ok(created > 20)
    for (const id of await idsIn(store)) await store.end(id)
    t.strictSame(await idsIn(store), [])
    await create(store, numbered('new', maxSessions))
    t.equal((await idsIn(store)).length, maxSessions, 'all room is there again')
  })
}

t.test('an evicted session is gone from the index of its subject, and its followers are told of its end', async (t) => {
  const store = storeOf(t, 2)
  const users = tokenSessions({ store })
  await create(store, ['a', 'b'], { subject: 'ada' })
  const told: StoreEvent[] = []
  const watch = await store.watch('a', (event) => { told.push(event) })
  await create(store, ['c'], { subject: 'bob' })
  await Promise.resolve()
  t.strictSame(told, [{ type: 'ended', renewed: false }])
  t.equal(await watch?.look(), undefined)
  t.equal(await store.load('a'), undefined)
  const listed: string[] = []
  for await (const page of store.idsOf('ada')) listed.push(...page)
  t.strictSame(listed, ['b'])
  await create(store, ['a'], { subject: 'eve' })
  t.equal(await watch?.look(), undefined, 'another session under the same id')
  await store.commit('a', change())
  await Promise.resolve()
  t.equal(told.length, 1)
  t.equal(await users.endAll({ subject: 'ada' }), 0, 'b went for it')
  t.equal(await users.endAll({ subject: 'eve' }), 1)
})

t.test('sessionStats() counts evicted sessions, by registration', async (t) => {
  const store = storeOf(t, 2)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions({ store }) })
  const stats = (): Record<string, SessionStats> => (app as unknown as { sessionStats: () => Record<string, SessionStats> }).sessionStats()
  t.strictSame(stats()['session']?.store, { evicted: 0 })
  await create(store, numbered('s', 5))
  await store.end('s-4')
  t.strictSame(stats()['session']?.store, { evicted: 3 })
})

t.test('the log', async (t) => {
  const minute = 60_000

  t.test('is told at once, then at most once a minute, of all that were evicted since', async (t) => {
    const tick = fakeClock(t)
    const { store, warnings: lines } = loggedStore(t, 10)
    await create(store, numbered('s', 10))
    t.strictSame(lines, [])
    await create(store, ['first'])
    t.match(lines, [/^the session store is full: 1 session\(s\) .*maxSessions of memoryStore\(\), which is 10.*redisStore\(\)/])
    for (let second = 1; second < 60; second++) {
      tick(1000)
      await create(store, [`second-${second}`])
    }
    t.equal(lines.length, 1)
    tick(1000)
    t.equal(lines.length, 2, 'told by the sweep, without a further eviction')
    t.match(lines[1], /: 59 session\(s\)/)
    tick(10 * minute)
    t.equal(lines.length, 2, 'nothing more to tell')
    await create(store, ['later', 'latest'])
    t.equal(lines.length, 3)
    t.match(lines[2], /: 1 session\(s\)/)
    tick(minute)
    t.match(lines[3], /: 1 session\(s\)/)
    t.strictSame(store.counts?.(), { evicted: 62 })
  })

  t.test('is not told of sessions that have expired, ended, or found no bound', async (t) => {
    const tick = fakeClock(t)
    const { store, warnings: lines } = loggedStore(t, 3)
    await create(store, ['a', 'b', 'c'], { expiresAt: Date.now() + 1000 })
    mock.timers.setTime(Date.now() + 1000)
    await create(store, ['d', 'e', 'f'])
    await store.end('f')
    await create(store, ['g'])
    tick(2 * minute)
    t.strictSame(lines, [])
  })

  t.test('is that of the app with which the store is registered; without one the process is warned', async (t) => {
    const warnings: string[] = []
    t.intercept(process, 'emitWarning', { value: (message: string) => { warnings.push(message) } })
    const alone = memoryStore({ maxSessions: 1 })
    t.teardown(() => alone.close())
    await create(alone, ['a', 'b'])
    t.match(warnings, [/^the session store is full: 1 session/])
    const { app, log } = await tokenApp(t, { store: memoryStore({ maxSessions: 1 }) }, (app) => {
      app.get('/', async (request) => { (await request.session).set('a', 1); return 'ok' })
    })
    for (let i = 0; i < 5; i++) await app.inject('/')
    t.match(log, [{ level: 40, msg: /^the session store is full: 1 session/ }])
    t.equal(warnings.length, 1)
  })
})
