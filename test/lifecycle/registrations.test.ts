import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import requestSession, { assertNoOpenSessions, cookieTransport, getSession, headerTransport, memoryStore, tokenSessions, type TokenSessionOptions } from '../../lib/index.js'
import { fakeProvider } from '../support/fake-provider.js'
import { registerFake, fakeApp, type FakeSessions } from '../support/fake-app.js'

t.test('encapsulated registrations of one name work side by side, each for its own routes', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const sides: FakeSessions[] = []
  for (const prefix of ['/left', '/right']) {
    await app.register(async (side) => {
      sides.push(await registerFake(side, 'first'))
      side.get('/', async ({ first }) => { first.add(prefix); return 'ok' })
      side.setNotFoundHandler(async ({ first }, reply) => { first.add(`${prefix} not found`); return reply.code(200).send('ok') })
    }, { prefix })
  }
  app.get('/', async (request) => 'first' in request)
  t.equal((await app.inject('/')).body, 'false', 'outside of both there is none')
  for (const url of ['/left', '/right', '/left/nowhere', '/right/nowhere']) t.equal((await app.inject(url)).statusCode, 200)
  t.strictSame(sides.map(({ kept }) => [...kept]), [['/left', '/left not found'], ['/right', '/right not found']])
  for (const { provider } of sides) {
    await provider.allClosed()
    t.strictSame(provider.steps.filter((step) => step === 'commit').length, 2)
    t.ok(provider.sessions.every(({ settledAfterHeaders, closes }) => settledAfterHeaders === false && closes === 1))
  }
  t.notOk(app.hasDecorator('getFirst'))
})

t.test("a context adds to its parent's registrations, which know nothing of it", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const first = await registerFake(app, 'first')
  let second: FakeSessions | undefined
  await app.register(async (inner) => {
    second = await registerFake(inner, 'second')
    inner.get('/inner', async (request) => { request.first.add('inner'); request.second.add('inner'); return 'ok' })
  })
  app.get('/outer', async (request) => { request.first.add('outer'); return 'second' in request })
  t.equal((await app.inject('/inner')).statusCode, 200)
  t.equal((await app.inject('/outer')).body, 'false')
  await assertNoOpenSessions(app)
  t.strictSame([[...first.kept], [...second?.kept ?? []]], [['inner', 'outer'], ['inner']])
  t.strictSame(Object.entries(app.sessionStats()).map(([name, { committed }]) => [name, committed]), [['first', 2], ['second', 1]])
})

t.test('sessionStats() tells of sibling contexts, each registration by itself', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await registerFake(app, 'second')
  for (const prefix of ['/left', '/right']) {
    await app.register(async (side) => {
      await registerFake(side, 'first')
      side.get('/', async ({ first }) => { first.add(prefix); return 'ok' })
    }, { prefix })
  }
  for (const url of ['/left', '/right', '/right']) await app.inject(url)
  await assertNoOpenSessions(app)
  t.strictSame(Object.entries(app.sessionStats()).map(([name, { committed }]) => [name, committed]), [['second', 0], ['first', 1], ['first#2', 2]])
})

t.test('assertNoOpenSessions() looks into all contexts, and refuses an app in which there is nothing to look at', async (t) => {
  const app = Fastify()
  await t.rejects(assertNoOpenSessions(app), { code: 'FST_SESSION_OPTION', message: /not registered/ })
  let opened = (): void => {}
  let leave = (): void => {}
  const open = new Promise<void>((resolve) => { opened = resolve })
  app.register(async (child) => {
    await registerFake(child, 'first')
    child.get('/', async ({ first }) => {
      first.add('a')
      opened()
      await new Promise<void>((resolve) => { leave = resolve })
      return 'ok'
    })
  })
  const reply = app.inject('/')
  await open
  await t.rejects(assertNoOpenSessions(app, { within: 1 }), { code: 'FST_SESSION_STILL_OPEN', message: /first of GET \// })
  leave()
  await reply
  await assertNoOpenSessions(app)
  await app.close()
})

t.test('two apps in one process never see each other', async (t) => {
  const apps = await Promise.all([1, 2].map(() => fakeApp(t, {}, (app) => {
    app.get('/', async ({ first }) => { first.add('a'); return 'ok' })
  })))
  await apps[0]?.app.inject('/')
  await apps[0]?.first.provider.allClosed()
  t.strictSame(apps.map(({ app, first }) => [app.sessionStats()['first']?.committed, first.kept.size]), [[1, 1], [0, 0]])
})

t.test('one name twice in one instance does not boot, and the error says how to name them', async (t) => {
  for (const name of [undefined, 'first']) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(requestSession, { name })
    app.register(requestSession, { name, provider: fakeProvider() })
    const message = `requestSession: two registrations are named '${name ?? 'session'}', of token and of graph sessions: give one another name with the option name`
    await t.rejects(async () => app.ready(), { code: 'FST_SESSION_OPTION', message })
  }
})

t.test("app.<name>Provider is the provider, in children too, each context's own", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const [users, others] = [tokenSessions(), fakeProvider()]
  const providerOf = (app: FastifyInstance): unknown => Reflect.get(app, 'sessionProvider')
  app.register(async (child) => {
    await child.register(requestSession, { provider: others })
    t.equal(providerOf(child), others)
  })
  app.register(requestSession, { provider: users })
  app.register(async (child) => { t.equal(providerOf(child), users) })
  await app.ready()
  t.equal(providerOf(app), users)
})

