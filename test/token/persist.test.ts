import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { cookieTransport, headerTransport, memoryStore, tokenSessions, type CookieOptions, type SessionStore } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

function routes (app: FastifyInstance): void {
  app.get('/visit', async (request) => { (await request.session).increment('visits'); return 'ok' })
  app.get('/login/:remember', async (request) => {
    const session = await request.session
    session.regenerate(['visits'])
    session.set('user', 'ada')
    const { remember } = request.params as { remember: string }
    if (remember !== 'unsaid') session.persist(remember === 'true')
    return 'ok'
  })
  app.get('/persist/:remember', async (request) => { (await request.session).persist((request.params as { remember: string }).remember === 'true'); return 'ok' })
  app.get('/renew', async (request) => { (await request.session).renew(); return 'ok' })
  app.get('/end', async (request) => { (await request.session).end(); return 'ok' })
  app.get('/data', async (request) => { const session = await request.session; return { ...session.data(), token: session.token } })
}

const app = async (t: Test, store: SessionStore, options: CookieOptions = {}, ttl: number | null = 100): Promise<FastifyInstance> =>
  (await tokenApp(t, { store, ttl, transport: cookieTransport(options) }, routes)).app

/** The seconds that the cookie of a reply lives; `browser`: as long as the browser; `undefined`: there is none. */
async function life (visitor: Visitor, url: string): Promise<number | 'browser' | undefined> {
  const reply = await visitor.get(url)
  const cookie = reply.cookies.find(({ name }) => name === 'session')
  return cookie && (cookie.maxAge ?? cookie.expires ?? 'browser') as number | 'browser'
}

await inEachPlace(t, async (t, place) => {
  await t.test('persistent: false: the cookie ends with the browser, and the session by its ttl', async (t) => {
    const visitor = new Visitor(await app(t, place.connect(), { persistent: false }))
    t.equal(await life(visitor, '/visit'), 'browser')
    t.match(visitor.token, /^[\w-]{43}$/, 'a cookie by the rule has no mark')
    await place.advance(50_000)
    t.equal(await life(visitor, '/visit'), 'browser')
    t.equal(await life(visitor, '/renew'), 'browser')
    await place.advance(99_000)
    t.match((await visitor.get('/data')).json(), { visits: 2 })
    await place.advance(101_000)
    t.equal((await visitor.get('/data')).json<{ visits?: number }>().visits, undefined)
    await visitor.get('/visit')
    t.equal(await life(visitor, '/end'), 0)
  })

  for (const persistent of [true, false]) {
    await t.test(`persistent: ${persistent}: persist(${!persistent}) counts for one login, through uses and renewals`, async (t) => {
      const store = place.connect()
      const options = { persistent }
      const [byRule, said] = persistent ? [100, 'browser'] as const : ['browser', 100] as const
      const visitor = new Visitor(await app(t, store, options))
      t.equal(await life(visitor, '/visit'), byRule)
      t.equal(await life(visitor, `/login/${!persistent}`), said)
      await place.advance(50_000)
      t.equal(await life(visitor, '/visit'), said, 'a use that slides the expiry')
      t.equal(await life(visitor, '/renew'), said)
      t.match((await visitor.get('/data')).json(), { visits: 2, user: 'ada' })
      const other = new Visitor(await app(t, store, options))
      other.cookies.set('session', visitor.token as string)
      await place.advance(50_000)
      t.equal(await life(other, '/visit'), said, 'another process knows it too')
      t.equal(await life(other, '/login/unsaid'), byRule, 'a new login begins by the rule')
      t.equal(await life(other, `/persist/${!persistent}`), said, 'also without any other change')
      t.equal(await life(other, `/persist/${persistent}`), byRule)
      t.match(other.token, /^[\w-]{43}$/)
      t.match((await other.get('/data')).json(), { visits: 3, user: 'ada' })
    })
  }

  await t.test('a session that has expired leaves nothing to the next one', async (t) => {
    const visitor = new Visitor(await app(t, place.connect()))
    t.equal(await life(visitor, '/login/false'), 'browser')
    await place.advance(101_000)
    t.equal(await life(visitor, '/visit'), 100)
  })
})

t.test('a session that never expires is sent at each use, as it was', async (t) => {
  const visitor = new Visitor(await app(t, memoryStore(), {}, null))
  t.equal(await life(visitor, '/login/false'), 'browser')
  t.equal(await life(visitor, '/data'), 'browser')
  t.equal(await life(visitor, '/persist/true'), 34_560_000)
  t.equal(await life(visitor, '/data'), 34_560_000)
})

t.test('session.token is the token alone; the mark is no part of it', async (t) => {
  const store = memoryStore()
  const visitor = new Visitor(await app(t, store))
  await visitor.get('/login/false')
  const { token } = (await visitor.get('/data')).json<{ token: string }>()
  t.equal(visitor.token, `${token}.b`)
  t.match(await tokenSessions({ store }).exists([token]), { count: 1 })
})

t.test('of several cookies of one name that of the session counts, with its mark', async (t) => {
  const its = await app(t, memoryStore())
  const visitor = new Visitor(its)
  await visitor.get('/login/false')
  const reply = await its.inject({ url: '/renew', headers: { cookie: `session=${'a'.repeat(43)}; session=${visitor.token}` } })
  t.match(setCookies(reply), [/^session=[\w-]{43}\.b; Path=\/; HttpOnly; SameSite=Lax$/])
})

t.test('other marks are no tokens', async (t) => {
  const its = await app(t, memoryStore())
  const visitor = new Visitor(its)
  await visitor.get('/visit')
  for (const mark of ['.', '.x', '.b.b', 'b', '.P']) {
    const reply = await its.inject({ url: '/data', headers: { cookie: `session=${visitor.token}${mark}` } })
    t.equal(reply.json<{ visits?: number }>().visits, undefined, mark)
  }
})

t.test('a header has no life of its own: persist() changes nothing there', async (t) => {
  const { app } = await tokenApp(t, { transport: headerTransport() }, routes)
  const reply = await app.inject('/login/false')
  t.match(reply.headers['authorization'], /^Bearer [\w-]{43}$/)
})

t.test('persist() takes true or false, and a transport of the app is given it', async (t) => {
  const written: unknown[] = []
  const { app } = await tokenApp(t, { transport: { read: () => undefined, write: (_reply, _token, _expiresAt, persistent) => { written.push(persistent) } } }, (app) => {
    routes(app)
    app.get('/wrong', async (request) => { (await request.session).persist('yes' as never) })
  })
  for (const url of ['/login/true', '/login/false', '/login/unsaid']) await app.inject(url)
  t.strictSame(written, [true, false, undefined])
  t.match((await app.inject('/wrong')).json(), { code: 'FST_SESSION_OPTION', message: "persist(): must be given true or false; got 'yes'" })
  t.throws(() => cookieTransport({ persistent: 1 as never }), { code: 'FST_SESSION_OPTION', message: /persistent/ })
})
