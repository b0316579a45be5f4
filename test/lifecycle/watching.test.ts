import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { mock } from 'node:test'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { assertNoOpenSessions, channels, tokenSessions, type SessionEvent } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { fakeApp } from '../support/fake-app.js'
import { fakeProvider } from '../support/fake-provider.js'

type Told = Record<string, unknown>

/** A stream that begins, and does not end. */
function endless (): Readable {
  const stream = new Readable({ read () {} })
  stream.push('data')
  return stream
}

/** Everything that is told from now on, until the test is over; durations as whether they are there. */
function listen (t: Test): Told[] {
  const told: Told[] = []
  for (const [channel, at] of Object.entries(channels)) {
    const hear = (message: unknown): void => {
      const { duration, error, ...event } = message as SessionEvent
      told.push({ channel, ...event, timed: typeof duration === 'number' && duration >= 0, error: (error as Error | undefined)?.message })
    }
    at.subscribe(hear)
    t.teardown(() => { at.unsubscribe(hear) })
  }
  return told
}

t.test('events tell of each step with name, kind, route, outcome and duration', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/good/:id', async ({ first }) => { first.add('a'); return 'ok' })
    app.get('/bad/:id', async ({ first }) => { first.add('a'); throw new Error('thrown') })
    app.get('/untouched', async () => 'ok')
  })
  const told = listen(t)
  const step = (channel: string, route: string, outcome?: string, error?: string): Told =>
    ({ channel, name: 'first', kind: 'graph', route, outcome, timed: true, error })

  await app.inject('/good/1')
  await assertNoOpenSessions(app)
  t.match(told.splice(0), ['open', 'commit', 'close'].map((channel) => step(channel, 'GET /good/:id', channel === 'open' ? undefined : 'committed')))

  await app.inject('/bad/1')
  await assertNoOpenSessions(app)
  t.match(told.splice(0), ['open', 'rollback', 'close'].map((channel) => step(channel, 'GET /bad/:id', channel === 'open' ? undefined : 'rolled-back')))

  first.provider.before.commit = () => { throw new Error('no commit') }
  first.provider.before.close = () => { throw new Error('no close') }
  await app.inject('/good/1')
  await assertNoOpenSessions(app)
  t.match(told.splice(0), [
    step('open', 'GET /good/:id'),
    step('commit', 'GET /good/:id', 'rolled-back', 'no commit'),
    step('close', 'GET /good/:id', 'rolled-back', 'no close'),
  ])

  await app.inject('/untouched')
  t.strictSame(told, [])
})

t.test('sessionStats() counts per registration', async (t) => {
  const used = barrier()
  const go = barrier()
  const { app, first } = await fakeApp(t, { second: { kind: 'document' } }, (app) => {
    app.get('/', async ({ first, query }) => {
      first.add('a')
      const { fail } = query as { fail?: string }
      if (fail !== undefined) throw new Error('thrown')
      return 'ok'
    })
    app.get('/held', async ({ first }) => {
      first.add('a')
      used.open()
      await go.opened
      return 'ok'
    })
  })
  const nothing = { open: 0, opened: 0, committed: 0, readOnly: 0, rolledBack: 0, failed: 0, anonymous: 0, unknown: 0, lateAccesses: 0, failedFollowUps: 0 }
  t.strictSame(app.sessionStats(), { first: { kind: 'graph', ...nothing }, second: { kind: 'document', ...nothing } })
  for (const url of ['/', '/', '/?fail']) await app.inject(url)
  await assertNoOpenSessions(app)
  const held = app.inject('/held')
  await used.opened
  t.match(app.sessionStats()['first'], { open: 1, opened: 4, committed: 2, rolledBack: 1 })
  go.open()
  await held
  await assertNoOpenSessions(app)
  t.match(app.sessionStats(), { first: { open: 0, opened: 4, committed: 3, rolledBack: 1 }, second: nothing })
  t.equal(first.provider.opened, 4)
})

