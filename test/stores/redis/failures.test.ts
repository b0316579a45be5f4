import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type RedisClient, type TokenSession, type TokenSessionOptions } from '../../../lib/index.js'
import { emitted } from '../../support/emitted.js'
import { nodeRedis } from '../../support/node-redis.js'
import type { OwnServer } from '../../support/servers/own-server.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'
import { setCookies, tokenApp, Visitor, type LogLine, type TokenApp } from '../../support/token-app.js'

/** Milliseconds that a call of the store may take. */
const timeout = 400
/** Milliseconds that a request may take: two calls, and a busy machine. */
const patience = 2 * timeout + 2000

type Connect = (t: Test, url: string) => Promise<RedisClient>

const ioredis = (options: object = {}): Connect => async (t, url) => {
  const client = new Redis(url, { retryStrategy: () => 20, ...options })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await emitted(client, 'ready')
  return client
}

/** Clients with their options, by the case that they are for. */
interface Clients { readonly usual: Connect, readonly offline: Connect, readonly batching: readonly Connect[], readonly forgetful: readonly Connect[], readonly resending: readonly Connect[] }

const packages: Record<string, Clients> = {
  ioredis: {
    usual: ioredis(),
    offline: ioredis({ enableOfflineQueue: false }),
    batching: [ioredis({ enableAutoPipelining: false }), ioredis({ enableAutoPipelining: true })],
    forgetful: [ioredis({ autoResendUnfulfilledCommands: false })],
    resending: [ioredis({ autoResendUnfulfilledCommands: true })],
  },
  'node-redis': {
    usual: nodeRedis,
    offline: (t, url) => nodeRedis(t, url, { disableOfflineQueue: true }),
    batching: [nodeRedis],
    forgetful: [nodeRedis, (t, url) => nodeRedis(t, url, { disableOfflineQueue: true })],
    resending: [],
  },
}

/** `client` is the test's own. `serves` asks the store, and `recovered` waits until it answers again. */
interface Stage extends TokenApp { readonly visitor: Visitor, readonly client: Redis, readonly token: string, readonly serves: () => Promise<boolean>, readonly recovered: () => Promise<void> }

/** An app on this server, and a visitor who has a session with `n` 1. */
async function stage (t: Test, server: OwnServer, connect: Connect, options: TokenSessionOptions = {}): Promise<Stage> {
  const client = await ioredis()(t, server.url) as Redis
  const store = redisStore(await connect(t, server.url), { timeout })
  const { app, log } = await tokenApp(t, { store, ...options }, (app) => {
    app.get('/read', async (request) => ({ n: (await request.session).get('n') ?? null }))
    app.get('/count', async (request) => ({ n: (await request.session).increment('n') }))
    app.get('/end', async (request) => { (await request.session).end(); return 'ended' })
    app.get('/fill', async (request) => { (await request.session).set('big', 'x'.repeat(200_000)).increment('n'); return 'filled' })
  })
  const visitor = new Visitor(app)
  await visitor.get('/count')
  const serves = async (): Promise<boolean> => {
    try {
      await store.load('none')
      return true
    } catch {
      return false
    }
  }
  return { app, log, visitor, client, token: visitor.token as string, serves, recovered: async () => { while (!await serves()) await delay(10) } }
}

/** Sends a request, which must be answered in time and leave the cookie alone, and returns its answer. */
async function answer (t: Test, visitor: Visitor, url: string): Promise<{ status: number, code?: string, message?: string, n?: number }> {
  const begin = performance.now()
  const reply = await visitor.get(url)
  t.ok(performance.now() - begin < patience, 'within the deadline')
  t.strictSame(setCookies(reply), [], 'the cookie is left alone')
  return { status: reply.statusCode, ...reply.headers['content-type']?.toString().includes('json') ? reply.json() as object : {} }
}

/** The same whatever happened to Redis: that is in the log. */
const message = 'The session store is unavailable. Try again in a moment.'
const unavailable = { status: 503, code: 'FST_SESSION_STORE_UNAVAILABLE', message }

/** The last line of the log says why a reply was a 503. */
function logged (t: Test, log: LogLine[], reason: RegExp): void {
  t.match(log.at(-1), { level: 50, err: { code: 'FST_SESSION_STORE_UNAVAILABLE', message: reason } })
}

