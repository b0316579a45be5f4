import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import cookie from '@fastify/cookie'
import { parseCookie } from 'cookie'
import fc from 'fast-check'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { cookieTransport, headerTransport, tokenSessions, type CookieOptions, type HeaderOptions, type TokenSessionOptions, type TokenTransport } from '../../lib/index.js'
import { fakeClock } from '../support/clock.js'
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

t.test('cookie: secure auto: over HTTPS it is Secure wherever that is, and its name does not depend on the request', async (t) => {
  const lines: string[] = []
  const app = Fastify({ trustProxy: true, logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions({ transport: cookieTransport() }) })
  count(app)
  const setOver = async (headers: Record<string, string>, url = '/'): Promise<string> => setCookies(await app.inject({ url, headers }))[0] ?? ''
  t.match(await setOver({ 'x-forwarded-proto': 'https' }), /^session=.*; HttpOnly; Secure; SameSite=Lax$/)
  t.match(await setOver({ 'x-forwarded-proto': 'http, https' }), /; Secure;/, 'the last proxy is the one that is trusted')
  t.match(await setOver({ 'x-forwarded-proto': 'http' }), /^session=.*; HttpOnly; SameSite=Lax$/)
  t.match(await setOver({}), /^session=.*; HttpOnly; SameSite=Lax$/)
  const cookie = (await setOver({ 'x-forwarded-proto': 'https' })).split(';')[0] as string
  t.match(await setOver({ 'x-forwarded-proto': 'https', cookie }, '/end'), /^session=; Max-Age=0; .*Secure/, 'it is taken away as it was given')
  t.match(await cookieOf(t, { secure: 'auto', name: 'sid' }), /^sid=TOKEN; (?!.*Secure)/)
  t.match(await cookieOf(t, { secure: false }), /^session=TOKEN; (?!.*Secure)/)
  t.strictSame(lines, [])
})

t.test('cookie: x-forwarded-proto counts only from a trusted proxy; a socket with TLS counts always', async (t) => {
  const { app } = await tokenApp(t, {}, count)
  t.notMatch(setCookies(await app.inject({ url: '/', headers: { 'x-forwarded-proto': 'https' } }))[0], /Secure/)
  const transport = cookieTransport()
  const set = new Map<string, unknown>()
  const other = await tokenApp(t, {}, (app) => {
    app.get('/tls', async (request, reply) => {
      Object.defineProperty(request, 'protocol', { value: 'https' })
      transport.write(reply, 'a', null)
      set.set('cookie', reply.getHeader('set-cookie'))
      return ''
    })
  })
  await other.app.inject('/tls')
  t.match(set.get('cookie'), /; Secure;/)
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
    [{ name: '__Http-a' }, /__Http-a needs secure: true/],
    [{ name: '__http-a', secure: false }, /__http-a needs secure: true/],
    [{ name: '__Http-a', secure: true, httpOnly: false }, /__Http-a needs httpOnly: true/],
    [{ name: '__HTTP-a', secure: true, httpOnly: false }, /__HTTP-a needs httpOnly: true/],
    [{ name: '__Host-Http-a' }, /__Host-Http-a needs secure: true, path: '\/' and no domain/],
    [{ name: '__Host-Http-a', secure: true, path: '/a' }, /__Host-Http-a needs secure: true, path: '\/' and no domain/],
    [{ name: '__Host-Http-a', secure: true, domain: 'a.example' }, /__Host-Http-a needs secure: true, path: '\/' and no domain/],
    [{ name: '__host-http-a', secure: true, httpOnly: false }, /__host-http-a needs httpOnly: true/],
    [{ sameSite: 'none' }, /sameSite: 'none' needs secure: true/],
    [{ partitioned: true }, /partitioned: true needs secure: true/],
  ]
  for (const [options, message] of refused) {
    t.throws(() => cookieTransport(options), { code: 'FST_SESSION_OPTION', message })
    t.throws(() => cookieTransport(options), { message: /^cookieTransport\(\): browsers would drop this cookie/ })
  }
  cookieTransport({ name: '__Host-a', secure: true })
  cookieTransport({ name: '__Host-Http-a', secure: true })
  cookieTransport({ name: '__Http-a', secure: true, domain: 'a.example', path: '/a' })
  cookieTransport({ name: '__Host-a', secure: true, httpOnly: false })
  cookieTransport({ name: '__Secure-a', secure: true, domain: 'a.example', path: '/a', sameSite: 'none', partitioned: true })
})

