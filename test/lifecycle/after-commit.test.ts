import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { mock } from 'node:test'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { assertNoOpenSessions, errors, getSession, memoryStore, type SessionScope } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { CountingProvider } from '../support/counting-provider.js'
import { fakeApp } from '../support/fake-app.js'
import { fakeProvider, type FakeSession } from '../support/fake-provider.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp } from '../support/token-app.js'

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
const unknownOutcome = (): never => { throw new errors.OutcomeUnknownError('the answer was lost') }

for (const commit of ['onSend', 'onResponse'] as const) {
  for (const answers of ['at-once', 'later'] as const) {
    t.test(`commit: ${commit}, a provider that answers ${answers}`, async (t) => {
      t.test('runs in order, once the work is kept; each waits for the one before', async (t) => {
        const seen: string[] = []
        const first = { commit, answers }
        const { app, first: { kept } } = await fakeApp(t, { first }, (app) => {
          app.get('/', async ({ first, firstScope }) => {
            first.add('a')
            firstScope.afterCommit(async () => {
              seen.push(`one, kept: ${[...kept].join()}`)
              await turn()
              seen.push('one is done')
            })
            firstScope.afterCommit(() => { seen.push('two') })
            firstScope.afterUnknown(() => { seen.push('unknown') })
            t.strictSame(seen, [])
            return 'ok'
          })
        })
        t.equal((await app.inject('/')).statusCode, 200)
        await app.close()
        t.strictSame(seen, ['one, kept: a', 'one is done', 'two'])
      })

      const losses: Record<string, (scope: SessionScope, provider: CountingProvider) => void> = {
        'the handler fails': () => { throw new Error('thrown') },
        'rollbackOnly()': (scope) => { scope.rollbackOnly() },
        'the commit fails': (_scope, provider) => { provider.before.commit = () => { throw new Error('no commit') } },
        'the commit rejects': (_scope, provider) => { provider.before.commit = () => Promise.reject(new Error('no commit')) },
      }
      for (const [loss, lose] of Object.entries(losses)) {
        t.test(`${loss}: it does not run, and a later one is refused`, async (t) => {
          let scope: SessionScope | undefined
          const { app, first } = await fakeApp(t, { first: { commit, answers } }, (app) => {
            app.get('/', async ({ first: session, firstScope }) => {
              session.add('a')
              scope = firstScope
              firstScope.afterCommit(() => t.fail('it runs'))
              firstScope.afterUnknown(() => t.fail('the outcome is known'))
              lose(firstScope, first.provider)
              return 'ok'
            })
          })
          await app.inject('/')
          await assertNoOpenSessions(app)
          t.throws(() => scope?.afterCommit(() => t.fail('it runs')), { code: 'FST_SESSION_CLOSED' })
          t.doesNotThrow(() => scope?.afterUnknown(() => t.fail('the outcome is known')))
          await app.close()
        })
      }

      t.test('the answer of the commit is lost: afterUnknown() alone runs, also where it comes later', async (t) => {
        const seen: string[] = []
        let scope: SessionScope | undefined
        const { app, first } = await fakeApp(t, { first: { commit, answers } }, (app) => {
          app.get('/', async ({ first: session, firstScope }) => {
            session.add('a')
            scope = firstScope
            firstScope.afterCommit(() => t.fail('it runs'))
            firstScope.afterUnknown(() => { seen.push('unknown') })
            first.provider.before.commit = unknownOutcome
            return 'ok'
          })
        })
        await app.inject('/')
        await assertNoOpenSessions(app)
        scope?.afterUnknown(() => { seen.push('later') })
        t.throws(() => scope?.afterCommit(() => t.fail('it runs')), { code: 'FST_SESSION_CLOSED' })
        await app.close()
        t.strictSame(seen, ['unknown', 'later'])
      })

      t.test('a failure is logged and counted, and neither the reply nor the next one hears of it', async (t) => {
        const seen: string[] = []
        const { app, log } = await fakeApp(t, { first: { commit, answers } }, (app) => {
          app.get('/', async ({ first, firstScope }) => {
            first.add('a')
            firstScope.afterCommit(() => { throw new Error('thrown') })
            firstScope.afterCommit(async () => { throw new Error('rejected') })
            firstScope.afterCommit(() => Promise.reject(undefined)) // eslint-disable-line prefer-promise-reject-errors
            firstScope.afterCommit(() => { seen.push('the last') })
            return 'ok'
          })
        })
        t.equal((await app.inject('/')).statusCode, 200)
        await app.close()
        t.strictSame(seen, ['the last'])
        t.match(app.sessionStats()['first'], { committed: 1, failedFollowUps: 3 })
        t.match(log, [
          { level: 50, msg: 'a follow-up of request.first of GET / failed', err: { message: 'thrown' }, route: 'GET /' },
          { level: 50, err: { message: 'rejected' } },
          { level: 50 },
        ])
      })
    })
  }
}

