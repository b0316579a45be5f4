import t from 'tap'
import { cookieTransport, type CookieOptions } from '../../lib/index.js'
import { setCookies, tokenApp } from '../support/token-app.js'

/** An app whose route writes to the session, and a way to ask it under a host. */
async function stage (t: Parameters<typeof tokenApp>[0], domain: CookieOptions['domain']) {
  const { app, log } = await tokenApp(t, { transport: cookieTransport({ domain }) }, (app) => {
    app.get('/', async (request) => { (await request.session).set('a', 1); return 'ok' })
    app.get('/end', async (request) => { (await request.session).end(); return 'ok' })
    app.get('/unused', async () => 'ok')
  })
  const ask = (host: string, url = '/', cookie = '') => app.inject({ url, headers: { host, cookie } })
  return { ask, log }
}

t.test('a function gives the domain of each request, also to the cookie that is taken away', async (t) => {
  const { ask, log } = await stage(t, ({ hostname }) => hostname.endsWith('.example.com') ? hostname.split('.').slice(-3).join('.') : undefined)
  const [first] = setCookies(await ask('app.ada.example.com:8080'))
  t.match(first, /^session=[\w-]{43}; Max-Age=1800; Domain=ada\.example\.com; Path=\/; /)
  t.match(setCookies(await ask('APP.Bob.example.com')), [/; Domain=Bob\.example\.com; /])
  t.match(setCookies(await ask('other.test')), [/^session=[\w-]{43}; Max-Age=1800; Path=\/; HttpOnly; SameSite=Lax$/])
  t.match(setCookies(await ask('app.ada.example.com', '/end', first?.split(';')[0])), [/^session=; Max-Age=0; Domain=ada\.example\.com; Path=\/; /])
  t.strictSame(log, [])
})

t.test('a domain that the request\'s host is not in: the log says once that the browser drops the cookie', async (t) => {
  for (const [domain, host] of [['example.com', 'shop.test'], ['example.com', 'notexample.com'], ['a.example.com', 'example.com']] as const) {
    for (const given of [domain, () => domain]) {
      const { ask, log } = await stage(t, given)
      t.match(setCookies(await ask(host)), [new RegExp(`Domain=${domain}`)])
      await ask(host)
      t.match(log, [{
        level: 40,
        msg: `the session cookie session is for the domain ${domain}, and this request is for the host ${host}: the browser drops it. ` +
        'Behind a proxy that changes the host set Fastify\'s option trustProxy.'
      }])
      t.equal(log.length, 1)
    }
  }
})

t.test('each such domain is told, up to a hundred: clients may send any host', async (t) => {
  const { ask, log } = await stage(t, ({ headers }) => `${headers.host}.example`)
  for (let i = 0; i < 120; i++) await ask(`h${i}.test`)
  t.equal(log.length, 100)
})

t.test('the host itself and hosts below are in the domain', async (t) => {
  for (const [domain, host] of [['example.com', 'example.com'], ['example.com', 'EXAMPLE.com:443'], ['example.com', 'a.b.example.com'], ['localhost', 'localhost'], ['127.0.0.1', '127.0.0.1:80']] as const) {
    const { ask, log } = await stage(t, domain)
    await ask(host)
    t.strictSame(log, [], host)
  }
})

t.test('a function that gives no domain is an error where a cookie is set, and no request but those asks it', async (t) => {
  for (const wrong of ['.example.com', 'com', 'a;b', '', null, 1, async () => 'example.com', async () => { throw new Error('mine') }]) {
    const { ask } = await stage(t, () => (typeof wrong === 'function' ? wrong() : wrong) as string)
    t.equal((await ask('a.example.com', '/unused')).statusCode, 200)
    const reply = await ask('a.example.com')
    t.match([reply.statusCode, reply.json(), setCookies(reply)], [500, { code: 'FST_SESSION_OPTION', message: /^cookieTransport\(\): the function domain must return a domain/ }, []])
  }
})

t.test('the name of a cookie with a function is never __Host-', async (t) => {
  t.throws(() => cookieTransport({ name: '__Host-a', secure: true, domain: () => undefined }), { code: 'FST_SESSION_OPTION', message: /no domain/ })
  const { app } = await tokenApp(t, { transport: cookieTransport({ secure: true, domain: () => 'example.com' }) }, (app) => {
    app.get('/', async (request) => { (await request.session).set('a', 1); return 'ok' })
  })
  t.match(setCookies(await app.inject({ url: '/', headers: { host: 'example.com' } })), [/^__Secure-session=/])
})