t.test('cookie: options that are not allowed', async (t) => {
  const wrong: Array<[string, unknown[]]> = [
    ['name', ['', 'a b', 'a;b', 'a=b', 'ä', 'a\n', 1, null, 'a'.repeat(4054)]],
    ['domain', ['', '.example.com', 'a b', 'a/b', 'a;b', '-a.example', 'a..b', 'ä.example', 1, `${'a'.repeat(64)}.com`, `${'a.'.repeat(126)}com`, 'a.example.', 'a_b.example', 'com', 'intranet', '1', '1.2.3', '999.1.1.1', 'a.1', 'a.0x1', '[::1]', '::1', 'a.example:80']],
    ['path', ['', 'a', 'a/b', '/a;b', '/ä', '/a\n', 1, '/a<b', '/a>b', '/a b', '/a?b', '/a#b', '/a"b', '/a\\b', '/a`b', '/{a}', '/a^b', '/a/../b', '/..', '/./a', `/${'a'.repeat(1024)}`]],
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
  for (const domain of ['a.example', 'A.Example', `${'a'.repeat(63)}.com`, 'xn--bcher-kva.example', '1.example', 'localhost', '127.0.0.1']) cookieTransport({ domain })
  for (const path of ['/', '/a/', "/a-._~!$&'()*+,=:@%20|[]", '/a/.b/..c', '/a//b']) cookieTransport({ path })
  cookieTransport({ name: 'a'.repeat(4051) })
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
  for (const [name, value] of [['name', ''], ['name', 'a b'], ['name', 1], ['scheme', 'a,b'], ['scheme', 'a\n'], ['scheme', 'a"'], ['scheme', 'ä'], ['scheme', 'Bearer:'], ['scheme', ''], ['scheme', 'a b'], ['scheme', 1], ['prefix', 'Bearer']] as const) {
    t.throws(() => headerTransport({ [name]: value }), { code: 'FST_SESSION_OPTION', message: new RegExp(`^headerTransport\\(\\): .*${name}`) }, `${name}: ${String(value)}`)
  }
})

t.test('header: names that HTTP gives another meaning', async (t) => {
  const names = ['content-length', 'Content-Type', 'content-encoding', 'transfer-encoding', 'connection', 'Keep-Alive', 'upgrade', 'TE', 'trailer', 'proxy-authorization', 'proxy-connection',
    'http2-settings', 'host', 'set-cookie', 'Set-Cookie2', 'cookie', 'date', 'expect', 'location', 'cache-control', 'cdn-cache-control', 'vary', 'etag', 'www-authenticate', 'origin',
    'if-none-match', 'accept', 'accept-encoding', 'access-control-allow-origin', 'sec-websocket-protocol', 'x-forwarded-for', '__proto__', ':authority']
  for (const name of names) t.throws(() => headerTransport({ name }), { code: 'FST_SESSION_OPTION', message: /^headerTransport\(\): option name must be the name of a header/ }, name)
  for (const name of ['authorization', 'x-session', 'X-Auth-Token', 'session', 'content', 'acceptable', 'constructor']) headerTransport({ name })
})

/** What a GET of a route gets that sets these headers and changes the session, or ends it, or fails. */
async function cachedReply (t: Test, options: TokenSessionOptions, headers: Record<string, string | string[]>, status = 200): Promise<Record<string, unknown>> {
  const { app } = await tokenApp(t, options, (app) => {
    app.get('/', async (request, reply) => {
      (await request.session).set('a', 1)
      reply.code(status).headers(headers)
      return 'ok'
    })
  })
  return (await app.inject('/')).headers
}

t.test('caches: a reply that sets the cookie is private, whatever the app says of it', async (t) => {
  const cases: Array<[string | string[] | undefined, string]> = [
    [undefined, 'private'],
    ['public', 'private'],
    ['public, max-age=31536000, immutable', 'private, max-age=31536000, immutable'],
    ['PUBLIC,Max-Age=5', 'private, Max-Age=5'],
    ['max-age=5, s-maxage=600, proxy-revalidate, stale-while-revalidate=30', 'private, max-age=5, stale-while-revalidate=30'],
    ['S-MaxAge = 600', 'private'],
    [['public', 'max-age=5'], 'private, max-age=5'],
    ['public="x", max-age=5', 'private, max-age=5'],
    ['private="x-a, x-b", max-age=5', 'private, max-age=5'],
    ['no-cache="set-cookie, public", public', 'private, no-cache="set-cookie, public"'],
    ['no-cache', 'private, no-cache'],
    ['public, private, max-age=5', 'private, max-age=5'],
    ['Private,max-age=5', 'Private,max-age=5'],
    ['private', 'private'],
    ['no-store', 'no-store'],
    ['public, no-store', 'no-store'],
    ['must-understand, no-store', 'no-store'],
    ['', 'private'],
    ['"', 'private, "'],
    ['publicity, x-public=1', 'private, publicity, x-public=1'],
  ]
  for (const [given, kept] of cases) {
    const headers = await cachedReply(t, {}, given === undefined ? {} : { 'Cache-Control': given })
    t.equal(headers['cache-control'], kept, String(given))
    t.equal(headers['vary'], 'cookie')
    t.ok(headers['set-cookie'])
  }
})

t.test('caches: what CDNs look at first', async (t) => {
  const headers = await cachedReply(t, {}, {
    'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=600', 'Vercel-CDN-Cache-Control': ['public', 'max-age=60'], 'Surrogate-Control': 'max-age=600', 'X-Accel-Expires': '600', 'x-cache-control-of': 'public',
  })
  t.match(headers, {
    'cache-control': 'no-store', 'cdn-cache-control': 'private, max-age=600', 'vercel-cdn-cache-control': 'private, max-age=60', 'surrogate-control': 'no-store', 'x-accel-expires': '0', 'x-cache-control-of': 'public',
  })
  t.notOk('cdn-cache-control' in await cachedReply(t, {}, {}), 'nothing is added')
})

t.test('caches: an error that sets the cookie is stored by none', async (t) => {
  for (const status of [400, 401, 404, 410, 500]) {
    for (const given of ['public, max-age=60', 'private', 'no-store', '']) {
      t.match(await cachedReply(t, {}, { 'cache-control': given, 'cdn-cache-control': 'max-age=60' }, status), { 'cache-control': 'no-store', 'cdn-cache-control': 'no-store' })
    }
  }
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      reply.header('cache-control', 'public, max-age=60');
      (await request.session).increment('attempts')
      throw Object.assign(new Error('no'), { statusCode: 404 })
    })
  })
  const { headers } = await app.inject('/')
  t.ok(headers['set-cookie'])
  t.equal(headers['cache-control'], 'no-store')
})

