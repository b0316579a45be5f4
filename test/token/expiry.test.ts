import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { memoryStore, redisStore, type CommitOptions, type TokenSessionOptions } from '../../lib/index.js'
import { fakeClock } from '../support/clock.js'
import { inEachPlace } from '../support/places.js'
import { redisPrefix } from '../support/redis-prefix.js'
import { redisForTest } from '../support/servers/require.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor, type TokenApp } from '../support/token-app.js'

interface Stage extends TokenApp {
  readonly store: SpyStore
  /** Milliseconds. */
  readonly tick: (ms: number) => void
  readonly visitor: Visitor
}

/** An app with routes that differ in their lifetimes, on a clock that the test moves. */
async function stage (t: Test, options: TokenSessionOptions & CommitOptions = {}): Promise<Stage> {
  const tick = fakeClock(t, ['Date'])
  const store = new SpyStore(memoryStore())
  const { app, log } = await tokenApp(t, { store, ...options }, (app) => {
    app.get('/set', async (request) => { (await request.session).set('a', Date.now()); return 'set' })
    app.get('/read', read)
    app.get('/short', { config: { session: { ttl: 60 } } }, read)
    app.get('/ever', { config: { session: { ttl: null } } }, read)
    app.get('/young', { config: { session: { maxAge: 100 } } }, read)
    app.get('/touch', async (request) => { (await request.session).touch(); return 'touched' })
    app.get<{ Querystring: { ttl: string } }>('/expire', async (request) => {
      (await request.session).expire(request.query.ttl === 'null' ? null : Number(request.query.ttl))
      return 'set'
    })
    app.get('/state', { config: { session: { commitWhen: () => false } } }, async (request) => {
      const session = await request.session
      const { isNew, ttl, createdAt, expiresAt } = session
      return { isNew, ttl, age: Date.now() - createdAt.getTime(), left: expiresAt === null ? null : expiresAt.getTime() - Date.now() }
    })
  })
  async function read (request: import('fastify').FastifyRequest): Promise<unknown> {
    const session = await request.session
    return { a: session.get('a') ?? null, isNew: session.isNew, keys: session.size }
  }
  return { app, log, store, tick, visitor: new Visitor(app) }
}

const maxAgeOf = (cookies: string[]): number[] => cookies.map((cookie) => Number(/Max-Age=(\d+)/.exec(cookie)?.[1]))

t.test('ttl: a session that is not used for so long is gone, and its token gives a new one', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600 })
  const set = await visitor.get('/set')
  t.strictSame(maxAgeOf(setCookies(set)), [600])
  tick(599_999)
  t.match((await visitor.get('/state')).json(), { isNew: false, ttl: 600, left: 1, age: 599_999 })
  tick(1)
  t.match((await visitor.get('/read')).json(), { a: null, isNew: true })
  const { token } = visitor
  await visitor.get('/set')
  t.not(visitor.token, token, 'an expired token is not used again')
})

t.test('ttl: use slides it, and writes it at most once per tenth, in the store and in the cookie together', async (t) => {
  const { visitor, tick, store } = await stage(t, { ttl: 1000 })
  await visitor.get('/set')
  store.take()
  const writes: number[] = []
  for (let second = 1; second <= 400; second++) {
    tick(1000)
    const reply = await visitor.get('/read')
    const written = store.takeChanges()
    t.equal(written.length, setCookies(reply).length, 'store and cookie together')
    if (written.length === 0) continue
    writes.push(second)
    t.strictSame(written, [{ expiresAt: Date.now() + 1_000_000, usedAt: Date.now() }])
    t.strictSame(maxAgeOf(setCookies(reply)), [1000])
  }
  t.strictSame(writes, [101, 202, 303])
  tick(1_000_000 - 97_000)
  t.match((await visitor.get('/state')).json(), { isNew: true })
})

t.test('ttl: a change alone does not write the expiry sooner, touch() does', async (t) => {
  const { visitor, tick, store } = await stage(t, { ttl: 1000 })
  await visitor.get('/set')
  store.take()
  tick(50_000)
  const set = await visitor.get('/set')
  t.notOk(store.takeChanges()[0]?.['expiresAt'])
  t.strictSame(setCookies(set), [])
  const touched = await visitor.get('/touch')
  t.strictSame(store.takeChanges(), [{ expiresAt: Date.now() + 1_000_000, usedAt: Date.now() }])
  t.strictSame(maxAgeOf(setCookies(touched)), [1000])
})

