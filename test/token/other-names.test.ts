import t from 'tap'
import type { TokenSession } from '../../lib/index.js'
import { tokenApp, Visitor } from '../support/token-app.js'

t.test('the names of other session plugins: save() commits, destroy() ends', async (t) => {
  const { app } = await tokenApp(t, { load: 'onRequest' }, (app) => {
    app.get('/save', async (request, reply) => {
      const session = await request.session
      session.set('user', 'ada')
      await session.save()
      return { saved: reply.hasHeader('set-cookie') }
    })
    app.get('/destroy', async (request) => {
      const session = await request.session
      await session.destroy()
      return { ended: session.ended }
    })
    app.get('/read', async (request) => (await request.session).data())
  })
  const visitor = new Visitor(app)
  t.strictSame((await visitor.get('/save')).json(), { saved: true })
  t.strictSame((await visitor.get('/read')).json(), { user: 'ada' })
  t.strictSame((await visitor.get('/destroy')).json(), { ended: true })
  t.strictSame((await visitor.get('/read')).json(), {})
  t.equal(visitor.token, undefined)
})

t.test('a callback is refused at once: the reply that it would send would never come', async (t) => {
  const { app } = await tokenApp(t, { load: 'onRequest' }, (app) => {
    for (const name of ['destroy', 'save', 'reload', 'regenerate'] as const) {
      app.get(`/${name}`, (request, reply) => { Reflect.apply((request.session as unknown as TokenSession)[name], request.session, [() => { reply.send('done') }]) })
    }
  })
  for (const name of ['destroy', 'save', 'reload']) {
    t.match((await app.inject(`/${name}`)).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: `${name}(): takes no callback: write await session.${name}()` })
  }
  t.match((await app.inject('/regenerate')).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /a list of keys; got a function/ })
})

t.test("options() of a plugin's own are taken, and those of the cookie are refused", async (t) => {
  const { app } = await tokenApp(t, {}, () => {})
  await app.getSession(null, (session) => {
    session.options({})
    session.options({ userInfo: 'ada' })
    for (const options of [{ maxAge: 60 }, { userInfo: 'ada', sameSite: 'none' }]) {
      t.throws(() => { session.options(options) }, { code: 'FST_SESSION_OPTION', message: /^options\(\): (maxAge|sameSite) cannot be set for one session: .*cookieTransport\(\)/ })
    }
  })
})
