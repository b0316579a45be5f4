import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { assertNoOpenSessions, getSession, memoryStore, tokenSessions, type GetSessionOf, type TokenSession } from '../lib/index.js'
import { barrier } from './support/barrier.js'
import { CountingProvider } from './support/counting-provider.js'
import { fakeApp, type LogLine } from './support/fake-app.js'
import { fakeProvider, type FakeProvider, type FakeSession } from './support/fake-provider.js'

interface Caller {
  readonly call: GetSessionOf<FakeProvider>
  readonly provider: CountingProvider
  readonly kept: ReadonlySet<string>
  /** What was logged or, where there is no log, what the process was warned of. */
  readonly reports: () => Promise<string[]>
  /** How messages name the call. */
  readonly name: string
}

/** In an app, and outside of Fastify. */
const callers: Record<string, (t: Test) => Promise<Caller>> = {
  async 'app.getFirst()' (t) {
    const { app, log, first } = await fakeApp(t, {}, () => {})
    const reports = async (): Promise<string[]> => log.map(({ msg, err }: LogLine) => `${msg}: ${err?.message}`)
    return { call: app.getFirst, ...first, reports, name: 'the session of app.getFirst()' }
  },
  async 'getSession()' (t) {
    const fake = fakeProvider()
    const provider = new CountingProvider<FakeSession>(fake)
    const warnings: string[] = []
    const warn = ({ name, message }: Error): void => { if (name === 'FastifyRequestSessionWarning') warnings.push(message) }
    process.on('warning', warn)
    t.teardown(() => { process.off('warning', warn) })
    const reports = async (): Promise<string[]> => {
      await new Promise(setImmediate) // warnings are emitted in the next tick
      return warnings
    }
    return { call: async (existing, callback, options) => getSession(provider, existing, callback, options), provider, kept: fake.kept, reports, name: 'the session of getSession()' }
  },
}

for (const [title, caller] of Object.entries(callers)) {
  t.test(title, async (t) => {
    t.test('without an existing session', async (t) => {
      for (const none of [null, undefined]) {
        t.test(`(${none}) a callback that resolves: opened, committed, closed; its value is returned`, async (t) => {
          const { call, provider, kept } = await caller(t)
          t.equal(await call(none, async (session) => { session.add('a'); return 'value' }), 'value')
          t.strictSame([provider.steps, [...kept]], [['open', 'commit', 'close'], ['a']])
        })
      }

      t.test('a callback that returns at once is as good', async (t) => {
        const { call, provider } = await caller(t)
        t.equal(await call(null, () => 'value'), 'value')
        t.strictSame(provider.steps, ['open', 'commit', 'close'])
      })

      for (const [way, callback] of Object.entries({
        rejects: async (session: FakeSession) => { session.add('a'); throw new Error('of the callback') },
        throws: (session: FakeSession) => { session.add('a'); throw new Error('of the callback') },
      })) {
        t.test(`a callback that ${way}: rolled back, closed; its own error is rethrown`, async (t) => {
          const { call, provider, kept, reports } = await caller(t)
          const error: unknown = await call(null, callback).catch((error: unknown) => error)
          t.match(error, { message: 'of the callback' })
          t.notOk('suppressed' in (error as Error))
          t.strictSame([provider.steps, [...kept], await reports()], [['open', 'rollback', 'close'], [], []])
        })
      }

      t.test('a commit that fails is thrown; nothing is kept, all is closed', async (t) => {
        const { call, provider, kept } = await caller(t)
        provider.before.commit = () => Promise.reject(new Error('no commit'))
        await t.rejects(call(null, async (session) => { session.add('a') }), { message: 'no commit' })
        t.strictSame([provider.steps, [...kept]], [['open', 'commit', 'close'], []])
      })

      t.test("a rollback and a close that fail are reported and attached, never in the way of the callback's error", async (t) => {
        const { call, provider, reports, name } = await caller(t)
        provider.before.rollback = () => Promise.reject(new Error('no rollback'))
        provider.before.close = () => Promise.reject(new Error('no close'))
        const original = new Error('of the callback')
        const error: unknown = await call(null, async () => { throw original }).catch((error: unknown) => error)
        t.equal(error, original)
        t.match(error, { suppressed: [{ message: 'no rollback' }, { message: 'no close' }] })
        t.strictSame(Object.keys(original), [], 'what is attached does not show in logs of its keys')
        t.strictSame(await reports(), [`rolling back ${name} failed: no rollback`, `closing ${name} failed: no close`])
      })

      t.test('what cannot carry an attachment is rethrown as it is', async (t) => {
        const { call, provider, reports } = await caller(t)
        provider.before.rollback = () => Promise.reject(new Error('no rollback'))
        for (const thrown of ['a string', undefined, null, Object.freeze(new Error('frozen'))]) {
          let caught: unknown = 'nothing'
          await call(null, async () => { throw thrown }).catch((error: unknown) => { caught = error })
          t.equal(caught, thrown)
        }
        t.equal((await reports()).length, 4)
      })

      t.test('a close that fails after the commit is reported; the value is returned', async (t) => {
        const { call, provider, kept, reports, name } = await caller(t)
        provider.before.close = () => Promise.reject(new Error('no close'))
        t.equal(await call(null, async (session) => { session.add('a'); return 'value' }), 'value')
        t.strictSame([[...kept], await reports()], [['a'], [`closing ${name} failed: no close`]])
      })

      t.test('a session that cannot be opened: the callback does not run', async (t) => {
        const { call, provider } = await caller(t)
        provider.before.open = () => { throw new Error('no session') }
        await t.rejects(call(null, () => t.fail('the callback runs')), { message: 'no session' })
        t.strictSame(provider.steps, ['open'])
      })
    })

    t.test('with an existing session', async (t) => {
      t.test('a callback that resolves or rejects just joins it', async (t) => {
        const { call, provider } = await caller(t)
        const added: string[] = []
        const existing: FakeSession = { add: (key) => { added.push(key) }, closed: false }
        t.equal(await call(existing, (session) => { session.add('a'); return session }), existing)
        await t.rejects(call(existing, async (session) => { session.add('b'); throw new Error('of the callback') }), { message: 'of the callback' })
        await t.rejects(call(existing, () => { throw new Error('of the callback') }), { message: 'of the callback' })
        t.strictSame([added, provider.steps], [['a', 'b'], []])
      })

      t.test('nested calls join the outermost, which alone settles', async (t) => {
        const { call, provider, kept } = await caller(t)
        const add = (key: string, existing?: FakeSession) => call(existing, async (session) => { session.add(key) })
        await call(null, async (session) => {
          await add('a', session)
          await call(session, async (inner) => { t.equal(inner, session); await add('b', inner) })
          t.equal(kept.size, 0)
          await t.rejects(call(session, async () => { throw new Error('inner') }), { message: 'inner' })
        })
        t.strictSame([provider.steps, [...kept]], [['open', 'commit', 'close'], ['a', 'b']])
        await add('alone')
        t.strictSame([provider.opened, [...kept]], [2, ['a', 'b', 'alone']])
      })
    })
  })
}

