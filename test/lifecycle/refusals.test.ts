import Fastify from 'fastify'
import t from 'tap'
import { assertNoOpenSessions } from '../../lib/index.js'
import { fakeApp, registerFake } from '../support/fake-app.js'

t.test('config false refuses the session, by name, and leaves the other one alone', async (t) => {
  const { app, first, second } = await fakeApp(t, {}, (app) => {
    app.get('/refused', { config: { first: false } }, async (request) => {
      request.second.add('a')
      t.throws(() => request.first, {
        code: 'FST_SESSION_REFUSED', message: 'request.first must not be used by GET /refused: its route config says false.',
      })
      t.equal(request.firstScope.state, 'unopened')
      return 'ok'
    })
    app.get('/allowed', async (request) => { request.first.add('b'); return 'ok' })
  })
  for (const url of ['/refused', '/allowed']) t.equal((await app.inject(url)).statusCode, 200)
  await assertNoOpenSessions(app)
  t.strictSame([[...first.kept], [...second.kept]], [['b'], ['a']])
  t.equal(first.provider.opened, 1)
})

t.test('a route that was defined before the plugin was loaded is told so, and nothing is opened; a hook works', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/route/:id', async (request) => {
    t.throws(() => request.first, { code: 'FST_SESSION_TOO_EARLY', message: /^request\.first was used by GET \/route\/:id, / })
    return 'ok'
  })
  app.addHook('onRequest', async (request) => {
    if (request.url === '/hook') request.first.add('in a hook')
  })
  const first = await registerFake(app, 'first')
  app.get('/hook', async ({ first }) => { first.add('later in the request'); return 'ok' })
  t.equal((await app.inject('/route/1')).statusCode, 200)
  t.equal(first.provider.opened, 0)
  t.equal((await app.inject('/hook')).statusCode, 200)
  await assertNoOpenSessions(app)
  t.strictSame([...first.kept], ['in a hook', 'later in the request'])
})

t.test('a route whose options are wrong does not boot, and is named', async (t) => {
  const wrong: Array<[unknown, RegExp]> = [
    [true, /config\.first of GET \/wrong: must be an object of options, or false .*; got true/],
    ['no', /config\.first of GET \/wrong: must be an object of options, or false .*; got a string of 2 characters/],
    [{ commit: 'onsend' }, /config\.first of GET \/wrong: .*commit .*'onsend'/],
    [{ commitWhen: true }, /config\.first of GET \/wrong: .*commitWhen .*true/],
  ]
  for (const [config, message] of wrong) {
    await t.rejects(async () => fakeApp(t, {}, (app) => {
      app.get('/wrong', { config: { first: config as false } }, async () => 'ok')
    }), { code: 'FST_SESSION_OPTION', message })
  }
})