t.test('warnAfter', async (t) => {
  t.test('names the route and where the session was opened, once per session, and closes nothing', async (t) => {
    mock.timers.enable({ apis: ['setInterval'] })
    t.teardown(() => { mock.timers.reset() })
    const [used, go] = [barrier(), barrier()]
    const { app, log, first } = await fakeApp(t, { first: { warnAfter: 8 }, second: { warnAfter: 0 } }, (app) => {
      app.get('/held/:id', async function heldHandler (request) {
        request.first.add('a')
        request.second.add('a')
        used.open()
        await go.opened
        return 'ok'
      })
    })
    const reply = app.inject('/held/1')
    await used.opened
    mock.timers.tick(8)
    t.strictSame(log, [], 'not before the time')
    mock.timers.tick(2)
    mock.timers.tick(100)
    t.equal(log.length, 1)
    t.match(log[0], { level: 40, route: 'GET /held/:id', msg: 'first of GET /held/:id has been open for 8 milliseconds or more' })
    t.match(log[0]?.stack, /heldHandler.*watching\.test\.ts/)
    t.equal(first.provider.open, 1)
    go.open()
    t.equal((await reply).statusCode, 200)
  })

  t.test('has the stack of the first session of the route, and once it has warned each one\'s own', async (t) => {
    mock.timers.enable({ apis: ['setInterval'] })
    t.teardown(() => { mock.timers.reset() })
    const { app, log } = await fakeApp(t, { first: { warnAfter: 8 } }, (app) => {
      app.get('/held', async function heldHandler (request) {
        const where = new URLSearchParams(request.query as Record<string, string>).get('where')
        if (where === 'there') (function there () { request.first.add('a') })()
        else request.first.add('a')
        if (where !== null) mock.timers.tick(10)
        return 'ok'
      })
    })
    for (const query of ['', '?where=here', '?where=there']) {
      await app.inject(`/held${query}`)
      await assertNoOpenSessions(app)
    }
    t.equal(log.length, 2)
    t.match(log[0]?.stack, /^of the first session of this route: Error: opened here[^]*heldHandler/)
    t.match(log[1]?.stack, /^Error: opened here[^]*there.*watching\.test\.ts/)
    await app.close()
  })

  for (const state of ['committed', 'hijacked'] as const) {
    for (const kind of ['token', 'graph'] as const) {
      const isHeld = kind === 'graph' && state === 'hijacked'
      t.test(`a ${kind} session whose reply streams, ${state}, is ${isHeld ? 'held' : 'no reason to warn'}`, async (t) => {
        mock.timers.enable({ apis: ['setInterval'] })
        t.teardown(() => { mock.timers.reset() })
        const lines: string[] = []
        const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } }, forceCloseConnections: true })
        t.teardown(() => app.close())
        const provider = kind === 'token' ? tokenSessions() : fakeProvider()
        await app.register(requestSession, { name: 'first', provider, warnAfter: 8 })
        app.get('/', async (request, reply) => {
          await request.first
          if (state === 'committed') return reply.send(endless())
          reply.hijack()
          reply.raw.writeHead(200)
          reply.raw.write('data')
        })
        const url = await app.listen({ port: 0, host: '127.0.0.1' })
        const request = get(url)
        const [reply] = await once(request, 'response') as [IncomingMessage]
        await once(reply, 'data')
        mock.timers.tick(100)
        t.equal(lines.length, isHeld ? 1 : 0)
        request.on('error', () => {}).destroy()
      })
    }
  }

  t.test('a close that does not end is held', async (t) => {
    mock.timers.enable({ apis: ['setInterval'] })
    t.teardown(() => { mock.timers.reset() })
    const [closing, go] = [barrier(), barrier()]
    const { app, log, first } = await fakeApp(t, { first: { warnAfter: 8 } }, (app) => {
      app.get('/', async (request) => { request.first.add('a'); return 'ok' })
    })
    first.provider.before.close = () => { closing.open(); return go.opened }
    await app.inject('/')
    await closing.opened
    mock.timers.tick(8)
    t.strictSame(log, [], 'its time begins with the close')
    mock.timers.tick(2)
    t.equal(log.length, 1)
    go.open()
    await assertNoOpenSessions(app)
  })

  t.test('stops with the app', async (t) => {
    mock.timers.enable({ apis: ['setInterval'] })
    t.teardown(() => { mock.timers.reset() })
    const { app, log } = await fakeApp(t, { first: { warnAfter: 1 } }, () => {})
    await app.close()
    mock.timers.tick(10)
    t.strictSame(log, [])
  })
})
