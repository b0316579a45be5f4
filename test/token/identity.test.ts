import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { memoryStore, redisStore, type CommitOptions, type SessionStore, type TokenSessionOptions } from '../../lib/index.js'
import { redisPrefix } from '../support/redis-prefix.js'
import { redisForTest } from '../support/servers/require.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor, type TokenApp } from '../support/token-app.js'

interface Stage extends TokenApp { readonly store: SpyStore, readonly visitor: Visitor, readonly token: string }

/** A visitor who has a session with `user` "ada". */
async function stage (t: Test, options: TokenSessionOptions & CommitOptions = {}, inner: SessionStore = memoryStore()): Promise<Stage> {
  const store = new SpyStore(inner)
  const { app, log } = await tokenApp(t, { store, ...options }, (app) => {
    app.get('/login', async (request) => {
      const session = await request.session
      session.set('user', 'ada')
      session.renew()
      return { token: session.token, isNew: session.isNew }
    })
    app.get('/user', async (request) => ({ user: (await request.session).get('user') ?? null, isNew: (await request.session).isNew }))
    app.get('/count', async (request) => ({ n: (await request.session).increment('n') }))
    app.get('/renew', async (request) => { (await request.session).renew(); return 'renewed' })
    app.get('/logout', async (request) => { (await request.session).end(); return 'ended' })
    app.get('/commit-then-logout', async (request) => {
      const session = await request.session
      session.increment('n')
      session.renew()
      await session.commit()
      session.end()
      return 'ended'
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/login')
  store.take()
  return { app, log, store, visitor, token: visitor.token as string }
}

/** Sends a token as it stands, whatever the visitor's cookies are. */
async function userOf (app: TokenApp['app'], cookie: string): Promise<unknown> {
  return (await app.inject({ url: '/user', headers: { cookie } })).json()
}

t.test('renew: a new token, the same data, one atomic step; the old token opens nothing', async (t) => {
  const { app, visitor, token, store } = await stage(t)
  const reply = await visitor.get('/renew')
  t.strictSame(store.take(), ['load', 'renew'])
  t.equal(setCookies(reply).length, 1)
  t.not(visitor.token, token)
  t.match(visitor.token, /^[\w-]{43}$/)
  t.match(await userOf(app, `session=${visitor.token}`), { user: 'ada', isNew: false })
  t.match(await userOf(app, `session=${token}`), { user: null, isNew: true })
})

t.test('renew: the expiry is always set', async (t) => {
  const { visitor, store } = await stage(t)
  await visitor.get('/renew')
  const renewal = store.calls.find(({ method }) => method === 'renew')?.args[2] as { expiresAt: number }
  t.ok(renewal.expiresAt > Date.now() + 1_790_000)
})

t.test('renew: of a new session changes nothing, its token is fresh', async (t) => {
  const { app, store } = await stage(t)
  const visitor = new Visitor(app)
  const { token } = (await visitor.get('/login')).json() as { token: string }
  t.equal(visitor.token, token)
  t.strictSame(store.take(), ['create'])
})

t.test('end: session and cookie are gone, the session reads as empty in this request, and writes throw', async (t) => {
  const { app, visitor, token, store } = await stage(t)
  const reply = await visitor.get('/logout')
  t.strictSame(setCookies(reply), ['session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
  t.strictSame(store.take(), ['load', 'end'])
  t.match(await userOf(app, `session=${token}`), { user: null, isNew: true })
  await app.getSession(null, async (session) => {
    session.set('a', 1)
    await session.commit()
    session.end()
    t.strictSame(
      [session.ended, session.get('a'), session.has('a'), session.size, [...session.keys()], [...session.entries()], session.data(), session.subject],
      [true, undefined, false, 0, [], [], {}, undefined])
    const writes: Record<string, () => unknown> = {
      set: () => session.set('a', 2),
      add: () => session.add('b', 2),
      update: () => session.update('a', () => 1),
      increment: () => session.increment('a'),
      append: () => session.append('a', 1),
      delete: () => session.delete('a'),
      clear: () => session.clear(),
      expire: () => session.expire(60),
      touch: () => session.touch(),
      renew: () => session.renew(),
      subject: () => { session.subject = 'ada' },
      reload: () => session.reload(),
    }
    for (const [name, write] of Object.entries(writes)) await t.rejects(async () => write(), { code: 'FST_SESSION_ENDED' }, name)
    session.end()
    await session.commit()
  })
})

t.test('end: of a new session makes none', async (t) => {
  const { app, store } = await stage(t)
  await new Visitor(app).get('/logout')
  t.strictSame(store.take(), [])
})

t.test('end: after commit() and renew(): the last word counts, and it is the only Set-Cookie', async (t) => {
  const { app, visitor, store } = await stage(t)
  const reply = await visitor.get('/commit-then-logout')
  t.strictSame(store.take(), ['load', 'renew', 'end'])
  t.strictSame(setCookies(reply), ['session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
  t.equal(visitor.token, undefined)
  t.match(await userOf(app, ''), { isNew: true })
})

t.test('no resurrection: a request that comes too late is told so, and writes nothing', async (t) => {
  for (const [first, url] of [['/logout', '/count'], ['/logout', '/renew']] as const) {
    const { app, store, token } = await stage(t)
    store.before = async (method) => {
      if (method === 'load') return
      store.before = undefined
      await app.inject({ url: first, headers: { cookie: `session=${token}` } })
    }
    const reply = await app.inject({ url, headers: { cookie: `session=${token}` } })
    t.match(reply.json(), { statusCode: 409, code: 'FST_SESSION_GONE', message: new RegExp(`GET ${url}`) }, `${url} after ${first}`)
    t.strictSame(setCookies(reply), [])
    t.match(await userOf(app, `session=${token}`), { user: null, isNew: true })
  }
})

t.test('no resurrection: a mere use of a session that has ended meanwhile', async (t) => {
  const { app, token } = await stage(t)
  await app.getSession(null, async (session) => {
    session.touch()
    await app.inject({ url: '/logout', headers: { cookie: `session=${token}` } })
  }, { token })
  t.match(await userOf(app, `session=${token}`), { isNew: true })
})

t.test('reload: of a session that has ended meanwhile', async (t) => {
  const { app, token } = await stage(t)
  await app.getSession(null, async (session) => {
    await app.inject({ url: '/logout', headers: { cookie: `session=${token}` } })
    await t.rejects(session.reload(), { code: 'FST_SESSION_GONE' })
  }, { token })
})

t.test('a made-up token is never adopted', async (t) => {
  const { app, store } = await stage(t)
  const visitor = new Visitor(app)
  const madeUp = 'A'.repeat(43)
  visitor.cookies.set('session', madeUp)
  const reply = await visitor.get('/count')
  t.equal(reply.statusCode, 200)
  t.not(visitor.token, madeUp)
  t.strictSame(store.take(), ['load', 'create'])
  t.match(await userOf(app, `session=${madeUp}`), { isNew: true })
})

t.test('what cannot be a token never reaches the store', async (t) => {
  const { app, store, token } = await stage(t)
  const valid = `session=${token}`
  const cookies = [
    'session=', 'session', 'session==', `session=${token}x`, `session=${token.slice(1)}`, `session=${'x'.repeat(10_000)}`, `session=${token}%00`,
    `session=${token.slice(0, -1)}+`, `session=${token.slice(0, -1)}/`, `session=${token.slice(0, -1)}=`, `session=${token.slice(0, -1)}\u00e9`,
    `session=${token.slice(0, -1)}%C3%A9`, 'session=%', 'session=%E0%A4%A', `session=" ${token}"`, `session=${token} x`,
    `mysession=${token}`, `Session=${token}`, `session.a=${token}`,
    ';;;=;session;=', `session=${token.slice(0, -1)}\n`, '__proto__=1', 'session=__proto__', `session=${'9'.repeat(20)}`, 'session=-1',
  ]
  for (const cookie of cookies) {
    t.match(await userOf(app, cookie), { user: null, isNew: true }, JSON.stringify(cookie.slice(0, 60)))
  }
  t.strictSame(store.take(), [])
  for (const cookie of [valid, ` ${valid} `, `${valid}; ${valid}`, `${valid}; session=x`, `session=x; ${valid}`, `other=1; ${valid};${valid}`, `a=b; ${valid}`, `${valid}; a=b`, `mysession=x; ${valid}`, `${valid};session2=x`, `a=session=${token.slice(2)}; ${valid}`, `session="${token}"`]) {
    const answer = await userOf(app, cookie)
    if (cookie.includes('"')) continue
    t.match(answer, { user: 'ada' }, cookie)
  }
})

t.test('uint64: tokens are decimal strings up to 2^64 - 1, exactly', async (t) => {
  const { app, visitor, store, token } = await stage(t, { token: 'uint64' })
  t.match(token, /^\d{1,20}$/)
  t.ok(BigInt(token) < 2n ** 64n)
  t.match((await visitor.get('/user')).json(), { user: 'ada' })
  await visitor.get('/renew')
  t.not(visitor.token, token)
  t.match(await userOf(app, `session=${visitor.token}`), { user: 'ada' })
  store.take()
  const bad = ['', '-1', '+1', '01', '1.0', '1e5', '0x10', '18446744073709551616', '99999999999999999999', '1'.repeat(21), '١', 'A'.repeat(43)]
  for (const text of bad) t.match(await userOf(app, `session=${text}`), { isNew: true }, text)
  t.strictSame(store.take(), [])
  for (const text of ['0', '9007199254740993', '18446744073709551615']) await userOf(app, `session=${text}`)
  const ids = store.calls.map(({ args }) => args[0])
  t.equal(new Set(ids).size, 3)
  await app.getSession(null, (session) => { session.set('a', 1) }, { token: '9007199254740993' })
  t.match(await userOf(app, 'session=9007199254740992'), { isNew: true }, 'no rounding')
})

t.test('ids are hashes: what the store has cannot be sent as a token', async (t) => {
  const { app, store, token } = await stage(t)
  await userOf(app, `session=${token}`)
  const id = store.calls[0]?.args[0] as string
  t.notOk(id.includes(token))
  t.match(await userOf(app, `session=${id}`), { isNew: true })
  t.match(await userOf(app, `session=${id.slice(-43)}`), { isNew: true })
})

t.test('tokens differ', async (t) => {
  for (const token of ['random256', 'uint64'] as const) {
    const { app } = await tokenApp(t, { token }, () => {})
    const tokens = new Set<string>()
    for (let i = 0; i < 2000; i++) await app.getSession(null, (session) => { tokens.add(session.token) })
    t.equal(tokens.size, 2000)
  }
})

t.test('commit: onResponse: the cookie leaves with the headers, before the save', async (t) => {
  const { app, visitor, token } = await stage(t, { commit: 'onResponse' })
  t.ok(token)
  t.match((await visitor.get('/user')).json(), { user: 'ada' })
  t.strictSame(setCookies(await visitor.get('/count')), [], 'nothing to tell')
  await visitor.get('/renew')
  t.not(visitor.token, token)
  t.match((await visitor.get('/user')).json(), { user: 'ada' })
  const ended = visitor.token
  t.strictSame(setCookies(await visitor.get('/logout')), ['session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
  t.match(await userOf(app, `session=${ended}`), { isNew: true })
})

t.test('commit: onResponse: what only reads, clears or is empty gets no cookie', async (t) => {
  const { app, store } = await stage(t, { commit: 'onResponse' })
  t.strictSame(setCookies(await new Visitor(app).get('/user')), [])
  const { app: other } = await tokenApp(t, { store, commit: 'onResponse' }, (app) => {
    app.get('/', async (request) => { (await request.session).clear(); return 'ok' })
  })
  t.strictSame(setCookies(await new Visitor(other).get('/')), [])
  t.strictSame(store.take(), [])
})

t.test('a new session that is changed only after the headers is not saved, and a warning names the route', async (t) => {
  const store = new SpyStore(memoryStore())
  for (const commit of ['onSend', 'onResponse'] as const) {
    const { app, log } = await tokenApp(t, { store, commit }, (app) => {
      app.get('/stream', { config: { session: { commit: 'onResponse' } } }, async (request, reply) => {
        const session = await request.session
        const { Readable } = await import('node:stream')
        return reply.send(Readable.from((async function * () {
          yield 'head'
          session.set('late', 1)
          yield 'tail'
        })()))
      })
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const closed = new Promise<void>((resolve) => { app.server.once('request', (_request, reply) => { reply.once('close', () => setImmediate(resolve)) }) })
    const reply = await fetch(`http://127.0.0.1:${port}/stream`)
    t.equal(await reply.text(), 'headtail')
    t.equal(reply.headers.get('set-cookie'), null)
    await closed
    t.strictSame(store.take(), [])
    t.match(log, [{ level: 40, route: 'GET /stream', msg: /cannot receive the session's new token/ }])
  }
})

t.test('renew() after the headers is refused: the client could not learn of it', async (t) => {
  const { app, token } = await stage(t)
  const seen: string[] = []
  app.server.on('request', () => {})
  const { app: hijacked } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      const session = await request.session
      reply.hijack()
      reply.raw.writeHead(200)
      try { session.renew() } catch (error) { seen.push((error as { code: string }).code) }
      reply.raw.end('bye')
    })
  })
  await hijacked.inject({ url: '/', headers: { cookie: `session=${token}` } })
  t.strictSame(seen, ['FST_SESSION_CLOSED'])
})

t.test('commit() before a reply is hijacked: saved, and the cookie is there to be sent', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      const session = await request.session
      session.increment('n')
      await session.commit()
      reply.hijack()
      reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>)
      reply.raw.end(String(session.get('n')))
    })
  })
  const visitor = new Visitor(app)
  t.equal((await visitor.get('/')).body, '1')
  t.equal((await visitor.get('/')).body, '2')
})

t.test('on Redis: renew, end, and no resurrection', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const client = new Redis(server.url)
  const prefix = redisPrefix(t, client)
  for (const deleteSession of [true, false]) {
    const { app, visitor, token } = await stage(t, { deleteSession }, redisStore(client, { prefix, timeout: 30_000 }))
    await visitor.get('/renew')
    t.match(await userOf(app, `session=${visitor.token}`), { user: 'ada' })
    t.match(await userOf(app, `session=${token}`), { isNew: true })
    const renewed = visitor.token
    await app.getSession(null, async (session) => {
      session.increment('n')
      await visitor.get('/logout')
      await t.rejects(session.commit(), { code: 'FST_SESSION_GONE', statusCode: 409 })
      await session.commit().catch(() => {})
      session.end()
    }, { token: renewed })
    for (const key of await client.keys(`${prefix}*`)) {
      t.match(await client.hgetall(key), { '': /^renewed [\w-]{43}$/ }, 'only where the old id leads to is left')
      t.ok(await client.pttl(key) <= 60_000)
    }
  }
})