for (const [name, { usual, offline, batching, forgetful, resending }] of Object.entries(packages)) {
  t.test(`${name}: killed: 503 with a name, within the deadline; restarted: it goes on`, async (t) => {
    const server = await withServer(t, () => startRedis({ persistent: true }))
    if (!server) return
    const { visitor, token, recovered } = await stage(t, server, usual)
    await server.kill()
    t.match(await answer(t, visitor, '/read'), unavailable)
    t.match(await answer(t, visitor, '/count'), unavailable)
    t.equal(visitor.token, token)
    await server.restart()
    await recovered()
    t.match(await answer(t, visitor, '/count'), { status: 200, n: 2 })
  })

  t.test(`${name}: killed between load and commit: 503, it is not known whether it was saved, and never a success`, async (t) => {
    const server = await withServer(t, () => startRedis({ persistent: true }))
    if (!server) return
    const { app, visitor, token, recovered } = await stage(t, server, usual)
    await t.rejects(app.getSession(null, async (session) => {
      session.increment('n')
      await server.kill()
    }, { token }), { code: 'FST_SESSION_OUTCOME_UNKNOWN', statusCode: 503 })
    await server.restart()
    await recovered()
    const { n } = await answer(t, visitor, '/read')
    t.ok(n === 1 || n === 2, 'not applied, or when the client sent it after all; never twice')
  })

  t.test(`${name}: killed, without an offline queue in the client: at once`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const { visitor, serves, recovered } = await stage(t, server, offline)
    await server.kill()
    while (await serves());
    const begin = performance.now()
    t.match(await answer(t, visitor, '/read'), unavailable)
    t.ok(performance.now() - begin < timeout, 'before the deadline')
    await server.restart()
    await recovered()
    t.match(await answer(t, visitor, '/read'), { status: 200 })
  })

  t.test(`${name}: paused: the deadline answers`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const { app, visitor, token, log, recovered } = await stage(t, server, usual)
    server.pause()
    t.match(await answer(t, visitor, '/read'), unavailable)
    logged(t, log, /within 400 milliseconds/)
    t.match(await answer(t, visitor, '/count'), unavailable)
    server.resume()
    await recovered()
    t.match(await answer(t, visitor, '/read'), { status: 200, n: 1 }, 'what could not be read was not changed')
    t.match(await answer(t, visitor, '/count'), { status: 200, n: 2 }) // from here on the server knows the script
    await t.rejects(app.getSession(null, (session) => {
      session.increment('n')
      server.pause()
    }, { token }), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
    server.resume()
    await recovered()
    t.match(await answer(t, visitor, '/read'), { status: 200, n: 3 }, 'it was applied later')
  })

  t.test(`${name}: the deadline holds, also where the clock is set back meanwhile`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const store = redisStore(await usual(t, server.url), { timeout })
    await store.load('none')
    server.pause()
    const { now } = Date
    t.teardown(() => { Date.now = now })
    const began = performance.now()
    const loading = store.load('none')
    Date.now = () => now() - 3_600_000
    await t.rejects(async () => loading, { code: 'FST_SESSION_STORE_UNAVAILABLE' })
    t.ok(performance.now() - began < patience)
  })

  t.test(`${name}: onStoreError: anonymous: goes on without the session`, async (t) => {
    const server = await withServer(t, () => startRedis({ persistent: true }))
    if (!server) return
    const { visitor, log, token, recovered } = await stage(t, server, usual, { onStoreError: 'anonymous' })
    await server.kill()
    t.match(await answer(t, visitor, '/read'), { status: 200, n: null })
    t.match(log.at(-1), { level: 50, msg: /visitor is anonymous/ })
    t.match(await answer(t, visitor, '/count'), unavailable)
    await server.restart()
    await recovered()
    t.equal(visitor.token, token)
    t.match(await answer(t, visitor, '/read'), { status: 200, n: 1 })
  })

  t.test(`${name}: SCRIPT FLUSH: nobody notices`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    for (const connect of batching) {
      const { visitor, client, app } = await stage(t, server, connect)
      await client.script('FLUSH')
      t.match(await answer(t, visitor, '/count'), { status: 200, n: 2 })
      await client.script('FLUSH')
      t.equal((await new Visitor(app).get('/count')).statusCode, 200)
      await client.script('FLUSH')
      const replies = await Promise.all(Array.from({ length: 20 }, () => visitor.get('/count')))
      t.ok(replies.every(({ statusCode }) => statusCode === 200))
      t.match(await answer(t, visitor, '/read'), { n: 22 })
    }
  })

  t.test(`${name}: full: a clear 503, nothing half-written; reading and ending go on`, async (t) => {
    const server = await withServer(t, () => startRedis({ args: ['--maxmemory-policy', 'noeviction'] }))
    if (!server) return
    const { app, visitor, client, log } = await stage(t, server, usual)
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
    await client.config('SET', 'maxmemory', String(used + 600_000))
    const full: Visitor[] = []
    let refused
    for (let i = 0; i < 50 && refused === undefined; i++) {
      const one = new Visitor(app)
      const reply = await one.get('/fill')
      if (reply.statusCode === 200) full.push(one)
      else refused = reply
    }
    t.match(refused?.json(), { statusCode: 503, code: 'FST_SESSION_STORE_UNAVAILABLE', message })
    logged(t, log, /OOM/)
    t.strictSame(refused === undefined ? [] : setCookies(refused), [], 'no cookie for what was not saved')
    t.equal(await client.dbsize(), full.length + 1, 'nothing half-written')
    await client.config('SET', 'maxmemory', '1')
    for (const url of ['/fill', '/count']) {
      t.match(await answer(t, visitor, url), unavailable)
      logged(t, log, /OOM/)
    }
    t.match(await answer(t, visitor, '/read'), { status: 200, n: 1 })
    for (const one of full) t.equal((await one.get('/end')).statusCode, 200)
    await client.config('SET', 'maxmemory', '0')
    t.match(await answer(t, visitor, '/count'), { status: 200, n: 2 })
  })

  t.test(`${name}: no error has the data of the session, whose commits fail`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const direct = await ioredis()(t, server.url) as Redis
    const users = tokenSessions({ store: redisStore(await usual(t, server.url), { timeout }) })
    const fails = async (how: string, work: (session: TokenSession) => void): Promise<void> => {
      const session = await users.create({ data: { n: 1 } })
      await direct.config('SET', 'maxmemory', how === 'full' ? '1' : '0')
      work(session)
      if (how === 'killed') await server.kill()
      const error: unknown = await session.commit().catch((error: unknown) => error)
      if (how !== 'killed') await direct.config('SET', 'maxmemory', '0')
      t.ok(error instanceof Error, how)
      t.notMatch(inspect(error, { depth: 20, showHidden: true }), /hunter2/, how)
    }
    await fails('full', (session) => { session.set('password', 'hunter2') })
    await fails('full', (session) => { session.update('password', () => 'hunter2') })
    await fails('killed', (session) => { session.set('password', 'hunter2') })
  })

  t.test(`${name}: a replica that cannot be written, as after a failover: a clear 503, and it recovers`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const { app, visitor, client, log } = await stage(t, server, usual)
    await client.config('SET', 'repl-timeout', '1')
    await client.call('REPLICAOF', '127.0.0.1', '1')
    t.match(await answer(t, visitor, '/count'), unavailable)
    logged(t, log, /READONLY/)
    t.match((await new Visitor(app).get('/count')).json(), { statusCode: 503, message })
    logged(t, log, /READONLY/)
    t.match(await answer(t, visitor, '/end'), unavailable)
    logged(t, log, /READONLY/)
    t.match(await answer(t, visitor, '/read'), { status: 200, n: 1 })
    await client.call('REPLICAOF', 'NO', 'ONE')
    t.match(await answer(t, visitor, '/count'), { status: 200, n: 2 })
  })

  t.test(`${name}: killed and restarted under load: every success is true, every failure has a name`, async (t) => {
    const server = await withServer(t, () => startRedis({ persistent: true }))
    if (!server) return
    for (const [i, connect] of [...forgetful, ...resending].entries()) {
      const sendsOnce = i < forgetful.length
      const { app, recovered } = await stage(t, server, connect)
      const seen = new Map<string, number>()
      const ending = new AbortController()
      const { signal: over } = ending
      const visitors = await Promise.all(Array.from({ length: 16 }, async () => {
        const visitor = new Visitor(app)
        await visitor.get('/count')
        return { visitor, successes: 1, requests: 1, slowest: 0 }
      }))
      const load = Promise.all(visitors.map(async (one) => {
        for (;;) {
          if (over.aborted) return
          const begin = performance.now()
          const reply = await one.visitor.get('/count')
          one.slowest = Math.max(one.slowest, performance.now() - begin)
          one.requests++
          const outcome = reply.statusCode === 200 ? '200' : `${reply.statusCode} ${(reply.json() as { code: string }).code}`
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
          if (reply.statusCode === 200) one.successes++
        }
      }))
      for (let i = 1; i <= 3; i++) {
        while ((seen.get('200') ?? 0) < i * 50) await delay(5)
        await server.kill()
        await delay(50)
        await server.restart()
        await recovered()
      }
      await delay(100)
      ending.abort()
      await load
      await delay(timeout) // commands that timed out may still be on their way
      await recovered()
      for (const { visitor, successes, requests, slowest } of visitors) {
        const { n = 0 } = await answer(t, visitor, '/read')
        t.ok(n >= successes, `${n} counted, ${successes} of ${requests} requests were told so`)
        t.ok(!sendsOnce || n <= requests, 'nothing was counted twice')
        t.ok(slowest < patience, `the slowest took ${Math.round(slowest)} ms`)
      }
      t.ok((seen.get('200') ?? 0) >= 150, 'it was under load')
      t.ok([...seen.keys()].every((outcome) => /^(200|503 FST_SESSION_(STORE_UNAVAILABLE|OUTCOME_UNKNOWN))$/.test(outcome)), [...seen.keys()].join(', '))
      t.comment(JSON.stringify({ sendsOnce, ...Object.fromEntries(seen) }))
    }
  })
}