t.test('the reply does not wait, and app.close() does', async (t) => {
  const go = barrier()
  const { app } = await fakeApp(t, {}, (app) => {
    app.get('/', async ({ first, firstScope }) => {
      first.add('a')
      firstScope.afterCommit(() => go.opened)
      return 'ok'
    })
  })
  t.equal((await app.inject('/')).statusCode, 200)
  let closed = false
  const closing = app.close().then(() => { closed = true })
  for (let i = 0; i < 20; i++) await turn()
  t.notOk(closed)
  go.open()
  await closing
})

t.test('app.close() waits for those that begin meanwhile too', async (t) => {
  const seen: string[] = []
  const { app } = await fakeApp(t, {}, (app) => {
    app.get('/', async ({ first, firstScope }) => {
      first.add('a')
      firstScope.afterCommit(() => {
        firstScope.afterCommit(async () => { await turn(); seen.push('of a follow-up') })
      })
      return 'ok'
    })
  })
  await app.inject('/')
  await app.close()
  t.strictSame(seen, ['of a follow-up'])
})

t.test('app.close() leaves alone what does not end', async (t) => {
  const { app, log } = await fakeApp(t, {}, (app) => {
    app.get('/', async ({ first, firstScope }) => {
      first.add('a')
      firstScope.afterCommit(() => new Promise(() => {}))
      return 'ok'
    })
  })
  await app.inject('/')
  await turn()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const closing = app.close()
  for (let i = 0; i < 20; i++) await turn()
  mock.timers.tick(10_000)
  await closing
  t.match(log, [{ level: 40, msg: /first: follow-ups of 1 commits have not ended within 10000 milliseconds/ }])
})

t.test('a follow-up runs in the async context of the request', async (t) => {
  const { AsyncLocalStorage } = await import('node:async_hooks')
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const { app } = await fakeApp(t, {}, (app) => {
    app.addHook('onRequest', (_request, _reply, done) => { storage.run('of the request', done) })
    app.get('/', async ({ first, firstScope }) => {
      first.add('a')
      firstScope.afterCommit(() => { seen.push(storage.getStore()) })
      return 'ok'
    })
  })
  await app.inject('/')
  await app.close()
  t.strictSame(seen, ['of the request'])
})

t.test('after the commit it runs at once, also after the request', async (t) => {
  const seen: string[] = []
  const ran = barrier()
  let scope: SessionScope | undefined
  const { app } = await fakeApp(t, {}, (app) => {
    app.get('/', async ({ first, firstScope }) => {
      first.add('a')
      scope = firstScope
      await firstScope.commit()
      firstScope.afterCommit(() => { seen.push('before the reply'); ran.open() })
      await ran.opened
      t.strictSame(seen, ['before the reply'])
      throw new Error('the commit is certain all the same')
    })
  })
  t.equal((await app.inject('/')).statusCode, 500)
  await assertNoOpenSessions(app)
  scope?.afterCommit(() => { seen.push('after the request') })
  await app.close()
  t.strictSame(seen, ['before the reply', 'after the request'])
})

