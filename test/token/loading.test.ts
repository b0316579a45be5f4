import Fastify from 'fastify'
import t from 'tap'
import requestSession, { memoryStore, tokenSessions, TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

t.test('a route that does not touch the session asks the store nothing, whatever the client sends', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/', async () => 'ok')
    app.get('/in', async (request) => { (await request.session).set('a', 1); return 'ok' })
  })
  const visitor = new Visitor(app)
  await visitor.get('/in')
  store.take()
  const reply = await visitor.get('/')
  t.strictSame(store.take(), [])
  t.strictSame(setCookies(reply), [])
  t.equal((await visitor.get('/nowhere')).statusCode, 404)
  t.strictSame(store.take(), [])
})

t.test('a visit that only reads makes no record and sets no cookie', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request) => {
      const session = await request.session
      return { has: session.has('a'), get: session.get('a') ?? null, size: session.size, data: session.data(), isNew: session.isNew, token: session.token.length }
    })
    app.get('/changed-back', async (request) => {
      const session = await request.session
      session.set('a', 1)
      session.delete('a')
      session.clear()
      session.touch()
      session.renew()
      session.update('a', () => undefined)
      await session.commit()
      return { isNew: session.isNew }
    })
  })
  const reply = await new Visitor(app).get('/')
  t.strictSame(reply.json(), { has: false, get: null, size: 0, data: {}, isNew: true, token: 43 })
  t.strictSame(setCookies(reply), [])
  const changed = await new Visitor(app).get('/changed-back')
  t.strictSame(changed.json(), { isNew: true })
  t.strictSame(setCookies(changed), [])
  t.strictSame(store.take(), [])
})

t.test('loaded once per request, however often and however parallel it is used', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.addHook('preHandler', async (request) => { (await request.session).set('hook', true) })
    app.get('/', async (request) => {
      const sessions = await Promise.all([request.session, request.session, request.session])
      sessions[0]?.increment('n')
      return { same: new Set([...sessions, await request.session]).size, data: sessions[1]?.data() }
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/')
  store.take()
  t.strictSame((await visitor.get('/')).json(), { same: 1, data: { hook: true, n: 2 } })
  t.strictSame(store.take(), ['load', 'commit'])
})

t.test('what is used before it is loaded says so, and how to load it', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request) => {
      const unloaded = request.session as unknown as Record<string, () => unknown>
      const outcomes: Record<string, string | undefined> = {}
      for (const name of Object.getOwnPropertyNames(TokenSession.prototype).filter((name) => !['constructor', 'then', 'toJSON'].includes(name))) {
        try {
          const member = unloaded[name]
          outcomes[name] = typeof member === 'function' ? (member.call(unloaded), 'answered') : 'read'
        } catch (error) {
          const { code, message } = error as { code: string, message: string }
          outcomes[name] = message.includes(name) && message.includes('await request.session') ? code : message
        }
      }
      t.ok(request.session instanceof Promise)
      t.equal(await request.session.then((session) => session.size), 0)
      return outcomes
    })
  })
  const outcomes = (await app.inject('/')).json() as Record<string, string>
  t.ok(Object.keys(outcomes).length > 20)
  t.strictSame(new Set(Object.values(outcomes)), new Set(['FST_SESSION_NOT_LOADED']))
})

t.test('a property that is assigned before it is loaded throws, instead of being lost', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/property', async (request) => { Object.assign(request.session, { user: 'ada' }) })
    app.get('/subject', async (request) => { Object.assign(request.session, { subject: 'ada' }) })
    app.get('/token', async (request) => { Object.assign(request.session, { token: 'planted' }) })
    app.get('/symbol', async (request) => { Object.assign(request.session, { [Symbol('of a tracer')]: 1 }) })
    app.get('/untouched', async (request) => { untouched = request })
  })
  let untouched: object | undefined
  const codeOf = async (url: string): Promise<unknown> => (await app.inject(url)).json<{ code?: string } | null>()?.code
  t.equal(await codeOf('/property'), 'FST_SESSION_PROPERTY')
  t.equal(await codeOf('/subject'), 'FST_SESSION_NOT_LOADED')
  t.equal(await codeOf('/token'), 'FST_SESSION_NOT_LOADED')
  t.equal((await app.inject('/symbol')).statusCode, 200)
  await app.inject('/untouched')
  const standIn = (untouched as unknown as { session: object }).session
  t.throws(() => { Object.assign(standIn, { user: 'ada' }) }, { code: 'FST_SESSION_PROPERTY' }, 'also of a session that is not opened any more')
  t.throws(() => { Object.assign(standIn, { subject: 'ada' }) }, { code: 'FST_SESSION_NOT_LOADED' })
})

t.test('without an await it is a 500 with that name', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request) => (request.session as unknown as TokenSession).get('a'))
  })
  t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_NOT_LOADED' })
})

t.test('load: onRequest of the plugin: request.session is the session itself, in every hook and handler', async (t) => {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store, load: 'onRequest' })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider })
  const sessionOf = (request: object): TokenSession => (request as { session: TokenSession }).session
  app.addHook('onRequest', async (request) => { sessionOf(request).set('hook', true) })
  app.get('/', (request, reply) => {
    const session = sessionOf(request)
    reply.send({ is: session instanceof TokenSession, n: session.increment('n') })
  })
  app.get('/lazy', { config: { session: { load: 'lazy' } } }, async (request) => {
    t.ok((request.session as unknown) instanceof Promise)
    return { is: (await request.session) instanceof TokenSession }
  })
  app.setNotFoundHandler((request, reply) => { reply.code(404).send({ is: sessionOf(request) instanceof TokenSession }) })
  const visitor = new Visitor(app)
  t.strictSame((await visitor.get('/')).json(), { is: true, n: 1 })
  t.strictSame((await visitor.get('/')).json(), { is: true, n: 2 })
  t.strictSame((await visitor.get('/nowhere')).json(), { is: true })
  store.take()
  store.failing = { error: new Error('down') }
  t.equal((await visitor.get('/')).statusCode, 503)
})

t.test('load: onRequest of a route, in a plugin that is lazy', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/early', { config: { session: { load: 'onRequest' } } }, async (request) => {
      const session = request.session as unknown as TokenSession
      return { n: session.increment('n'), awaited: (await request.session) === session }
    })
    app.get('/untouched', { config: { session: { load: 'onRequest' } } }, async () => 'ok')
    app.get('/lazy', async (request) => ({ promise: (request.session as unknown) instanceof Promise }))
  })
  const visitor = new Visitor(app)
  t.strictSame((await visitor.get('/early')).json(), { n: 1, awaited: true })
  t.strictSame((await visitor.get('/early')).json(), { n: 2, awaited: true })
  t.strictSame((await visitor.get('/lazy')).json(), { promise: true })
  store.take()
  await visitor.get('/untouched')
  t.strictSame(store.take(), ['load'])
})

t.test('a session that is still being loaded when the handler is through is settled all the same', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app, log } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request) => { (await request.session).increment('n'); return 'ok' })
    app.get('/unawaited', async (request) => {
      request.session.then((session) => { session.increment('n') }, () => {})
      return 'ok'
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/')
  const loading = barrier()
  store.before = (method) => method === 'load' ? loading.opened : undefined
  const reply = visitor.get('/unawaited')
  setImmediate(() => { loading.open() })
  t.equal((await reply).statusCode, 200)
  store.before = undefined
  await app.getSession(null, (session) => { t.equal(session.get('n'), 2) }, { token: visitor.token })
  t.strictSame(log, [])
})