t.test('a provider of several apps is closed with the last of them', async (t) => {
  const users = tokenSessions<{ n: number }>()
  const { token } = await users.create()
  const told: unknown[] = []
  const apps = await Promise.all([1, 2].map(async () => {
    const app = Fastify()
    app.register(requestSession, { provider: users })
    app.register(requestSession, { name: 'again', provider: users })
    await app.ready()
    return app
  }))
  const next = (): Promise<unknown> => new Promise((resolve) => { heard = resolve })
  let heard = (_type: unknown): void => {}
  await users.subscribe({ token }, async (update) => { told.push(update); heard(update) })
  const change = async (): Promise<void> => {
    await getSession(users, null, (session) => session.increment('n'), { token })
  }
  await apps[0]?.close()
  const update = next()
  await change()
  await update
  t.equal(told.length, 1, 'the subscription is still there')
  await apps[1]?.close()
  await change()
  t.equal(told.length, 1, 'and has ended')
})

t.test('routes of all kinds settle before their headers: GET and its HEAD, several methods, a prefix, hooks of their own', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    const handler = async ({ first, method }: { first: { add: (key: string) => void }, method: string }): Promise<string> => {
      first.add(method)
      return 'ok'
    }
    const order = async (): Promise<void> => { t.strictSame([...first.kept], [], "the route's own onSend comes before the commit") }
    app.route({ method: ['GET', 'POST', 'DELETE'], url: '/', onSend: order, handler })
    app.register(async (inner) => { inner.get('/inner', { onSend: [order] }, handler) }, { prefix: '/prefix' })
  })
  const requests = [['GET', '/'], ['HEAD', '/'], ['POST', '/'], ['DELETE', '/'], ['GET', '/prefix/inner'], ['HEAD', '/prefix/inner']] as const
  for (const [method, url] of requests) {
    t.equal((await app.inject({ method, url })).statusCode, 200)
    t.strictSame([...first.kept], [method], `${method} ${url}`)
    await first.provider.allClosed()
    t.equal(first.provider.sessions.at(-1)?.settledAfterHeaders, false)
    ;(first.kept as Set<string>).clear()
  }
  t.equal(first.provider.opened, requests.length)
})

t.test('two token providers must not use one cookie', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const users = tokenSessions()
  await app.register(requestSession, { provider: users })
  await app.register(requestSession, { name: 'again', provider: users })
  await app.register(requestSession, { name: 'other', provider: tokenSessions({ transport: cookieTransport({ name: 'other' }) }) })
  app.register(requestSession, { name: 'baskets', provider: tokenSessions() })
  await t.rejects(async () => app.ready(), { code: 'FST_SESSION_OPTION', message: /baskets and session would use the same cookie session: / })
})

t.test('two contexts that make the provider of one name anew are told to share it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const users = tokenSessions()
  app.register(requestSession, { provider: users })
  app.register(async (child) => { child.register(requestSession, { provider: users }) })
  app.register(async (child) => { child.register(requestSession) })
  await t.rejects(async () => app.ready(), { code: 'FST_SESSION_OPTION', message: /: two providers of session would use the same cookie session: register one of them for both, or / })
})

