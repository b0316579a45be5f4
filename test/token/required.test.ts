import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { memoryStore, tokenSessions, type SubjectStore, type TokenSession } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

const required = { session: { required: true } }
/** A store that keeps an index of subjects. */
function spyStore (): SpyStore & Pick<SubjectStore, 'idsOf'> {
  const inner = memoryStore()
  return Object.assign(new SpyStore(inner), { idsOf: (subject: string) => inner.idsOf(subject) })
}

const fresh = { session: { fresh: 300 } }

function routes (app: FastifyInstance): void {
  app.get('/', { config: required }, async (request) => ({ user: (await request.session).subject }))
  app.get('/early', { config: { session: { required: true, load: 'onRequest' } } }, async (request) => ({ user: (request.session as unknown as TokenSession).subject }))
  app.get('/password', { config: fresh }, async (request) => ({ user: (await request.session).subject }))
  app.get('/both', { config: { session: { required: true, fresh: 300 } } }, async (request) => ({ user: (await request.session).subject }))
  app.get('/visit', async (request) => { (await request.session).set('basket', ['pizza']); return 'ok' })
  app.get('/login', async (request) => {
    const session = await request.session
    session.regenerate(['basket'])
    session.subject = 'ada'
    return { freshAt: session.freshAt?.getTime() }
  })
  app.get('/renew', async (request) => { (await request.session).renew(); return 'ok' })
  app.get('/logout', async (request) => { (await request.session).end(); return 'ok' })
  app.get('/fresh-at', async (request) => {
    const session = await request.session
    return { freshAt: session.freshAt?.getTime() ?? null, createdAt: session.createdAt.getTime() }
  })
}

await inEachPlace(t, async (t, place) => {
  await t.test('required: true', async (t) => {
    const { app } = await tokenApp(t, { store: place.connect() }, routes)
    const visitor = new Visitor(app)
    for (const url of ['/', '/early', '/both']) {
      const reply = await visitor.get(url)
      t.match([reply.statusCode, reply.json()], [401, { code: 'FST_SESSION_REQUIRED', message: `GET ${url} needs a session that belongs to a user. Log in first.` }])
      t.strictSame(setCookies(reply), [])
    }
    await visitor.get('/visit')
    t.match((await visitor.get('/')).json(), { code: 'FST_SESSION_REQUIRED' }, 'a session without a subject is not enough')
    await visitor.get('/login')
    for (const url of ['/', '/early', '/both']) t.strictSame((await visitor.get(url)).json(), { user: 'ada' })
    t.match((await app.inject({ url: '/', headers: { cookie: `session=${'a'.repeat(43)}` } })).json(), { code: 'FST_SESSION_REQUIRED' })
    await visitor.get('/logout')
    t.match((await visitor.get('/')).json(), { code: 'FST_SESSION_REQUIRED' })
  })

  await t.test('fresh: the login is at most so long ago, whatever is used and renewed since', async (t) => {
    const { app } = await tokenApp(t, { store: place.connect() }, routes)
    const visitor = new Visitor(app)
    t.match((await visitor.get('/password')).json(), { statusCode: 401, code: 'FST_SESSION_NOT_FRESH', message: 'GET /password needs a login within the last 300 seconds. Log in again.' })
    await visitor.get('/visit')
    await place.advance(200_000)
    const { freshAt } = (await visitor.get('/login')).json<{ freshAt: number }>()
    t.equal(freshAt, Date.now())
    await place.advance(200_000)
    await visitor.get('/renew')
    t.strictSame((await visitor.get('/fresh-at')).json(), { freshAt, createdAt: freshAt })
    await place.advance(100_000)
    t.strictSame((await visitor.get('/password')).json(), { user: 'ada' })
    t.strictSame((await visitor.get('/both')).json(), { user: 'ada' })
    await place.advance(1)
    for (const url of ['/password', '/both']) t.match((await visitor.get(url)).json(), { statusCode: 401, code: 'FST_SESSION_NOT_FRESH' })
    t.strictSame((await visitor.get('/')).json(), { user: 'ada' })
    await visitor.get('/login')
    t.strictSame((await visitor.get('/password')).json(), { user: 'ada' })
  })
})