t.test('the session of a request can be joined: the reply settles it', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/', async (request) => app.getFirst(request.first, async (session) => { session.add('a'); return [...first.kept] }))
  })
  t.strictSame((await app.inject('/')).json(), [])
  await assertNoOpenSessions(app)
  t.strictSame([first.provider.steps, [...first.kept]], [['open', 'commit', 'close'], ['a']])
})

t.test('calls in an app count in its stats', async (t) => {
  const { app } = await fakeApp(t, {}, () => {})
  await app.getFirst(null, async () => { t.equal(app.sessionStats()['first']?.open, 1) })
  await t.rejects(app.getFirst(null, async () => { throw new Error('thrown') }))
  t.match(app.sessionStats()['first'], { open: 0, opened: 2, committed: 1, rolledBack: 1 })
})

t.test('an app that closes under a call rolls it back, and the call does not pretend', async (t) => {
  const { app, first } = await fakeApp(t, {}, () => {})
  const go = barrier()
  const calling = app.getFirst(null, async (session) => {
    session.add('a')
    await go.opened
    return 'value'
  })
  await app.close()
  t.strictSame(first.provider.steps, ['open', 'rollback', 'close'])
  go.open()
  await t.rejects(calling, { code: 'FST_SESSION_CLOSED' })
  t.strictSame([first.provider.steps, [...first.kept]], [['open', 'rollback', 'close'], []])
})

t.test('options of a call are checked before anything is opened', async (t) => {
  const tokens = tokenSessions()
  await t.rejects(getSession(tokens, null, () => t.fail('the callback runs'), { ttl: -1 }), { code: 'FST_SESSION_OPTION', message: /getSession\(\).*ttl/ })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokens })
  await t.rejects(app.getSession(null, () => t.fail('the callback runs'), { ttl: -1 }), { code: 'FST_SESSION_OPTION', message: /app\.getSession\(\).*ttl/ })
})

t.test('token sessions: created, found again by their token, and committed only if the callback resolves', async (t) => {
  const tokens = tokenSessions<{ n: number }>({ store: memoryStore() })
  let kept: TokenSession<{ n: number }> | undefined
  const token = await getSession(tokens, null, (session) => {
    kept = session
    session.increment('n')
    return session.token
  })
  t.throws(() => kept?.set('n', 2), { code: 'FST_SESSION_CLOSED' }, 'it is closed after the call')
  t.equal(kept?.get('n'), 1, 'and can still be read')
  await t.rejects(getSession(tokens, null, (session) => {
    session.increment('n')
    throw new Error('thrown')
  }, { token }), { message: 'thrown' })
  t.equal(await getSession(tokens, null, (session) => session.increment('n'), { token }), 2)
})