t.test('ttl: null is for ever, and the cookie lives as long as browsers let it', async (t) => {
  const { visitor, tick, store } = await stage(t, { ttl: null })
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/set'))), [34_560_000])
  store.take()
  tick(2 ** 42)
  t.match((await visitor.get('/state')).json(), { isNew: false, ttl: null, left: null })
  await visitor.get('/read')
  await visitor.get('/read')
  t.strictSame(store.take(), ['load', 'load', 'commit', 'load'], 'nothing to slide, but for the day of the last use')
})

t.test('ttl: the route\'s counts where the session has none of its own', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600 })
  await visitor.get('/set')
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/short'))), [60], 'shortened')
  t.match((await visitor.get('/state')).json(), { left: 60_000 })
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/read'))), [600], 'and prolonged again')
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/ever'))), [34_560_000])
  t.match((await visitor.get('/state')).json(), { left: null })
  await visitor.get('/short')
  tick(60_000)
  t.match((await visitor.get('/state')).json(), { isNew: true })
})

t.test('ttl: the session\'s own counts before the route\'s, and comes back with the record', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600 })
  await visitor.get('/set')
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/expire?ttl=5'))), [5])
  t.match((await visitor.get('/state')).json(), { ttl: 5, left: 5000 })
  tick(4000)
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/short'))), [5])
  await visitor.get('/expire?ttl=null')
  tick(2 ** 40)
  t.match((await visitor.get('/state')).json(), { ttl: null, left: null, isNew: false })
  await visitor.get('/expire?ttl=1')
  tick(1000)
  t.match((await visitor.get('/state')).json(), { isNew: true })
})

t.test('expire: only whole seconds', async (t) => {
  const { app, visitor } = await stage(t)
  for (const ttl of [0, -1, 1.5, NaN, Infinity, 2 ** 31, '60', undefined, true, {}]) {
    await app.getSession(null, (session) => {
      t.throws(() => session.expire(ttl as number), { code: 'FST_SESSION_OPTION', message: /ttl must be a whole number of seconds from 1 to 2147483647, or null/ })
      t.equal(session.ttl, 1800)
    })
  }
  t.equal((await visitor.get('/expire?ttl=0')).statusCode, 500)
})

t.test('expire: told while a save is under way, it is saved after it', async (t) => {
  const { app, store, visitor } = await stage(t)
  await visitor.get('/set')
  const { token } = visitor
  await app.getSession(null, async (session) => {
    session.set('a', 1)
    session.expire(70)
    const { commit } = store
    store.commit = async (...args) => { store.commit = commit; return commit(...args) }
    const saving = session.commit()
    session.expire(80)
    await saving
    t.equal(session.ttl, 80)
  }, { token })
  t.match((await visitor.get('/state')).json(), { ttl: 80, left: 80_000 })
})

t.test('maxAge: absolute, however much the session is used', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600, maxAge: 1000 })
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/set'))), [600])
  tick(500_000)
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/read'))), [500], 'what is left')
  tick(499_999)
  t.match((await visitor.get('/state')).json(), { isNew: false, left: 1 })
  tick(1)
  t.match((await visitor.get('/state')).json(), { isNew: true })
})

t.test('maxAge: the route\'s; a session that is older is not let in, not even once', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600 })
  await visitor.get('/set')
  tick(99_000)
  t.match((await visitor.get('/young')).json(), { isNew: false, keys: 1 })
  t.match((await visitor.get('/state')).json(), { left: 1000 })
  await visitor.get('/read')
  tick(1000)
  t.match((await visitor.get('/young')).json(), { isNew: true, keys: 0 })
  t.match((await visitor.get('/read')).json(), { isNew: false, keys: 1 }, 'other routes give it more time')
})

t.test('maxAge without a ttl', async (t) => {
  const { visitor, tick, store } = await stage(t, { ttl: null, maxAge: 1000 })
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/set'))), [1000])
  store.take()
  tick(999_999)
  await visitor.get('/read')
  t.strictSame(store.take(), ['load'])
  tick(1)
  t.match((await visitor.get('/state')).json(), { isNew: true })
})