t.test('freshAt: undefined without a subject; a session that a manager makes with one is fresh', async (t) => {
  const { app } = await tokenApp(t, {}, routes)
  const visitor = new Visitor(app)
  await visitor.get('/visit')
  t.match((await visitor.get('/fresh-at')).json(), { freshAt: null, createdAt: Number })
  const users = tokenSessions()
  t.equal((await users.create()).freshAt, undefined)
  const session = await users.create({ subject: 'ada' })
  t.strictSame(session.freshAt, session.createdAt)
  session.end()
  t.equal(session.freshAt, undefined)
})

t.test('both are answered before the body is parsed, and keep the handler and later hooks out', async (t) => {
  const seen: string[] = []
  const { app } = await tokenApp(t, {}, (app) => {
    for (const [url, config] of Object.entries({ '/required': required, '/fresh': fresh })) {
      app.post(url, { config, preParsing: (_request, _reply, payload, done) => { seen.push('parsing'); done(null, payload) } }, async () => { seen.push('handler') })
    }
  })
  for (const url of ['/required', '/fresh']) {
    const reply = await app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: '{' })
    t.equal(reply.statusCode, 401)
  }
  t.strictSame(seen, [])
})

t.test('a store that cannot be read is a 503, also where visitors may be anonymous', async (t) => {
  for (const onStoreError of ['fail', 'anonymous'] as const) {
    const store = spyStore()
    const { app } = await tokenApp(t, { store, onStoreError }, routes)
    const visitor = new Visitor(app)
    await visitor.get('/login')
    store.failing = { error: new Error('gone') }
    for (const url of ['/', '/early', '/password', '/both']) {
      const reply = await visitor.get(url)
      t.match([reply.statusCode, reply.json()], [503, { code: 'FST_SESSION_STORE_UNAVAILABLE' }], `${onStoreError}: ${url}`)
      t.strictSame(setCookies(reply), [])
    }
  }
})

t.test('a token that was given up a moment ago is no reason to log in: 409, as its work', async (t) => {
  const { app } = await tokenApp(t, {}, routes)
  const visitor = new Visitor(app)
  await visitor.get('/login')
  const headers = { cookie: `session=${visitor.token}` }
  await visitor.get('/renew')
  for (const url of ['/', '/password']) t.match((await app.inject({ url, headers })).json(), { statusCode: 409, code: 'FST_SESSION_RENEWED' })
  t.equal((await visitor.get('/')).statusCode, 200)
})

t.test('with load: onRequest of the plugin, and a not-found handler', async (t) => {
  const { app } = await tokenApp(t, { load: 'onRequest' }, routes)
  const visitor = new Visitor(app)
  t.equal((await visitor.get('/')).statusCode, 401)
  t.equal((await visitor.get('/nowhere')).statusCode, 404)
  await visitor.get('/login')
  t.strictSame((await visitor.get('/early')).json(), { user: 'ada' })
})

t.test('the session is read once, and a route without conditions reads none', async (t) => {
  const store = spyStore()
  const { app } = await tokenApp(t, { store }, (app) => {
    routes(app)
    app.get('/unused', { config: { session: { required: false } } }, async () => 'ok')
  })
  const visitor = new Visitor(app)
  await visitor.get('/login')
  store.take()
  await visitor.get('/')
  t.strictSame(store.take(), ['load'])
  await visitor.get('/unused')
  t.strictSame(store.take(), [])
})

t.test('request.session stays a promise on such a route', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    routes(app)
    app.get('/then', { config: required }, (request) => request.session.then(({ subject }) => ({ subject })))
  })
  const visitor = new Visitor(app)
  await visitor.get('/login')
  t.strictSame((await visitor.get('/then')).json(), { subject: 'ada' })
})

t.test('the options are of routes alone, and are checked', async (t) => {
  for (const [option, value] of [['required', 'yes'], ['required', null], ['fresh', 0], ['fresh', null], ['fresh', 1.5], ['fresh', true]] as const) {
    await t.rejects(tokenApp(t, {}, (app) => {
      app.get('/', { config: { session: { [option]: value } } }, async () => 'ok')
    }), { code: 'FST_SESSION_OPTION', message: new RegExp(`^config.session of GET /: option ${option} must be `) })
  }
  t.throws(() => tokenSessions({ required: true } as object), { code: 'FST_SESSION_OPTION', message: /unknown option 'required'/ })
  await t.rejects(tokenApp(t, { store: new SpyStore(memoryStore()) }, routes), { code: 'FST_SESSION_STORE_LACKS' })
})
