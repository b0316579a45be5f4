import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import requestSession, { headerTransport, memoryStore, redisStore, tokenSessions } from '../lib/index.js'
import { barrier } from './support/barrier.js'
import { emitted } from './support/emitted.js'
import { CountingProvider } from './support/counting-provider.js'
import { startRedis } from './support/servers/redis.js'
import { withServer } from './support/servers/require.js'
import { SpyStore } from './support/spy-store.js'

t.test('ping() writes, reads and ends a session of no visitor', async (t) => {
  const store = memoryStore()
  const spy = new SpyStore(store)
  const users = tokenSessions({ store: spy, deleteSession: false, maxAge: 30 })
  const { ok, milliseconds, ...rest } = await users.ping()
  t.equal(ok, true)
  t.ok(Number.isInteger(milliseconds))
  t.strictSame(rest, {})
  t.strictSame(spy.take(), ['create', 'load', 'end'])
  t.equal((await tokenSessions({ store }).infoAll()).sessions, 0, 'nothing is left')
})

t.test('ping() needs no data that fit the rules of the app', async (t) => {
  const validate = (value: unknown) => typeof (value as { user?: unknown }).user === 'string' ? { value: value as { user: string } } : { issues: [{ message: 'a user' }] }
  const store = memoryStore()
  t.match(await tokenSessions({ store, data: { version: 2, schema: { '~standard': { version: 1, vendor: 'test', validate } } } }).ping(), { ok: true })
  t.match(await tokenSessions({ store, data: { initial: () => ({}), migrate: () => { throw new Error('never') }, version: 3 } }).ping(), { ok: true })
  t.equal((await tokenSessions({ store }).infoAll()).sessions, 0)
})

t.test('ping() only reads from a full store, where another session would have to go', async (t) => {
  const users = tokenSessions({ store: memoryStore({ maxSessions: 2 }) })
  const tokens = [(await users.create()).token, (await users.create()).token]
  t.match(await users.ping(), { ok: true })
  t.equal((await users.exists(tokens)).count, 2)
})

t.test('ping() tells what is wrong, with the causes and without credentials', async (t) => {
  const store = new SpyStore(memoryStore())
  const users = tokenSessions({ store })
  for (const sync of [false, true]) {
    store.failing = { error: new Error('no redis://ada:secret@host:6379/0\nand a stack', { cause: new AggregateError([new Error('connect ECONNREFUSED')]) }), sync }
    const { ok, problem } = await users.ping()
    t.strictSame({ ok, problem }, { ok: false, problem: 'no redis://***@host:6379/0: connect ECONNREFUSED' })
  }
  store.failing = { error: new Error('READONLY You can\'t write against a read only replica.'), methods: ['create'] }
  t.match(await users.ping(), { ok: false, problem: /^READONLY/ }, 'a store that can only be read')
})

t.test('ping() tells of a store that loses what was written', async (t) => {
  const store = memoryStore()
  const spy = new SpyStore(store)
  spy.before = (method) => { if (method === 'load') store.end(spy.calls[0]?.args[0] as string) }
  t.match(await tokenSessions({ store: spy }).ping(), { ok: false, problem: 'the store does not find a session that it has just written' })
})

t.test('ping() does not wait for an answer beyond its timeout, and the next one tries anew', async (t) => {
  const store = new SpyStore(memoryStore())
  const users = tokenSessions({ store })
  const answer = barrier()
  store.before = () => answer.opened
  t.match(await users.ping({ timeout: 20 }), { ok: false, problem: 'no answer within 20 milliseconds' })
  store.before = undefined
  t.match(await users.ping({ timeout: 20_000 }), { ok: true })
  answer.open()
})

t.test('calls of ping() at the same time share one try', async (t) => {
  const store = new SpyStore(memoryStore())
  const users = tokenSessions({ store })
  const results = await Promise.all(Array.from({ length: 100 }, () => users.ping()))
  t.strictSame(store.take(), ['create', 'load', 'end'])
  t.equal(new Set(results).size, 1)
  await users.ping()
  t.strictSame(store.take(), ['create', 'load', 'end'], 'a later one does not')
})

t.test('wrong options are refused', async (t) => {
  const users = tokenSessions()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: users })
  for (const timeout of [0, -1, 1.5, 60_001, '5' as never]) {
    await t.rejects(users.ping({ timeout }), { code: 'FST_SESSION_OPTION', message: /^ping\(\): option timeout must be a whole number of milliseconds from 1 to 60000; got/ })
    await t.rejects(app.sessionHealth({ timeout }), { code: 'FST_SESSION_OPTION', message: /^app\.sessionHealth\(\): option timeout/ })
  }
  await t.rejects(users.ping({ time: 1 } as never), { code: 'FST_SESSION_OPTION', message: /unknown option 'time'.*allowed: timeout/ })
})

t.test('app.sessionHealth() asks the providers of all contexts, each once', async (t) => {
  const [one, two] = [new SpyStore(memoryStore()), new SpyStore(memoryStore())]
  const app = Fastify()
  t.teardown(() => app.close())
  const shared = tokenSessions({ store: one })
  await app.register(async (child) => { await child.register(requestSession, { provider: shared }) })
  await app.register(async (child) => { await child.register(requestSession, { provider: shared }) })
  await app.register(async (child) => { await child.register(requestSession, { name: 'jobs', provider: tokenSessions({ store: two, transport: headerTransport() }) }) })
  await app.register(requestSession, { name: 'custom', provider: new CountingProvider(tokenSessions({ transport: headerTransport({ name: 'x-custom' }) })) })
  await app.ready()
  const healthy = await app.sessionHealth()
  t.match(healthy, { ok: true, sessions: { session: { ok: true }, 'session#2': { ok: true }, jobs: { ok: true }, custom: { ok: true, unchecked: 'the provider has no ping()' } } })
  t.equal(Object.keys(healthy.sessions).length, 4)
  t.strictSame(one.take(), ['create', 'load', 'end'])
  two.failing = { error: new Error('away') }
  t.match(await app.sessionHealth(), { ok: false, sessions: { session: { ok: true }, jobs: { ok: false, problem: 'away' } } })
})

t.test('Redis that stands still, is gone, comes back, or may not be written', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = new Redis(server.url, { retryStrategy: () => 10 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await emitted(client, 'ready')
  const users = tokenSessions({ store: redisStore(client) })
  t.match(await users.ping(), { ok: true })
  t.equal(await client.dbsize(), 0, 'nothing is left')
  server.pause()
  t.match(await users.ping({ timeout: 50 }), { ok: false, problem: 'no answer within 50 milliseconds' })
  server.resume()
  t.match(await users.ping({ timeout: 20_000 }), { ok: true })
  await server.kill()
  t.match(await users.ping({ timeout: 500 }), { ok: false })
  await server.restart()
  await emitted(client, 'ready')
  t.match(await users.ping({ timeout: 20_000 }), { ok: true })
  await client.config('SET', 'maxmemory', '1')
  t.match(await users.ping(), { ok: false, problem: /^OOM/ }, 'a full server')
})
