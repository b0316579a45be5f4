import { PassThrough } from 'node:stream'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { assertNoOpenSessions, channels, errors, memoryStore, tokenSessions, type SessionEvent, type SessionStats, type TokenSessionOptions } from '../../lib/index.js'
import { newChange } from '../../lib/stores/contract-helpers.js'
import { idOf } from '../../lib/token/tokens.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor, type TokenApp } from '../support/token-app.js'

interface Stage extends TokenApp { store: SpyStore, visitor: Visitor, token: string }

/** An app and a visitor who has a session with `n` 1. */
async function stage (t: Test, options: TokenSessionOptions = {}): Promise<Stage> {
  const store = new SpyStore(memoryStore())
  const { app, log } = await tokenApp(t, { store, ...options }, (app) => {
    app.get('/read', async (request) => ({ n: (await request.session).get('n') ?? null, size: (await request.session).size }))
    app.get('/count', async (request) => ({ n: (await request.session).increment('n') }))
    app.get('/untouched', async () => 'ok')
    app.get('/unawaited', async (request) => {
      const unawaited = request.session
      return typeof unawaited
    })
    app.get('/end', async (request) => { (await request.session).end(); return 'ended' })
    app.get('/end-later', { config: { session: { commit: 'onResponse' } } }, async (request) => { (await request.session).end() })
    app.get('/renew', async (request) => { (await request.session).renew(); return 'renewed' })
    app.get('/touch', async (request) => { (await request.session).touch(); return 'touched' })
    app.get('/commit', async (request) => {
      const session = await request.session
      session.increment('n')
      await session.commit()
      return 'committed'
    })
    app.get('/caught', async (request) => {
      const session = await request.session
      session.increment('n')
      const failed = await session.commit().then(() => undefined, (error: { code: string }) => error.code)
      return { failed }
    })
    app.get('/buy', async (request) => {
      const session = await request.session
      session.update('n', (n) => {
        if (n === 'sold out') throw Object.assign(new Error('sold out'), { statusCode: 410 })
        return n
      })
      return 'bought'
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/count')
  store.take()
  return { app, log, store, visitor, token: visitor.token as string }
}

const down = new Error('connect ECONNREFUSED')

t.test('onStoreError: fail: a store that cannot be read is a 503 with a named error, and the cookie stays', async (t) => {
  for (const sync of [false, true]) {
    const { store, visitor, token, log } = await stage(t)
    store.failing = { error: down, sync }
    const reply = await visitor.get('/read')
    t.equal(reply.statusCode, 503)
    t.match(reply.json(), { code: 'FST_SESSION_STORE_UNAVAILABLE', message: 'The session store is unavailable. Try again in a moment.' })
    t.match(log, [{ level: 50, err: { code: 'FST_SESSION_STORE_UNAVAILABLE', message: /ECONNREFUSED/ } }], 'the log says why, once')
    t.strictSame(setCookies(reply), [])
    t.equal((await visitor.get('/untouched')).statusCode, 200, 'other routes do not notice')
    t.equal((await visitor.get('/unawaited')).statusCode, 200, 'a handler that does not wait for it has not failed')
    store.failing = undefined
    t.equal(visitor.token, token)
    t.strictSame((await visitor.get('/read')).json(), { n: 1, size: 1 }, 'it recovers with the store')
  }
})

t.test('onStoreError: fail: a store that cannot be written is a 503: no false success, and the cookie stays', async (t) => {
  for (const sync of [false, true]) {
    const { store, visitor, log } = await stage(t)
    store.failing = { error: down, sync, methods: ['commit', 'create', 'renew', 'end'] }
    for (const url of ['/count', '/commit', '/renew', '/end']) {
      const reply = await visitor.get(url)
      t.equal(reply.statusCode, 503, url)
      t.equal(reply.json().code, 'FST_SESSION_STORE_UNAVAILABLE')
      t.strictSame(setCookies(reply), [], `${url} leaves the cookie`)
    }
    t.notOk(log.some(({ msg }) => msg.includes('changed after it was saved')), 'what failed is not said to have come too late')
    store.failing = undefined
    t.strictSame((await visitor.get('/read')).json(), { n: 1, size: 1 })
  }
})

t.test('onStoreError: fail: a new session that cannot be written is a 503 without a cookie', async (t) => {
  const { app, store } = await stage(t)
  store.failing = { error: down, methods: ['create'] }
  const visitor = new Visitor(app)
  const reply = await visitor.get('/count')
  t.equal(reply.statusCode, 503)
  t.strictSame(setCookies(reply), [])
})

t.test('onStoreError: anonymous: goes on with an empty session that is not saved, and the cookie stays', async (t) => {
  for (const sync of [false, true]) {
    const { store, visitor, token, log } = await stage(t, { onStoreError: 'anonymous' })
    store.failing = { error: down, sync, methods: ['load'] }
    t.strictSame((await visitor.get('/read')).json(), { n: null, size: 0 })
    t.match(log.at(-1), { level: 50, err: { code: 'FST_SESSION_STORE_UNAVAILABLE' }, route: 'GET /read' })
    const lines = log.length
    for (let i = 0; i < 3; i++) await visitor.get('/read')
    t.equal(log.length, lines, 'an outage is told once')
    t.equal((await visitor.get('/touch')).statusCode, 200)
    for (const url of ['/count', '/end', '/renew', '/commit']) {
      const reply = await visitor.get(url)
      t.match(reply.json(), { statusCode: 503, code: 'FST_SESSION_STORE_UNAVAILABLE' }, `${url}: work that is not kept is an error`)
      t.strictSame(setCookies(reply), [], `${url} leaves the cookie`)
    }
    t.strictSame(setCookies(await visitor.get('/end-later')), [], 'so does a reply that leaves before its commit')
    t.ok(store.take().every((method) => method === 'load'), 'nothing was written')
    store.failing = undefined
    t.equal(visitor.token, token)
    t.strictSame((await visitor.get('/read')).json(), { n: 1, size: 1 })
    t.match(log.at(-1), { level: 40, visitors: 10, msg: /can be read again/ }, 'so is its end')
    const told = log.length
    await visitor.get('/read')
    t.equal(log.length, told)
  }
})

t.test('onStoreError: anonymous: what was changed and cannot be written is no success', async (t) => {
  const { store, visitor, log } = await stage(t, { onStoreError: 'anonymous' })
  store.failing = { error: down, methods: ['commit', 'create', 'renew', 'end'] }
  for (const url of ['/count', '/renew', '/end']) t.equal((await visitor.get(url)).statusCode, 503, url)
  t.equal((await visitor.get('/touch')).statusCode, 200, 'a use that could not be noted is no failure')
  t.match(log.at(-1), { level: 50, err: { code: 'FST_SESSION_STORE_UNAVAILABLE' }, msg: /expiry/ })
})

t.test('onStoreError: per route', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/fail', async (request) => (await request.session).size)
    app.get('/anonymous', { config: { session: { onStoreError: 'anonymous' } } }, async (request) => (await request.session).size)
  })
  store.failing = { error: down }
  const cookie = `session=${'a'.repeat(43)}`
  t.equal((await app.inject({ url: '/fail', headers: { cookie } })).statusCode, 503)
  t.equal((await app.inject({ url: '/anonymous', headers: { cookie } })).statusCode, 200)
})

t.test('the reply to a store\'s error says nothing of the server behind it; the log says it once, and the error has it as its cause', async (t) => {
  const secret = 'WRONGPASS of redis-7.internal:6379'
  const causes: unknown[] = [new Error(secret), new TypeError(secret), { message: secret }, secret]
  const cases = causes.flatMap((cause) => [
    cause,
    new errors.StoreUnavailableError(secret, { cause }), new errors.StoreUnavailableError(secret),
    new errors.OutcomeUnknownError(secret, { cause }), new errors.OutcomeUnknownError(secret),
    new errors.RecordError(secret, { cause }), new errors.RecordError(secret),
  ])
  for (const error of cases) {
    const { store, visitor, app, log, token } = await stage(t)
    for (const [method, url] of [['load', '/read'], ['commit', '/count']] as const) {
      log.length = 0
      store.failing = { error, methods: [method] }
      const reply = await visitor.get(url)
      t.equal(reply.statusCode, 503)
      t.notMatch(reply.body + JSON.stringify(reply.headers), /WRONGPASS|redis-7/)
      t.equal(log.filter((line) => JSON.stringify(line).includes(secret)).length, 1)
      t.match(log.find(({ err }) => err?.message.includes(secret)), { level: 50 })
    }
    const failed = await app.getSession(null, (session) => { session.increment('n') }, { token }).then(() => undefined, (error: Error) => error)
    t.match((failed?.cause as Error).message, secret)
    t.notMatch(failed?.message, secret)
  }
})

t.test('what an error of a store says beside its cause is in the log too, and not in the reply', async (t) => {
  const { store, visitor, log } = await stage(t)
  const cause = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  for (const Named of [errors.StoreUnavailableError, errors.OutcomeUnknownError, errors.RecordError]) {
    log.length = 0
    const error = new Named('redis-7 hung up', { cause })
    t.equal(error.cause, cause, 'the cause is the very one')
    store.failing = { error, methods: ['load'] }
    t.notMatch((await visitor.get('/read')).body, /redis-7|hang up/)
    t.match(log, [{ level: 50, err: { problem: 'redis-7 hung up', message: /: socket hang up$/ } }])
  }
})

t.test('the error of a value that is not JSON does not quote it: errors are logged with their causes', async (t) => {
  const secret = 'hunter2-of-ada'
  const store = memoryStore()
  const [plain, ruled] = [tokenSessions({ store }), tokenSessions({ store, data: { initial: () => ({}), schema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } } } })]
  const { token } = await plain.create()
  store.commit(idOf(token), newChange({ set: new Map([['password', secret]]) }))
  const ways: Record<string, () => unknown> = {
    get: async () => (await plain.load(token))?.get('password' as never),
    update: async () => (await plain.load(token))?.update('password', (value) => value),
    append: async () => (await plain.load(token))?.append('password', 1),
    claim: async () => (await plain.load(token))?.claim('password'),
    save: async () => plain.save(new PassThrough().resume()),
    'data with rules': async () => ruled.load(token),
  }
  for (const [name, way] of Object.entries(ways)) {
    const error: unknown = await Promise.resolve(way()).catch((error: unknown) => error)
    t.match(error, { code: 'FST_SESSION_RECORD' }, name)
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), secret.slice(0, 7), name)
    t.match(inspect(error), 'password', `${name}: the key is named`)
  }
  t.match(store.load(idOf(token)), { fields: new Map([['password', secret]]) }, 'claim() too leaves it as it was')
})