t.test('token providers that would take each other\'s tokens or cookies are refused wherever they are registered', async (t) => {
  const store = memoryStore()
  const cases: Array<[string, TokenSessionOptions, TokenSessionOptions, RegExp]> = [
    ['one cookie with two paths', { transport: cookieTransport({ path: '/shop' }) }, { transport: cookieTransport() }, /cookie session/],
    ['one header', { transport: headerTransport() }, { transport: headerTransport({ scheme: 'Token' }) }, /header authorization/],
    ['one store', { store }, { store, transport: cookieTransport({ name: 'admin' }) }, /store, number \d+/],
  ]
  for (const [name, one, other, message] of cases) {
    for (const siblings of [false, true]) {
      const app = Fastify()
      t.teardown(() => app.close())
      const register = (name: string, options: TokenSessionOptions) => async (app: FastifyInstance) => {
        await app.register(requestSession, { name, provider: tokenSessions(options) })
      }
      if (siblings) app.register(register('session', one)).register(register('session', other))
      else app.register(fp(register('session', one))).register(fp(register('admin', other)))
      await t.rejects(async () => app.ready(), { code: 'FST_SESSION_OPTION', message }, `${name}, ${siblings ? 'in siblings' : 'in one instance'}`)
    }
  }
})

t.test('of two registrations of one name, the options of a route are those of the nearer one', async (t) => {
  const [users, admins] = [tokenSessions(), tokenSessions({ transport: cookieTransport({ name: 'admin' }) })]
  for (const isAwaited of [true, false]) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(requestSession, { provider: users })
    app.register(async (child) => {
      const registered = child.register(requestSession, { provider: admins })
      if (isAwaited) await registered
      child.get('/', { config: { session: { required: true } } }, async (request) => (await request.session).subject)
    }, { prefix: '/admin' })
    app.get('/', { config: { session: { required: true } } }, async (request) => (await request.session).subject)
    const [ada, root] = [await users.inject({ subject: 'ada' }), await admins.inject({ subject: 'root' })]
    t.equal((await app.inject({ url: '/admin', ...root })).body, 'root')
    t.equal((await app.inject({ url: '/admin', ...ada })).statusCode, 401)
    t.equal((await app.inject({ url: '/', ...ada })).body, 'ada')
    t.equal((await app.inject({ url: '/', ...root })).statusCode, 401)
    await assertNoOpenSessions(app)
  }
})

t.test('a nearer registration has route options of its own kind', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(requestSession)
  app.register(async (child) => {
    await child.register(requestSession, { provider: fakeProvider() })
    child.get('/', { config: { session: { own: true } } as object }, async () => 'ok')
  })
  t.equal((await app.inject('/')).body, 'ok')
})

/** Ways in which an onRoute hook protects routes. */
const protections: Record<string, (route: RouteOptions) => void> = {
  'a copy of the config': (route) => { route.config = { ...route.config, session: { required: true } } },
  'the config itself': (route) => { Object.assign(route.config ??= {}, { session: { required: true } }) },
  'another config': (route) => { route.config = { session: { required: true } } },
}

for (const [name, protect] of Object.entries(protections)) {
  t.test(`route options of an onRoute hook count, before and after the plugin: ${name}`, async (t) => {
    for (const isAwaited of [true, false]) {
      for (const isBefore of [true, false]) {
        const app = Fastify()
        t.teardown(() => app.close())
        if (isBefore) app.addHook('onRoute', protect)
        const registered = app.register(requestSession)
        if (isAwaited) await registered
        if (!isBefore) app.addHook('onRoute', protect)
        app.get('/', async () => 'secret')
        app.register(async (child) => { child.get('/', { config: { session: { ttl: 60 } } }, async () => 'secret') }, { prefix: '/child' })
        for (const url of ['/', '/child', '/child/']) {
          for (const method of ['GET', 'HEAD'] as const) t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
        }
      }
    }
  })
}

t.test('a wrong option of an onRoute hook stops the boot', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession)
  app.addHook('onRoute', (route) => { route.config = { ...route.config, session: { requierd: true } } as object })
  t.throws(() => app.get('/', async () => 'secret'), { code: 'FST_SESSION_OPTION', message: /^config\.session of GET \/: unknown option 'requierd'/ })
})
