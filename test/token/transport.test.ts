import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { cookieTransport, headerTransport, tokenSessions, type CookieOptions, type HeaderOptions, type TokenTransport } from '../../lib/index.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

function count (app: FastifyInstance): void {
  app.get('/', async (request) => ({ n: (await request.session).increment('n') }))
  app.get('/read', async (request) => ({ n: (await request.session).get('n') ?? null }))
  app.get('/end', async (request) => { (await request.session).end(); return 'ended' })
}

/** The one cookie that a first visit sets, without the token. */
async function cookieOf (t: Test, options?: CookieOptions): Promise<string> {
  const { app } = await tokenApp(t, { transport: cookieTransport(options) }, count)
  const [set = '', ...more] = setCookies(await app.inject('/'))
  t.strictSame(more, [])
  return set.replace(/=[\w-]{43}/, '=TOKEN')
}

/** Pretends to be in production while something is made. */
function inProduction<T> (make: () => T): T {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    return make()
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
}

t.test('cookie: the defaults', async (t) => {
  t.equal(await cookieOf(t), 'session=TOKEN; Max-Age=1800; Path=/; HttpOnly; SameSite=Lax')
})

t.test('cookie: every option', async (t) => {
  t.equal(await cookieOf(t, { name: 'sid', domain: 'shop.example.com', path: '/shop', secure: true, sameSite: 'strict', httpOnly: false, partitioned: true }),
    'sid=TOKEN; Max-Age=1800; Domain=shop.example.com; Path=/shop; Secure; Partitioned; SameSite=Strict')
  t.equal(await cookieOf(t, { secure: true, sameSite: 'none' }), '__Host-session=TOKEN; Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=None')
  t.equal(await cookieOf(t, { secure: true, domain: 'example.com' }), '__Secure-session=TOKEN; Max-Age=1800; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax')
  t.equal(await cookieOf(t, { secure: true, path: '/shop' }), '__Secure-session=TOKEN; Max-Age=1800; Path=/shop; HttpOnly; Secure; SameSite=Lax')
  t.equal(await cookieOf(t, { secure: false, path: '/shop' }), 'session=TOKEN; Max-Age=1800; Path=/shop; HttpOnly; SameSite=Lax')
})