t.test('an error of the store that has a name of ours goes through; others are wrapped, whatever they are', async (t) => {
  const { store, visitor } = await stage(t)
  store.failing = { error: new errors.RecordError('it is torn'), methods: ['load'] }
  t.match((await visitor.get('/read')).json(), { statusCode: 503, code: 'FST_SESSION_RECORD' })
  for (const [i, error] of [undefined, null, 'text', { message: 'an object' }, Object.create(null)].entries()) {
    store.failing = { error, methods: ['load'] }
    t.match((await visitor.get('/read')).json(), { statusCode: 503, code: 'FST_SESSION_STORE_UNAVAILABLE' }, `${i}`)
  }
})

t.test('an error of the app\'s own update function is not taken for one of the store', async (t) => {
  const { store, visitor, app, token } = await stage(t)
  store.before = async (method) => {
    if (method !== 'commit') return
    store.before = undefined
    await app.getSession(null, (session) => { session.set('n', 'sold out') }, { token })
  }
  const reply = await visitor.get('/buy')
  t.match(reply.json(), { statusCode: 410, message: 'sold out' })
})

t.test('a commit whose answer was lost is not sent a second time', async (t) => {
  const lost = new errors.OutcomeUnknownError('no answer')
  const { store, visitor } = await stage(t)
  // The store applies it, and the answer never comes.
  const apply = store.commit
  let tries = 0
  store.commit = async (...args) => {
    tries++
    await apply(...args)
    throw lost
  }
  const uncaught = await visitor.get('/commit')
  t.match(uncaught.json(), { statusCode: 503, code: 'FST_SESSION_OUTCOME_UNKNOWN' })
  t.equal(tries, 1)
  const caught = await visitor.get('/caught')
  t.match(caught.json(), { statusCode: 503, code: 'FST_SESSION_OUTCOME_UNKNOWN' }, 'caught or not, it is no success')
  t.equal(tries, 2)
  store.commit = apply
  t.strictSame((await visitor.get('/read')).json(), { n: 3, size: 1 }, 'each was applied once')
})