t.test('deleteSession: false: the data expires, and the session stays with its token', async (t) => {
  const { visitor, tick, store } = await stage(t, { ttl: 600, deleteSession: false })
  t.strictSame(maxAgeOf(setCookies(await visitor.get('/set'))), [34_560_000], 'the cookie outlives the data')
  const { token } = visitor
  tick(600_000)
  store.take()
  t.match((await visitor.get('/read')).json(), { a: null, isNew: false, keys: 0 })
  t.match((await visitor.get('/state')).json(), { isNew: false, ttl: 600, left: null })
  t.strictSame(store.take(), ['load', 'load'], 'what is empty has no expiry to slide')
  await visitor.get('/set')
  t.equal(visitor.token, token)
  t.match((await visitor.get('/state')).json(), { isNew: false, left: 600_000 })
  tick(599_999)
  t.match((await visitor.get('/state')).json(), { left: 1 })
  t.match((await visitor.get('/read')).json(), { keys: 1 })
  tick(599_999)
  t.match((await visitor.get('/read')).json(), { keys: 1 }, 'use slid it')
})

t.test('deleteSession: false with maxAge: the data has its most time, and new data begins anew', async (t) => {
  const { visitor, tick } = await stage(t, { ttl: 600, maxAge: 1000, deleteSession: false })
  await visitor.get('/set')
  tick(500_000)
  await visitor.get('/read')
  tick(500_000)
  t.match((await visitor.get('/read')).json(), { isNew: false, keys: 0 })
  await visitor.get('/set')
  t.match((await visitor.get('/state')).json(), { left: 600_000 })
})

t.test('Redis: the times to live on the server are those that the session says', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const client = new Redis(server.url)
  const prefix = redisPrefix(t, client)
  for (const deleteSession of [true, false]) {
    const store = redisStore(client, { prefix: `${prefix}${deleteSession}:`, timeout: 30_000 })
    const { app } = await tokenApp(t, { store, deleteSession, ttl: 600, maxAge: 1000 }, (app) => {
      app.get('/set', async (request) => { (await request.session).set('a', 1); return 'set' })
      app.get('/short', { config: { session: { ttl: 60 } } }, async (request) => (await request.session).size)
      app.get('/long', { config: { session: { ttl: 5000 } } }, async (request) => (await request.session).size)
      app.get('/own', async (request) => { (await request.session).expire(7); return 'set' })
      app.get('/renew', async (request) => { (await request.session).renew(); return 'renewed' })
      app.get('/free', { config: { session: { ttl: null, maxAge: null } } }, async (request) => { (await request.session).expire(null); return 'set' })
      app.get('/clear', async (request) => { (await request.session).clear(); return 'cleared' })
    })
    const visitor = new Visitor(app)
    /** Seconds left, rounded up: of the data, and of the session that outlives it. */
    const left = async (): Promise<Array<number | null>> => {
      const all = (await client.keys(`${prefix}${deleteSession}:*`)).sort((a, b) => a.length - b.length)
      const descriptions = await Promise.all(all.map((key) => client.hget(key, '')))
      const keys = all.filter((_, i) => descriptions[i]?.startsWith('renewed') !== true)
      const times = await Promise.all(keys.map((key) => client.pttl(key)))
      return times.map((ms) => ms === -1 ? null : Math.ceil(ms / 1000))
    }
    const is = async (expected: number | null, message: string): Promise<void> => {
      t.strictSame(await left(), deleteSession ? [expected] : [null, expected], `${message}, deleteSession ${deleteSession}`)
    }
    await visitor.get('/set')
    await is(600, 'ttl')
    await visitor.get('/short')
    await is(60, 'the route\'s ttl')
    await visitor.get('/long')
    await is(1000, 'maxAge')
    await visitor.get('/own')
    await is(7, 'expire')
    await visitor.get('/renew')
    await is(7, 'renew')
    await visitor.get('/free')
    await is(null, 'for ever')
    await visitor.get('/clear')
    t.strictSame(await left(), deleteSession ? [1000] : [null])
  }
})