t.test('cookie: in production it is Secure and has the __Host- prefix', async (t) => {
  const transport = inProduction(() => cookieTransport())
  const { app, log } = await tokenApp(t, { transport }, count)
  const visitor = new Visitor(app)
  const [set] = setCookies(await visitor.get('/', { 'x-forwarded-proto': 'https' }))
  t.match(set, /^__Host-session=[\w-]{43}; Max-Age=1800; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  t.strictSame((await visitor.get('/read')).json(), { n: 1 })
  t.equal(log.length, 1)
  t.match(inProduction(() => cookieTransport({ secure: false })), { read: Function })
})

t.test('cookie: over plain HTTP one warning says why the browser drops it, and not one more', async (t) => {
  const { app, log } = await tokenApp(t, { transport: cookieTransport({ secure: true }) }, count)
  for (let i = 0; i < 3; i++) await app.inject('/')
  t.equal(log.length, 1)
  t.match(log, [{ level: 40, msg: /__Host-session.*HTTPS.*trustProxy.*secure: false/s }])
})

t.test('cookie: over HTTPS, or behind a trusted proxy, there is nothing to warn of', async (t) => {
  const lines: string[] = []
  const app = Fastify({ trustProxy: true, logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions({ transport: cookieTransport({ secure: true }) }) })
  count(app)
  await app.inject({ url: '/', headers: { 'x-forwarded-proto': 'https' } })
  t.strictSame(lines, [])
})

t.test('cookie: combinations that browsers drop are refused', async (t) => {
  const refused: Array<[CookieOptions, RegExp]> = [
    [{ name: '__Host-a' }, /__Host-a needs secure: true, path: '\/' and no domain/],
    [{ name: '__Host-a', secure: true, path: '/a' }, /__Host-a/],
    [{ name: '__Host-a', secure: true, domain: 'a.example' }, /__Host-a/],
    [{ name: '__HOST-a', secure: false }, /__HOST-a/],
    [{ name: '__Secure-a' }, /__Secure-a needs secure: true/],
    [{ name: '__secure-a', secure: false }, /__secure-a/],
    [{ sameSite: 'none' }, /sameSite: 'none' needs secure: true/],
    [{ partitioned: true }, /partitioned: true needs secure: true/],
  ]
  for (const [options, message] of refused) {
    t.throws(() => cookieTransport(options), { code: 'FST_SESSION_OPTION', message })
    t.throws(() => cookieTransport(options), { message: /^cookieTransport\(\): browsers would drop this cookie/ })
  }
  cookieTransport({ name: '__Host-a', secure: true })
  cookieTransport({ name: '__Secure-a', secure: true, domain: 'a.example', path: '/a', sameSite: 'none', partitioned: true })
})

t.test('cookie: options that are not allowed', async (t) => {
  const wrong: Array<[string, unknown[]]> = [
    ['name', ['', 'a b', 'a;b', 'a=b', 'ä', 'a\n', 1, null]],
    ['domain', ['', '.example.com', 'a b', 'a/b', 'a;b', '-a.example', 'a..b', 'ä.example', 1]],
    ['path', ['', 'a', 'a/b', '/a;b', '/ä', '/a\n', 1]],
    ['secure', ['yes', 1, null, 'true']],
    ['sameSite', ['Lax', 'LAX', '', true, null]],
    ['httpOnly', ['yes', 0, null]],
    ['partitioned', ['yes', 0, null]],
    ['maxAge', [1]],
    ['HttpOnly', [true]],
  ]
  for (const [name, values] of wrong) {
    for (const value of values) {
      t.throws(() => cookieTransport({ secure: true, [name]: value }), { code: 'FST_SESSION_OPTION', message: new RegExp(`^cookieTransport\\(\\): .*${name}`) }, `${name}: ${String(value)}`)
    }
  }
  t.throws(() => cookieTransport('session' as never), { code: 'FST_SESSION_OPTION' })
  t.doesNotThrow(() => cookieTransport({ name: undefined, domain: undefined, path: undefined, secure: undefined, sameSite: undefined, httpOnly: undefined, partitioned: undefined }))
})

for (const order of ['before', 'after'] as const) {
  t.test(`cookie: beside @fastify/cookie, which is registered ${order} it`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    if (order === 'before') await app.register(cookie)
    await app.register(requestSession, { provider: tokenSessions() })
    if (order === 'after') await app.register(cookie)
    app.get('/', async (request, reply) => {
      reply.setCookie('theirs', 'a b', { path: '/' })
      reply.header('set-cookie', 'raw=1')
      return { n: (await request.session).increment('n'), theirs: request.cookies['theirs'] ?? null }
    })
    const visitor = new Visitor(app)
    const reply = await visitor.get('/')
    t.strictSame(setCookies(reply).map((set) => set.split('=')[0]).sort(), ['raw', 'session', 'theirs'])
    t.strictSame((await visitor.get('/')).json(), { n: 2, theirs: 'a b' })
  })
}

t.test('cookie: others that the reply sets are kept, before and after', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      reply.header('set-cookie', 'a=1')
      reply.header('set-cookie', ['b=2', 'sessions=3'])
      const session = await request.session
      session.increment('n')
      await session.commit()
      reply.header('set-cookie', 'c=4')
      session.renew()
      return 'ok'
    })
  })
  const set = setCookies(await app.inject('/'))
  t.strictSame(set.map((each) => each.split('=')[0]), ['a', 'b', 'sessions', 'c', 'session'])
})