t.test('a session that is never opened', async (t) => {
  const routes = (seen: string[]) => (app: FastifyInstance): void => {
    app.get('/:code', async ({ firstScope, params }, reply) => {
      firstScope.afterCommit(() => { seen.push('after the commit') })
      firstScope.afterUnknown(() => { seen.push('unknown') })
      return reply.code(Number((params as { code: string }).code)).send('ok')
    })
  }
  t.test('counts as a commit where the reply would have committed it', async (t) => {
    const seen: string[] = []
    const { app, first } = await fakeApp(t, {}, routes(seen))
    await app.inject('/200')
    await turn()
    t.strictSame([seen, first.provider.opened], [['after the commit'], 0])
    await app.inject('/500')
    await app.close()
    t.strictSame(seen, ['after the commit'])
  })

  t.test('by the rule of its provider, and by commitWhen', async (t) => {
    for (const first of [{ commits: 'always' as const }, { commitWhen: () => true }]) {
      const seen: string[] = []
      const { app } = await fakeApp(t, { first }, routes(seen))
      await app.inject('/500')
      await app.close()
      t.strictSame(seen, ['after the commit'])
    }
  })

  t.test('does not keep other sessions from their commit', async (t) => {
    const { app, first } = await fakeApp(t, { first: { commit: 'onResponse' } }, (app) => {
      app.get('/', async ({ first, secondScope }) => {
        first.add('a')
        secondScope.afterCommit(() => {})
        return 'ok'
      })
    })
    await app.inject('/')
    await assertNoOpenSessions(app)
    t.strictSame([...first.kept], ['a'])
  })

  t.test('once the request is over it is refused', async (t) => {
    let scope: (() => SessionScope) | undefined
    const { app } = await fakeApp(t, {}, (app) => {
      app.get('/', async (request) => { scope = () => request.firstScope; return 'ok' })
    })
    await app.inject('/')
    t.throws(() => scope?.().afterCommit(() => t.fail('it runs')), { code: 'FST_SESSION_CLOSED' })
  })

  t.test('the client leaves before its reply: not run', async (t) => {
    const [entered, left] = [barrier(), barrier()]
    const seen: string[] = []
    const { app } = await fakeApp(t, {}, (app) => {
      app.get('/', async (request) => {
        request.firstScope.afterCommit(() => { seen.push('it runs') })
        request.raw.socket.on('close', () => { left.open() })
        entered.open()
        await left.opened
        return 'ok'
      })
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await entered.opened
    socket.destroy()
    await left.opened
    await app.close()
    t.strictSame(seen, [])
  })
})

t.test('a route that refuses the session refuses it, and so is what is no function', async (t) => {
  const { app } = await fakeApp(t, {}, (app) => {
    app.get('/refused', { config: { first: false } }, async ({ firstScope }) => { firstScope.afterCommit(() => {}) })
    app.get('/', async ({ firstScope }) => { firstScope.afterCommit('mail' as never) })
  })
  t.match((await app.inject('/refused')).json(), { code: 'FST_SESSION_REFUSED' })
  t.match((await app.inject('/')).json(), { code: 'FST_SESSION_OPTION', message: 'the scope of request.first: a follow-up must be a function; got a string' })
})

t.test('token sessions', async (t) => {
  t.test('a commit that has nothing to write counts; a visitor of an outage without work too', async (t) => {
    const seen: string[] = []
    const store = new SpyStore(memoryStore())
    const { app } = await tokenApp(t, { store, onStoreError: 'anonymous' }, (app) => {
      app.get('/:what', async (request) => {
        const { what } = request.params as { what: string }
        request.sessionScope.afterCommit(() => { seen.push(what) })
        const session = await request.session
        if (what === 'write') session.set('a', 1)
        return 'ok'
      })
    })
    t.equal((await app.inject('/read')).statusCode, 200)
    const { cookies: [cookie] } = await app.inject('/write')
    store.failing = { error: new Error('gone') }
    const headers = { cookie: `session=${cookie?.value}` }
    t.equal((await app.inject({ url: '/anonymous', headers })).statusCode, 200)
    t.equal((await app.inject({ url: '/write', headers })).statusCode, 503)
    await app.close()
    t.strictSame(seen, ['read', 'write', 'anonymous'])
  })

  t.test('a session that cannot be read: not run', async (t) => {
    const store = new SpyStore(memoryStore())
    store.failing = { error: new Error('gone') }
    const { app } = await tokenApp(t, { store }, (app) => {
      app.get('/', async (request) => {
        request.sessionScope.afterCommit(() => t.fail('it runs'))
        return (await request.session).data()
      })
    })
    t.equal((await app.inject({ url: '/', headers: { cookie: `session=${'a'.repeat(43)}` } })).statusCode, 503)
    await app.close()
  })
})

t.test('getSession() passes the scope on', async (t) => {
  t.test('outside of Fastify: the call waits for the follow-ups of its commit', async (t) => {
    const seen: string[] = []
    const provider = fakeProvider()
    await getSession(provider, null, (session: FakeSession, scope) => {
      session.add('a')
      scope.afterCommit(async () => { await turn(); seen.push([...provider.kept].join()) })
    })
    t.strictSame(seen, ['a'])
    await t.rejects(getSession(provider, null, (_session: FakeSession, scope) => {
      scope.afterCommit(() => t.fail('it runs'))
      throw new Error('of the callback')
    }), { message: 'of the callback' })
  })

  t.test('of an app: app.close() waits for them', async (t) => {
    const seen: string[] = []
    const { app } = await fakeApp(t, {}, () => {})
    await app.getFirst(null, (session, scope) => {
      session.add('a')
      scope.afterCommit(async () => { await turn(); seen.push('a') })
    })
    t.strictSame(seen, [])
    await app.close()
    t.strictSame(seen, ['a'])
  })

  t.test('a call that joins gets the scope of the session: of a request, and of another call', async (t) => {
    const seen: string[] = []
    const { app, first } = await fakeApp(t, {}, (app) => {
      app.get('/', async (request) => {
        await app.getFirst(request.first, (session, scope) => {
          session.add('a')
          scope.afterCommit(() => { seen.push(`request: ${[...first.kept].join()}`) })
        })
        await getSession(first.provider, request.first, (_session, scope) => {
          t.equal(scope.state, 'open')
          scope.afterCommit(() => { seen.push('outside of Fastify') })
        })
        t.strictSame(seen, [])
        return 'ok'
      })
    })
    await app.inject('/')
    await app.getFirst(null, (outer) => app.getFirst(outer, (_session, scope) => { scope.afterCommit(() => { seen.push('a call') }) }))
    await app.close()
    t.strictSame(seen, ['request: a', 'outside of Fastify', 'a call'])
  })

  t.test('of a loaded token session too', async (t) => {
    const seen: string[] = []
    const { app } = await tokenApp(t, {}, (app) => {
      app.get('/', async (request) => {
        await app.getSession(await request.session, (_session, scope) => { scope.afterCommit(() => { seen.push('a') }) })
        return 'ok'
      })
    })
    await app.inject('/')
    await app.close()
    t.strictSame(seen, ['a'])
  })

  t.test('a session that the provider has not opened has no scope: its use says so', async (t) => {
    const { app } = await fakeApp(t, {}, () => {})
    const own: FakeSession = { add () {}, closed: false }
    t.equal(await app.getFirst(own, () => 'value'), 'value')
    await t.rejects(app.getFirst(own, (_session, scope) => { scope.afterCommit(() => {}) }), { code: 'FST_SESSION_OPTION', message: /^app\.getFirst\(\): the session that was passed on has no scope here/ })
  })
})
