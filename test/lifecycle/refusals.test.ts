import t from 'tap'
import { assertNoOpenSessions } from '../../lib/index.js'
import { fakeApp } from '../support/fake-app.js'

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
