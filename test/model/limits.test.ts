import { once } from 'node:events'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, {
  errors, memoryStore, tokenSessions, type CompleteStore, type CompleteTokenProvider, type CompleteTokenSessionOptions, type SessionData, type SessionUpdate, type TokenSession,
} from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'
import { Visitor } from '../support/token-app.js'

type Users = CompleteTokenProvider<SessionData>

// The timers of signals do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

async function idsOf (users: Users, subject: string): Promise<string[]> {
  const all: string[] = []
  for await (const { id } of users.list({ subject })) all.push(id)
  return all.sort()
}

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, options: CompleteTokenSessionOptions, store: CompleteStore = place.connect()): Users => {
    const users = tokenSessions({ store, ttl: 1000, ...options })
    t.teardown(async () => { await users.endAll(); await users.close() })
    return users
  }

  if (place.name === 'memory') {
    await t.test('options', async (t) => {
      for (const maxSessions of [0, -1, 1.5, '5', {}, true]) t.throws(() => tokenSessions({ maxSessions: maxSessions as number }), { code: 'FST_SESSION_OPTION', message: /maxSessions must be a whole number of sessions from 1/ })
      t.throws(() => tokenSessions({ maxSessions: 5, store: new SpyStore(memoryStore()) }), { code: 'FST_SESSION_STORE_LACKS' })
      t.throws(() => tokenSessions({ maxSessions: 5, onLimit: 'drop' as never }), { code: 'FST_SESSION_OPTION', message: /onLimit must be 'end' or 'refuse'; got 'drop'/ })
      tokenSessions({ maxSessions: null, store: new SpyStore(memoryStore()) })
      for (const wrong of [() => 0, async () => 1, async () => { throw new Error('mine') }]) {
        const users = tokenSessions({ maxSessions: wrong as () => number })
        await t.rejects(users.create({ subject: 'ada' }), { code: 'FST_SESSION_OPTION', message: /maxSessions\(subject\) must return a whole number/ })
        t.equal((await users.infoAll()).sessions, 0, 'nothing was written')
      }
    })
  }

  await t.test('a login beyond the limit ends the least recently used session of its subject', async (t) => {
    const users = connect(t, { maxSessions: 3 })
    const sessions: TokenSession[] = []
    const logIn = async (): Promise<void> => {
      await place.advance(1000)
      sessions.push(await users.create({ subject: 'ada' }))
    }
    const bob = await users.create({ subject: 'bob' })
    await users.create()
    for (let i = 0; i < 3; i++) await logIn()
    await place.advance(1000)
    sessions[0]?.touch()
    await sessions[0]?.commit()
    await logIn()
    t.strictSame(await idsOf(users, 'ada'), [0, 2, 3].map((i) => sessions[i]!.id).sort(), 'the second one was used least recently')
    await logIn()
    t.strictSame(await idsOf(users, 'ada'), [0, 3, 4].map((i) => sessions[i]!.id).sort())
    t.ok(await users.load(bob.token))
    t.equal((await users.infoAll()).sessions, 5)
  })

  await t.test('by a function of the subject', async (t) => {
    const users = connect(t, { maxSessions: (subject) => subject === 'ada' ? 1 : subject === 'bob' ? 2 : null })
    for (let i = 0; i < 4; i++) {
      await place.advance(1000)
      for (const subject of ['ada', 'bob', 'cid']) await users.create({ subject })
    }
    t.strictSame(await Promise.all(['ada', 'bob', 'cid'].map(async (subject) => (await idsOf(users, subject)).length)), [1, 2, 4])
  })

  await t.test('in requests, by each way to get a subject', async (t) => {
    const users = connect(t, { maxSessions: 1 })
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { provider: users })
    const ways: Record<string, (session: TokenSession) => void> = {
      new: (session) => { session.subject = 'ada' },
      regenerated: (session) => { session.regenerate(); session.subject = 'ada' },
      renewed: (session) => { session.renew(); session.subject = 'ada' },
    }
    app.get('/visit', async (request) => { (await request.session).set('n', 1) })
    app.get<{ Params: { way: string } }>('/login/:way', async (request) => { ways[request.params.way]?.(await request.session as TokenSession) })
    app.get('/who', async (request) => ({ subject: (await request.session).subject ?? null }))
    const visitors: Visitor[] = []
    for (const hasVisited of [false, true]) {
      for (const way of Object.keys(ways)) {
        const visitor = new Visitor(app)
        visitors.push(visitor)
        if (hasVisited) await visitor.get('/visit')
        await place.advance(1000)
        t.equal((await visitor.get(`/login/${way}`)).statusCode, 200)
        await visitor.get(`/login/${way}`)
        t.strictSame(await Promise.all(visitors.map(async (visitor) => (await visitor.get('/who')).json().subject)), visitors.map((each) => each === visitor ? 'ada' : null), `${way}, ${hasVisited}`)
      }
    }
  })

  await t.test('a login beyond the limit is refused by choice, and nothing of it is written', async (t) => {
    const store = place.connect()
    const users = connect(t, { maxSessions: (subject) => subject === 'root' ? null : 2, onLimit: 'refuse' }, store)
    const refused = { code: 'FST_SESSION_SUBJECT_LIMIT', statusCode: 409 }
    const sessions: TokenSession[] = []
    for (let i = 0; i < 2; i++) sessions.push(await users.create({ subject: 'ada' }))
    const before = await idsOf(users, 'ada')
    await t.rejects(users.create({ subject: 'ada' }), { ...refused, message: 'create(): this user already has 2 sessions, the maximum. Log out elsewhere first.' })
    for (let i = 0; i < 4; i++) await users.create({ subject: 'root' })

    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { provider: users })
    const ways: Record<string, (session: TokenSession) => void> = {
      new: (session) => { session.subject = 'ada' },
      regenerated: (session) => { session.regenerate(['n']); session.subject = 'ada' },
      renewed: (session) => { session.renew(); session.subject = 'ada' },
    }
    app.get('/visit', async (request) => { (await request.session).set('n', 1) })
    app.get<{ Params: { way: string } }>('/login/:way', async (request) => {
      const session = await request.session as TokenSession
      ways[request.params.way]?.(session)
      session.set('n', 2)
    })
    app.get('/who', async (request) => ({ subject: (await request.session).subject ?? null, n: (await request.session).get('n') ?? null }))
    for (const hasVisited of [false, true]) {
      for (const way of Object.keys(ways)) {
        const visitor = new Visitor(app)
        if (hasVisited) await visitor.get('/visit')
        const { token } = visitor
        t.match((await visitor.get(`/login/${way}`)).json(), refused, way)
        t.equal(visitor.token, token, 'no new token')
        t.strictSame((await visitor.get('/who')).json(), { subject: null, n: hasVisited ? 1 : null }, 'his session is as it was')
      }
    }
    t.strictSame(await idsOf(users, 'ada'), before, 'those of before stay')

    const [first, second] = sessions as [TokenSession, TokenSession]
    first.renew()
    first.set('n', 1)
    await first.commit()
    first.subject = 'ada'
    await first.commit()
    first.regenerate()
    first.subject = 'ada'
    await first.commit()
    t.equal((await idsOf(users, 'ada')).length, 2, 'one that is logged in goes on')
    second.end()
    await second.commit()
    const visitor = new Visitor(app)
    t.equal((await visitor.get('/login/new')).statusCode, 200, 'a logout makes room')
    await t.rejects(users.create({ subject: 'ada' }), refused)
    await place.advance(1_000_500)
    await users.create({ subject: 'ada' })
    await users.create({ subject: 'ada' })
    await t.rejects(users.create({ subject: 'ada' }), refused)
  })

  await t.test('a subject that has more than a limit which was lowered: a login in one of its sessions takes the place of that, and of no other', async (t) => {
    const users = connect(t, {})
    const [first, second, third] = await Promise.all(Array.from({ length: 3 }, () => users.create({ subject: 'ada' }))) as [TokenSession, TokenSession, TokenSession]
    const [here, there] = Array.from({ length: 2 }, () => connect(t, { maxSessions: 1, onLimit: 'refuse' })) as [Users, Users]
    const loggingIn = async (users: Users, { token }: TokenSession): Promise<TokenSession> => {
      const session = await users.load(token) as TokenSession
      session.regenerate()
      session.subject = 'ada'
      return session
    }
    const own = await loggingIn(here, first)
    await own.commit()
    t.strictSame(await idsOf(users, 'ada'), [own.id, second.id, third.id].sort())
    const twice = [await loggingIn(here, second), await loggingIn(there, second)]
    const both = await Promise.allSettled(twice.map((session) => session.commit()))
    t.strictSame(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one of two at once')
    t.match(both.find(({ status }) => status === 'rejected'), { reason: { code: 'FST_SESSION_SUBJECT_LIMIT' } })
    t.equal((await idsOf(users, 'ada')).length, 3)
    await t.rejects(here.create({ subject: 'ada' }), { code: 'FST_SESSION_SUBJECT_LIMIT' })
    await users.endAll({ subject: 'ada' })
  })

  if (place.name !== 'memory') {
    await t.test('a place that was taken for a session that never came is free after a minute', async (t) => {
      const users = connect(t, { maxSessions: 1, onLimit: 'refuse' })
      const lost = await users.create({ subject: 'ada' })
      for (const node of place.nodes()) for (const key of await node.keys(`${place.prefix}*${lost.id}`)) await node.unlink(key)
      t.equal(await users.load(lost.token), undefined)
      await t.rejects(users.create({ subject: 'ada' }), { code: 'FST_SESSION_SUBJECT_LIMIT' })
      await place.advance(61_000)
      const found = await users.create({ subject: 'ada' })
      await place.advance(61_000)
      await t.rejects(users.create({ subject: 'ada' }), { code: 'FST_SESSION_SUBJECT_LIMIT' })
      t.strictSame(await idsOf(users, 'ada'), [found.id])
    })
  }

  await t.test('a refused login may be tried again, and then has all of its work', async (t) => {
    const users = connect(t, { maxSessions: 1, onLimit: 'refuse' })
    const first = await users.create({ subject: 'ada' })
    const second = await users.create({ data: { n: 1 } })
    second.increment('n')
    second.subject = 'ada'
    for (let i = 0; i < 2; i++) await t.rejects(second.commit(), { code: 'FST_SESSION_SUBJECT_LIMIT' })
    first.end()
    await first.commit()
    await second.commit()
    t.match(await users.load(second.token), { subject: 'ada' })
    t.equal((await users.load(second.token))?.get('n'), 2)
  })

  await t.test('followers and the signal are told why', async (t) => {
    const [here, there] = [connect(t, { maxSessions: 1 }), connect(t, { maxSessions: 1 })]
    const session = await here.create({ subject: 'ada', data: { n: 1 } })
    const updates: SessionUpdate[] = []
    const told = barrier()
    await here.subscribe(session.token, (update) => { updates.push(update); told.open() })
    const { signal } = session
    const aborted = once(signal, 'abort')
    await place.advance(1000)
    await there.create({ subject: 'ada' })
    await Promise.all([aborted, told.opened])
    t.strictSame(updates, [{ type: 'ended', renewed: false, reason: 'limit' }])
    t.ok(signal.reason instanceof errors.SessionOverError)
    t.match(signal.reason, { why: 'limit', message: /by a login elsewhere/ })
    t.throws(() => session.set('n', 2), { code: 'FST_SESSION_GONE' })
  })

  await t.test('a session that is used at that moment is not the one that goes', async (t) => {
    const inner = place.connect()
    let before = async (): Promise<void> => {}
    const store = new Proxy(inner, {
      get (_target, name) {
        const value = Reflect.get(inner, name, inner) as unknown
        if (name === 'end') return async (...args: Parameters<CompleteStore['end']>) => { await before(); return inner.end(...args) }
        return typeof value === 'function' ? Reflect.get(value, 'bind').call(value, inner) as unknown : value
      },
    })
    const users = connect(t, { maxSessions: 2 }, store)
    const first = await users.create({ subject: 'ada' })
    await place.advance(1000)
    const second = await users.create({ subject: 'ada' })
    await place.advance(1000)
    before = async () => {
      before = async () => {}
      await place.advance(1000)
      first.touch()
      await first.commit()
    }
    await users.create({ subject: 'ada' })
    t.ok(await users.load(first.token))
    t.equal(await users.load(second.token), undefined)
    t.equal((await idsOf(users, 'ada')).length, 2)
  })
})
