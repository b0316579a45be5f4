import type { FastifyRequest } from 'fastify'
import { once } from 'node:events'
import t from 'tap'
import { assertNoOpenSessions, channels, type SessionEvent } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { fakeApp } from '../support/fake-app.js'
import { exchange } from '../support/lifecycle/client.js'

t.test('after the reply the session cannot be used any more; it is counted and told', async (t) => {
  const events: SessionEvent[] = []
  const listen = (event: unknown): void => { events.push(event as SessionEvent) }
  channels.lateAccess.subscribe(listen)
  t.teardown(() => { channels.lateAccess.unsubscribe(listen) })
  const late = barrier()
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/late/:id', async (request) => {
      request.first.add('a')
      first.provider.allClosed().then(() => {
        t.throws(() => request.first, {
          code: 'FST_SESSION_CLOSED', statusCode: 500, message: 'request.first of GET /late/:id was used after its end. Await all work before the handler returns, or use getSession() for work that outlives the reply.',
        })
        late.open()
      }, t.threw)
      return 'ok'
    })
  })
  await app.inject('/late/1')
  await late.opened
  t.equal(app.sessionStats()['first']?.lateAccesses, 1)
  t.match(events, [{ name: 'first', kind: 'graph', route: 'GET /late/:id', outcome: 'committed' }])
  t.equal(first.provider.opened, 1)
})

t.test('a first use that comes too late opens nothing', async (t) => {
  t.test('after the reply', async (t) => {
    const over = barrier()
    const { app, first } = await fakeApp(t, {}, (app) => {
      app.get('/', async (request, reply) => {
        reply.raw.once('close', () => {
          t.throws(() => request.first, { code: 'FST_SESSION_CLOSED' })
          over.open()
        })
        return 'ok'
      })
    })
    t.equal((await exchange(await app.listen({ port: 0, host: '127.0.0.1' })).received).status, 200)
    await over.opened
    t.equal(first.provider.opened, 0)
    t.equal(app.sessionStats()['first']?.lateAccesses, 1)
  })

  for (const touched of [false, true]) {
    t.test(`after the client left${touched ? ', beside a session that was used before' : ''}`, async (t) => {
      const started = barrier()
      const over = barrier()
      const { app, first, second } = await fakeApp(t, {}, (app) => {
        app.get('/', async (request, reply) => {
          if (touched) request.second.add('a')
          started.open()
          await once(reply.raw, 'close')
          t.throws(() => request.first, { code: 'FST_SESSION_CLOSED' })
          over.open()
          return 'nobody reads this'
        })
      })
      const { leave } = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
      await started.opened
      leave()
      await over.opened
      t.equal(first.provider.opened, 0)
      t.strictSame(second.provider.opened, Number(touched))
      await assertNoOpenSessions(app)
    })
  }
})

t.test('between the settling and the end of the reply the session is still there to be read', async (t) => {
  let request: FastifyRequest | undefined
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.addHook('onResponse', async ({ first, firstScope }) => {
      t.equal(first.closed, false)
      t.equal(firstScope.state, 'committed')
      t.throws(() => { first.add('too late') })
    })
    app.get('/', async (its) => {
      request = its
      its.first.add('a')
      return 'ok'
    })
  })
  await exchange(await app.listen({ port: 0, host: '127.0.0.1' })).received
  await first.provider.allClosed()
  t.strictSame([...first.kept], ['a'])
  t.strictSame([request?.firstScope.state, request?.firstScope.outcome], ['closed', 'committed'])
})
