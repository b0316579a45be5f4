import Fastify from 'fastify'
import t from 'tap'
import requestSession, { assertNoOpenSessions, cookieTransport, memoryStore, tokenSessions } from '../lib/index.js'
import { barrier } from './support/barrier.js'
import { SpyStore } from './support/spy-store.js'
import { tokenApp } from './support/token-app.js'

t.test('refuses an app that the plugin is not registered in', async (t) => {
  await t.rejects(assertNoOpenSessions(Fastify()), {
    code: 'FST_SESSION_OPTION',
    message: 'assertNoOpenSessions(): the plugin is not registered in this app; call it after app.ready()',
  })
})

t.test('resolves at once where nothing is open', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => { app.get('/', async (request) => (await request.session).increment('n')) })
  await assertNoOpenSessions(app)
  await app.inject('/')
  await assertNoOpenSessions(app)
  t.pass('nothing is open')
})

t.test('waits for a session that is being closed', async (t) => {
  const store = new SpyStore(memoryStore())
  const [started, go] = [barrier(), barrier()]
  const { app } = await tokenApp(t, { store, commit: 'onResponse' }, (app) => {
    app.get('/', async (request) => (await request.session).increment('n'))
  })
  store.before = () => { started.open(); return go.opened }
  await app.inject('/')
  await started.opened
  let done = false
  const asserted = assertNoOpenSessions(app, { within: 60_000 }).then(() => { done = true })
  await new Promise(setImmediate)
  t.equal(done, false)
  go.open()
  await asserted
  t.equal(done, true)
})

t.test('names the routes of those that stay open', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions() })
  await app.register(requestSession, { name: 'second', provider: tokenSessions({ transport: cookieTransport({ name: 'second' }) }) })
  const [started, go] = [barrier(), barrier()]
  app.get('/:name', async (request) => {
    const { session, second } = request as unknown as Record<string, Promise<unknown>>
    await Promise.all([session, second])
    started.open()
    await go.opened
    return 'ok'
  })
  const reply = app.inject('/a')
  await started.opened
  await t.rejects(assertNoOpenSessions(app, { within: 1 }), {
    code: 'FST_SESSION_STILL_OPEN', message: '2 session(s) are still open: session of GET /:name, second of GET /:name',
  })
  go.open()
  await reply
  await assertNoOpenSessions(app)
})
