import t from 'tap'
import { assertNoOpenSessions, memoryStore } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { exchange } from '../support/lifecycle/client.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

t.test('what is counted sticks, whatever becomes of the request', async (t) => {
  for (const commit of ['onSend', 'onResponse'] as const) {
    t.test(`commit: ${commit}`, async (t) => {
      const { app } = await tokenApp(t, { commit }, (app) => {
        app.get('/login', async (request, reply) => {
          const attempts = (await request.session).increment('attempts')
          return reply.code(401).send({ attempts })
        })
        app.get('/throws', async (request) => {
          (await request.session).increment('attempts')
          throw new Error('thrown')
        })
        app.get('/attempts', async (request) => (await request.session).get('attempts'))
      })
      const visitor = new Visitor(app)
      t.strictSame((await visitor.get('/login')).json(), { attempts: 1 })
      await assertNoOpenSessions(app)
      t.strictSame((await visitor.get('/login')).json(), { attempts: 2 })
      await assertNoOpenSessions(app)
      t.equal((await visitor.get('/throws')).statusCode, 500)
      await assertNoOpenSessions(app)
      t.equal((await visitor.get('/attempts')).json(), 3)
    })
  }
})

t.test('a hijacked reply', async (t) => {
  t.test('a new session that was changed is not kept, and the log says so loudly', async (t) => {
    const store = new SpyStore(memoryStore())
    const { app, log } = await tokenApp(t, { store }, (app) => {
      app.get('/raw', async (request, reply) => {
        (await request.session).set('lost', true)
        reply.hijack()
        reply.raw.end('raw')
      })
    })
    const reply = await app.inject('/raw')
    await assertNoOpenSessions(app)
    t.strictSame([reply.body, setCookies(reply)], ['raw', []])
    t.strictSame(store.take(), [])
    t.match(log, [{ level: 40, route: 'GET /raw', msg: /^GET \/raw: the client cannot receive the session's new token, .* nothing was saved\. Call commit\(\)/ }])
  })

  t.test('an existing session that was changed is kept when the reply closes', async (t) => {
    const { app, log } = await tokenApp(t, {}, (app) => {
      app.get('/', async (request) => (await request.session).data())
      app.get('/set', async (request) => { (await request.session).set('a', 1) })
      app.get('/raw', async (request, reply) => {
        const session = await request.session
        reply.hijack()
        reply.raw.write('first')
        session.set('b', 2)
        reply.raw.end('last')
      })
    })
    const visitor = new Visitor(app)
    await visitor.get('/set')
    await visitor.get('/raw')
    await assertNoOpenSessions(app)
    t.strictSame((await visitor.get('/')).json(), { a: 1, b: 2 })
    t.strictSame(log, [])
  })

  t.test('a session.commit() before it saves, and gives the token to whoever writes the headers', async (t) => {
    const { app, log } = await tokenApp(t, {}, (app) => {
      app.get('/', async (request) => (await request.session).data())
      app.get('/raw', async (request, reply) => {
        const session = await request.session
        session.set('a', 1)
        await session.commit()
        reply.hijack()
        reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>)
        reply.raw.end('raw')
      })
    })
    const visitor = new Visitor(app)
    t.equal((await visitor.get('/raw')).body, 'raw')
    await assertNoOpenSessions(app)
    t.strictSame((await visitor.get('/')).json(), { a: 1 })
    t.strictSame(log, [])
  })

  t.test('a change after sessionScope.commit() is not kept, and the log says so loudly', async (t) => {
    const { app, log } = await tokenApp(t, {}, (app) => {
      app.get('/', async (request) => (await request.session).data())
      app.get('/raw', async (request, reply) => {
        const session = await request.session
        session.set('a', 1)
        await request.sessionScope.commit()
        reply.hijack()
        reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>)
        session.set('b', 2)
        reply.raw.end('raw')
      })
    })
    const visitor = new Visitor(app)
    await visitor.get('/raw')
    await assertNoOpenSessions(app)
    t.strictSame((await visitor.get('/')).json(), { a: 1 })
    t.match(log, [{ level: 40, route: 'GET /raw', msg: /^GET \/raw: the session was changed after it was saved, and the change was lost/ }])
  })
})

t.test('a client that leaves an event stream: what its existing session was told is kept', async (t) => {
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request) => (await request.session).data())
    app.get('/set', async (request) => { (await request.session).set('a', 1) })
    app.get('/events', async (request, reply) => {
      const session = await request.session
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
      reply.raw.write('data: first\n\n')
      session.set('seen', 'first')
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/set')
  const stream = exchange(`${await app.listen({ port: 0, host: '127.0.0.1' })}/events`, { headers: { cookie: `session=${visitor.token}` } })
  await stream.first
  stream.leave()
  await assertNoOpenSessions(app)
  t.strictSame((await visitor.get('/')).json(), { a: 1, seen: 'first' })
})

t.test("rollbackOnly() drops a session's changes, and sets no cookie", async (t) => {
  for (const commit of ['onSend', 'onResponse'] as const) {
    const { app, log } = await tokenApp(t, { commit }, (app) => {
      app.get('/', async (request) => {
        (await request.session).set('a', 1)
        request.sessionScope.rollbackOnly()
        return 'ok'
      })
    })
    t.strictSame(setCookies(await app.inject('/')), [])
    await assertNoOpenSessions(app)
    t.strictSame(log, [])
  }
})

t.test('a handler that goes on after its timeout finds its session closed; what it had done by then is kept', async (t) => {
  const over = barrier()
  const { app } = await tokenApp(t, {}, (app) => {
    app.get('/', async (request) => (await request.session).data())
    app.get('/set', async (request) => { (await request.session).set('a', 1) })
    app.get('/slow', { handlerTimeout: 50 }, async (request, reply) => {
      const session = await request.session
      session.set('b', 2)
      await new Promise((resolve) => { reply.raw.once('close', resolve) })
      await assertNoOpenSessions(app)
      t.throws(() => session.set('c', 3), { code: 'FST_SESSION_CLOSED' })
      t.equal((await request.session).get('b'), 2)
      over.open()
      return 'nobody reads this'
    })
  })
  const visitor = new Visitor(app)
  await visitor.get('/set')
  t.equal((await visitor.get('/slow')).statusCode, 503)
  await over.opened
  t.strictSame((await visitor.get('/')).json(), { a: 1, b: 2 })
})