t.test('after a lost answer: reload() tells what is true, and end() still ends', async (t) => {
  const { app, store, token } = await stage(t)
  const apply = store.commit
  store.commit = async () => { throw new errors.OutcomeUnknownError('no answer') }
  await app.getSession(null, async (session) => {
    session.increment('n')
    await t.rejects(session.commit(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
    await t.rejects(session.commit(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
    await session.reload()
    t.equal(session.get('n'), 1)
    store.commit = apply
    session.increment('n')
    await session.commit()
    store.commit = async () => { throw new errors.OutcomeUnknownError('no answer') }
    session.increment('n')
    await t.rejects(session.commit(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
    session.end()
  }, { token })
  store.commit = apply
  await app.getSession(null, (session) => { t.ok(session.isNew) }, { token })
})

t.test('reload() of a store that fails rejects with a named error', async (t) => {
  const { app, store, token } = await stage(t)
  await app.getSession(null, async (session) => {
    store.failing = { error: down }
    await t.rejects(session.reload(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: down })
    store.failing = undefined
  }, { token })
})

t.test('an id that is taken: another token is tried, and not for ever', async (t) => {
  const { app, store } = await stage(t)
  let taken = 1
  const create = store.create
  store.create = (...args) => taken-- > 0 ? false : create(...args)
  const visitor = new Visitor(app)
  t.strictSame((await visitor.get('/count')).json(), { n: 1 })
  t.strictSame((await visitor.get('/read')).json(), { n: 1, size: 1 })
  taken = Infinity
  t.match((await new Visitor(app).get('/count')).json(), { statusCode: 503, code: 'FST_SESSION_STORE_UNAVAILABLE' })
})

t.test('sessions are counted, and published, as what became of them', async (t) => {
  for (const onStoreError of ['fail', 'anonymous'] as const) {
    const { store, visitor, app } = await stage(t, { onStoreError })
    const outcomes: unknown[] = []
    const hear = (message: unknown): void => { outcomes.push((message as SessionEvent).outcome) }
    channels.close.subscribe(hear)
    t.teardown(() => { channels.close.unsubscribe(hear) })
    const before = app.sessionStats()['session'] as SessionStats
    await visitor.get('/read')
    await visitor.get('/count')
    store.failing = { error: down, methods: ['load'] }
    await visitor.get('/read')
    store.failing = { error: down, methods: ['commit'] }
    await visitor.get('/count')
    store.failing = undefined
    await t.rejects(app.getSession(null, () => { throw new Error('thrown') }), { message: 'thrown' })
    await assertNoOpenSessions(app)
    const unread = onStoreError === 'fail' ? 'failed' : 'anonymous'
    t.strictSame(outcomes, ['committed', 'committed', unread, 'rolled-back', 'rolled-back'])
    const after = app.sessionStats()['session'] as SessionStats
    const counted = (name: 'committed' | 'readOnly' | 'failed' | 'anonymous' | 'rolledBack'): number => after[name] - before[name]
    t.strictSame([counted('committed'), counted('readOnly'), counted('failed'), counted('anonymous'), counted('rolledBack')],
      onStoreError === 'fail' ? [2, 1, 1, 0, 2] : [2, 1, 0, 1, 2])
  }
})