t.test('header: a bearer token by default, and a new one in the reply', async (t) => {
  const { app } = await tokenApp(t, { transport: headerTransport() }, count)
  const reply = await app.inject('/')
  const { authorization } = reply.headers as { authorization: string }
  t.match(authorization, /^Bearer [\w-]{43}$/)
  t.equal(reply.headers['set-cookie'], undefined)
  const token = authorization.slice(7)
  for (const sent of [authorization, `bearer ${token}`, `BEARER  ${token} `]) {
    t.match((await app.inject({ url: '/read', headers: { authorization: sent } })).json(), { n: 1 }, sent)
  }
  for (const sent of [token, `Basic ${token}`, `Bearer${token}`, 'Bearer', 'Bearer ', `Bearer ${token}, Bearer ${token}`, `Bearer ${token}x`]) {
    t.match((await app.inject({ url: '/read', headers: { authorization: sent } })).json(), { n: null }, sent)
  }
  const ended = await app.inject({ url: '/end', headers: { authorization } })
  t.equal(ended.headers['authorization'], '')
  t.match((await app.inject({ url: '/read', headers: { authorization } })).json(), { n: null })
})

t.test('header: sent twice it is nobody\'s', async (t) => {
  for (const options of [{}, { name: 'X-Session' }] satisfies HeaderOptions[]) {
    const { app } = await tokenApp(t, { transport: headerTransport(options) }, count)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const name = options.name ?? 'authorization'
    const value = (await app.inject('/')).headers[name.toLowerCase()] as string
    const { request } = await import('node:http')
    const ask = (values: string[]): Promise<string> => new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path: '/read', agent: false, headers: ['host', 'localhost', ...values.flatMap((each) => [name, each])] }, (reply) => {
        let body = ''
        reply.setEncoding('utf8').on('data', (chunk: string) => { body += chunk }).once('end', () => { resolve(body) })
      }).once('error', reject).end()
    })
    t.equal(await ask([value]), '{"n":1}')
    t.equal(await ask([value, value]), '{"n":null}')
    t.equal(await ask([value, 'x']), '{"n":null}')
  }
})

t.test('header: another name, another scheme, none', async (t) => {
  for (const [options, name, prefix] of [[{ name: 'X-Session' }, 'x-session', ''], [{ name: 'x-session', scheme: 'Token' }, 'x-session', 'Token '], [{ scheme: null }, 'authorization', '']] as const) {
    const { app } = await tokenApp(t, { transport: headerTransport(options) }, count)
    const value = (await app.inject('/')).headers[name] as string
    t.ok(value.startsWith(prefix))
    t.match((await app.inject({ url: '/read', headers: { [name]: value } })).json(), { n: 1 })
  }
})

t.test('header: options that are not allowed', async (t) => {
  for (const [name, value] of [['name', ''], ['name', 'a b'], ['name', 1], ['scheme', ''], ['scheme', 'a b'], ['scheme', 1], ['prefix', 'Bearer']] as const) {
    t.throws(() => headerTransport({ [name]: value }), { code: 'FST_SESSION_OPTION', message: new RegExp(`^headerTransport\\(\\): .*${name}`) }, `${name}: ${String(value)}`)
  }
})

t.test('a pair of functions of one\'s own', async (t) => {
  const written: Array<[string | undefined, number | null]> = []
  const transport: TokenTransport = {
    read: (request) => (request.query as { token?: string }).token,
    write: (_reply, token, expiresAt) => { written.push([token, expiresAt]) },
  }
  const { app } = await tokenApp(t, { transport, ttl: null }, count)
  await app.inject('/')
  const [[token = '', expiresAt] = []] = written
  t.equal(expiresAt, null)
  t.match((await app.inject(`/read?token=${token}`)).json(), { n: 1 })
  t.match((await app.inject(`/read?token=${token}&token=${token}`)).json(), { n: null }, 'an array is no token')
  await app.inject(`/end?token=${token}`)
  t.strictSame(written.at(-1), [undefined, null])
})
