import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { cookieTransport, headerTransport, tokenSessions, type CompleteTokenProvider, type TokenTransport } from '../../lib/index.js'

interface Data { user?: string, visits?: number }

async function appOf (t: Test, users: CompleteTokenProvider<Data>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorate('users', users)
  app.register(requestSession, { provider: users, name: 'user' })
  const sessionOf = (request: object) => (request as { user: Promise<Awaited<ReturnType<typeof users.create>>> }).user
  app.get('/me', async (request) => (await sessionOf(request)).data())
  app.post('/login', async (request) => {
    const session = await sessionOf(request)
    session.regenerate()
    session.set('user', 'ada')
  })
  app.post('/remembered', async (request) => {
    const session = (await sessionOf(request)).set('user', 'ada')
    session.persist(true)
  })
  app.post('/logout', async (request) => { (await sessionOf(request)).end() })
  app.post('/other-cookies', async (_request, reply) => reply.header('set-cookie', ['a=1; Path=/', 'session2=x', '=session']).send())
  await app.ready()
  return app
}

const transports: Record<string, () => TokenTransport> = {
  'the default cookie': () => cookieTransport(),
  'a cookie of another name': () => cookieTransport({ name: 'shop.id', sameSite: 'strict' }),
  'a cookie that ends with the browser': () => cookieTransport({ persistent: false }),
  'a secure cookie': () => cookieTransport({ secure: true }),
  'the authorization header': () => headerTransport(),
  'a header of its own': () => headerTransport({ name: 'x-session' }),
  'a transport of its own': () => ({
    read: (request) => request.headers['x-own'] as string | undefined,
    write: (reply, token) => { reply.header('x-own', token ?? '') },
    present: (token) => ({ 'x-own': token }),
    receive: (headers) => headers.get('x-own') || undefined,
  }),
}

for (const [name, transport] of Object.entries(transports)) {
  t.test(`${name}: a request comes with a session, and a reply gives one`, async (t) => {
    const users = tokenSessions<Data>({ transport: transport() })
    const app = await appOf(t, users)
    const ada = await users.inject({ data: { user: 'ada' }, subject: 'ada' })
    t.strictSame((await app.inject({ url: '/me', ...ada })).json(), { user: 'ada' })
    const session = await users.create({ data: { user: 'bob' } })
    t.strictSame((await app.inject({ url: '/me', ...await users.inject(session) })).json(), { user: 'bob' }, 'a session that is there')
    t.strictSame((await app.inject({ url: '/me', ...await users.inject() })).json(), {}, 'a new one without data')

    const login = await app.inject({ method: 'POST', url: '/login', ...ada })
    const loggedIn = await users.sessionOf(login)
    t.strictSame(loggedIn?.data(), { user: 'ada' })
    t.strictSame((await app.inject({ url: '/me', ...await users.inject(loggedIn) })).json(), { user: 'ada' })
    t.equal((await users.sessionOf(await app.inject({ method: 'POST', url: '/remembered' })))?.get('user'), 'ada', 'also with another life of the cookie')
    t.equal(await users.sessionOf(await app.inject({ method: 'POST', url: '/other-cookies' })), undefined, 'the reply has none')
    const logout = await app.inject({ method: 'POST', url: '/logout', ...await users.inject(loggedIn) })
    t.equal(await users.sessionOf(logout), undefined, 'it is taken away')
    t.equal(await users.sessionOf(login), undefined, 'it is over since')
  })
}

t.test("a session's unsaved changes are saved, and a session that is over is presented as it is", async (t) => {
  const users = tokenSessions<Data>()
  const app = await appOf(t, users)
  const session = await users.create({ data: { visits: 1 } })
  session.set('user', 'ada')
  t.strictSame((await app.inject({ url: '/me', ...await users.inject(session) })).json(), { user: 'ada', visits: 1 })
  session.regenerate(['user'])
  t.strictSame((await app.inject({ url: '/me', ...await users.inject(session) })).json(), { user: 'ada' })
  await users.end(session.token)
  t.strictSame((await app.inject({ url: '/me', ...await users.inject(session) })).json(), {})
})

t.test('the replies of fetch() are read too', async (t) => {
  const users = tokenSessions<Data>()
  const app = await appOf(t, users)
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const reply = await fetch(`${address}/login`, { method: 'POST' })
  t.equal((await users.sessionOf(reply))?.get('user'), 'ada')
  t.strictSame(await (await fetch(`${address}/me`, await users.inject(await users.sessionOf(reply)))).json(), { user: 'ada' })
})

t.test('misuse is refused by name', async (t) => {
  const users = tokenSessions<Data>({ transport: { read: () => undefined, write () {} } })
  await t.rejects(users.inject(), { code: 'FST_SESSION_OPTION', message: /inject\(\).*present\(token\)/ })
  await t.rejects(users.sessionOf(new Response()), { code: 'FST_SESSION_OPTION', message: /sessionOf\(\).*receive\(headers\)/ })
  for (const reply of [undefined, 'a text', {}]) {
    await t.rejects(tokenSessions().sessionOf(reply as never), { code: 'FST_SESSION_OPTION', message: /a reply with headers/ })
  }
  await t.rejects(tokenSessions<Data>().inject({ datum: {} } as never), { code: 'FST_SESSION_OPTION', message: /datum/ })
})