t.test('caches: Vary is added to', async (t) => {
  const cases: Array<[string | string[], unknown]> = [
    ['Accept-Encoding', 'Accept-Encoding, cookie'], [['Accept-Encoding', 'Origin'], 'Accept-Encoding, Origin, cookie'], ['Cookie', 'Cookie'], ['accept , COOKIE', 'accept , COOKIE'],
    ['*', '*'], ['accept, *', 'accept, *'], ['', 'cookie'], ['x-cookie', 'x-cookie, cookie'],
  ]
  for (const [given, kept] of cases) t.equal((await cachedReply(t, {}, { Vary: given }))['vary'], kept, String(given))
})

t.test('caches: the header likewise, with its own name in Vary', async (t) => {
  t.match(await cachedReply(t, { transport: headerTransport() }, { 'cache-control': 'public, max-age=5' }), { 'cache-control': 'private, max-age=5', vary: 'authorization' })
  t.match(await cachedReply(t, { transport: headerTransport({ name: 'X-Session' }) }, { vary: 'accept' }), { 'cache-control': 'private', vary: 'accept, x-session' })
})

for (const commit of ['onSend', 'onResponse'] as const) {
  t.test(`caches: commit ${commit}: a slide, an end and a commit in the handler count too; a reply without a token is left alone`, async (t) => {
    const tick = fakeClock(t)
    const cached = 'public, max-age=60'
    const { app } = await tokenApp(t, { commit }, (app) => {
      app.get('/', async (request, reply) => { (await request.session).increment('n'); reply.header('cache-control', cached); return '' })
      app.get('/read', async (request, reply) => { (await request.session).get('n'); reply.header('cache-control', cached); return '' })
      app.get('/end', async (request, reply) => { (await request.session).end(); reply.header('cache-control', cached); return '' })
      app.get('/early', async (request, reply) => {
        const session = await request.session
        session.renew()
        await session.commit()
        reply.header('cache-control', cached)
        if ((request.query as { fail?: string }).fail !== undefined) throw Object.assign(new Error('no'), { statusCode: 404 })
        return ''
      })
      app.get('/dropped', async (request, reply) => {
        const session = await request.session
        session.renew()
        await session.commit()
        request.sessionScope.rollbackOnly()
        return reply.header('cache-control', cached).send('')
      })
      app.get('/settled', async (request, reply) => {
        (await request.session).renew()
        await request.sessionScope.commit()
        return reply.header('cache-control', cached).send('')
      })
      app.get('/raw', async (request, reply) => {
        reply.raw.setHeader('Cache-Control', cached);
        (await request.session).touch()
        return ''
      })
      app.get('/stream', async (request, reply) => {
        (await request.session).touch()
        return reply.header('cache-control', cached).send(Readable.from(['a']))
      })
      app.get('/untouched', async (_request, reply) => { reply.header('cache-control', cached); return '' })
    })
    const visitor = new Visitor(app)
    const seen = async (url: string): Promise<unknown> => {
      const { headers } = await visitor.get(url)
      return [headers['cache-control'], headers['vary'], headers['set-cookie'] !== undefined]
    }
    const kept = ['private, max-age=60', 'cookie', true]
    t.strictSame(await seen('/'), kept)
    t.strictSame(await seen('/read'), [cached, undefined, false])
    t.strictSame(await seen('/untouched'), [cached, undefined, false])
    tick(300_000)
    t.strictSame(await seen('/read'), kept, 'the expiry slides')
    t.strictSame(await seen('/raw'), kept)
    t.strictSame(await seen('/stream'), kept)
    t.strictSame(await seen('/early'), kept)
    t.strictSame(await seen('/early?fail'), ['no-store', 'cookie', true])
    t.strictSame(await seen('/dropped'), kept, 'a commit in the handler, before the request was rolled back')
    t.strictSame(await seen('/settled'), kept, 'the session was settled before the reply')
    t.strictSame(await seen('/end'), kept)
  })
}