t.test('Redis itself lets a session expire', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const client = new Redis(server.url)
  const events = new Redis(server.url)
  t.teardown(async () => { await Promise.all([client.quit(), events.quit()]) })
  const prefix = `${randomUUID()}:`
  await client.config('SET', 'notify-keyspace-events', 'Ex')
  await events.subscribe('__keyevent@0__:expired')
  const { app } = await tokenApp(t, { store: redisStore(client, { prefix, timeout: 30_000 }), ttl: 1 }, (app) => {
    app.get('/set', async (request) => { (await request.session).set('a', 1); return 'set' })
    app.get('/', async (request) => (await request.session).isNew)
  })
  const visitor = new Visitor(app)
  const expired = new Promise((resolve) => { events.on('message', (_channel, key) => { if (key.startsWith(prefix)) resolve(key) }) })
  await visitor.get('/set')
  await expired
  t.equal((await visitor.get('/')).json(), true)
  t.strictSame(await client.keys(`${prefix}*`), [])
})

for (const ttl of [null, 4000 * 86_400]) {
  for (const commit of ['onSend', 'onResponse'] as const) {
    for (const path of ['/read', '/set']) {
      t.test(`ttl ${ttl}, commit: ${commit}, visits of ${path}: the cookie of a session that lives for years is renewed before browsers drop it`, async (t) => {
        const { visitor, tick } = await stage(t, { ttl, commit })
        await visitor.get('/set')
        let age = 0
        for (let visits = 0; visits < 500 && age < 400; visits++) {
          tick(86_400_000)
          age = setCookies(await visitor.get(path)).length > 0 ? 0 : age + 1
        }
        t.ok(age < 400, `the cookie is ${age} days old`)
      })
    }
  }
}

t.test('expiresAt: what the cookie and the record of the same reply say', async (t) => {
  const { app } = await tokenApp(t, { ttl: 1800 }, (app) => {
    app.get('/login', async (request) => { (await request.session).set('user', 'ada') })
    app.get('/short', { config: { session: { ttl: 600 } } }, async (request) => (await request.session).expiresAt)
  })
  const visitor = new Visitor(app)
  await visitor.get('/login')
  const before = Date.now()
  const reply = await visitor.get('/short')
  const left = Math.ceil((Date.parse(reply.json()) - before) / 1000)
  t.ok(left >= 600 && left <= 601, `${left} seconds`)
  t.strictSame(maxAgeOf(setCookies(reply)), [600])
})

t.test('deleteSession: false: maxAge is absolute for the data, also for those that come after the first have expired', async (t) => {
  await inEachPlace(t, async (t, { connect, advance }) => {
    const { app } = await tokenApp(t, { store: connect(), ttl: 600, maxAge: 1000, deleteSession: false }, (app) => {
      app.get('/login', async (request) => { (await request.session).set('user', 'ada'); return 'in' })
      app.get('/count', async (request) => (await request.session).increment('n'))
      app.get('/', async (request) => (await request.session).get('user') ?? 'nobody')
      app.get('/young', { config: { session: { maxAge: 60 } } }, async (request) => (await request.session).get('user') ?? 'nobody')
      app.get('/young/login', { config: { session: { maxAge: 60 } } }, async (request) => { (await request.session).set('other', 1); return 'in' })
    })
    const visitor = new Visitor(app)
    for (let life = 0; life < 3; life++) {
      await visitor.get('/login')
      for (let age = 300; age <= 900; age += 300) {
        await advance(300_000)
        t.equal((await visitor.get(life === 1 ? '/count' : '/')).statusCode, 200)
        t.equal((await visitor.get('/')).body, 'ada', `life ${life}, after ${age} s`)
        t.equal((await visitor.get('/young')).body, 'nobody', 'a route that allows less does not see them')
      }
      await advance(100_000)
      t.equal((await visitor.get('/')).body, 'nobody', `life ${life}, after 1000 s`)
    }
    const { token } = visitor
    await visitor.get('/login')
    await advance(61_000)
    await visitor.get('/young/login')
    t.equal((await visitor.get('/')).body, 'nobody', 'a change by such a route replaces them')
    t.equal((await visitor.get('/young')).body, 'nobody')
    t.equal(visitor.token, token, 'in the same session')
  })
})