t.test('caches: a token that was sent by a commit in the handler, where commitWhen refuses the commit of the request', async (t) => {
  const { app } = await tokenApp(t, { commitWhen: () => false }, (app) => {
    app.get('/', async (request, reply) => {
      const session = await request.session
      session.increment('n')
      await session.commit()
      return reply.header('cache-control', 'public').send('')
    })
  })
  const reply = await app.inject('/')
  t.equal(setCookies(reply).length, 1)
  t.equal(reply.headers['cache-control'], 'private')
})

t.test('cookie: of thousands of one name few are read', async (t) => {
  const transport = cookieTransport()
  const request = { headers: { cookie: 'session=%41;'.repeat(3000) } } as FastifyRequest
  t.equal(transport.readAll(request).length, 32)
  t.equal(transport.isPersistent(request), undefined)
  t.equal(transport.read(request), undefined)
})

t.test('cookie: of two that belong to sessions neither is taken, of two others the one that does, however they are written', async (t) => {
  const { app } = await tokenApp(t, {}, count)
  const [one, other] = await Promise.all([0, 0].map(async () => (await app.inject('/')).cookies[0]?.value as string))
  for (const form of ['session=', 'session =', 'session\t=', ' session=', '\tsession = ', 'session \t= \t', ';;session=', 'x; session=']) {
    t.strictSame((await app.inject({ url: '/read', headers: { cookie: `${form}${one}` } })).json(), { n: 1 }, `alone: ${form}`)
    for (const cookie of [`${form}${one};${form}${one}`, `${form}${'x'.repeat(43)}; session=${one}`, `session=${one}; ${form}gone`]) {
      t.strictSame((await app.inject({ url: '/read', headers: { cookie } })).json(), { n: 1 }, cookie)
    }
    for (const cookie of [`${form}${one}; session=${other}`, `session=${other}; ${form}${one}`]) {
      t.strictSame((await app.inject({ url: '/read', headers: { cookie } })).json(), { n: null }, cookie)
    }
  }
  for (const others of ['sessions=x', 'xsession=x', 'session', 'a=session=x', 'Session=x', 'se ssion=x', 'a=b session=x']) {
    for (const cookie of [`${others}; session=${one}`, `session=${one}; ${others}`]) {
      t.strictSame((await app.inject({ url: '/read', headers: { cookie } })).json(), { n: 1 }, cookie)
    }
  }
})

t.test('cookie: it reads the cookies that the parser sees, one or all', async (t) => {
  const piece = fc.constantFrom('session', 'sid', '=', ';', ' ', '\t', 'v', '%41', '"', ',', '; session=', 'sessionsession')
  for (const name of ['session', 's', '__proto__', 'a.b*']) {
    const transport = cookieTransport({ name })
    fc.assert(fc.property(fc.array(fc.oneof(piece, fc.constant(name)), { maxLength: 14 }), (pieces) => {
      const cookie = pieces.join('')
      const request = { headers: { cookie } } as FastifyRequest
      const seen = cookie.split(';').map((part) => parseCookie(part)[name]).filter((value) => value !== undefined)
      assert.deepEqual(transport.readAll(request), seen, cookie)
      assert.equal(transport.read(request), seen.length === 1 ? seen[0] : undefined, cookie)
      assert.equal(transport.readAll(request)[0], parseCookie(cookie)[name])
    }), { numRuns: 2000, seed: 22 })
  }
  t.strictSame(cookieTransport().readAll({ headers: {} } as FastifyRequest), [])
})

t.test('cookie: one of this name that the app has set is replaced, however it is written', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      reply.header('set-cookie', ['session=theirs', ' session = theirs', 'session\t=theirs; Path=/', 'sessions=kept', 'session', '=session=kept'])
      return { n: (await request.session).increment('n') }
    })
  })
  t.strictSame(setCookies(await app.inject('/')).map((set) => set.replace(/=[\w-]{43}.*/, '=TOKEN')), ['sessions=kept', 'session', '=session=kept', 'session=TOKEN'])
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
