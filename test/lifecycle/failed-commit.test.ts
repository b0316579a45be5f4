import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { assertNoOpenSessions, memoryStore, type TokenSession } from '../../lib/index.js'
import { emitted } from '../support/emitted.js'
import { fakeApp, type FakeApp } from '../support/fake-app.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp, Visitor } from '../support/token-app.js'

/** An app whose commits fail, at once or later, and whose route gives a payload. */
async function failingApp (t: Test, answers: 'at-once' | 'later', handler: () => unknown): Promise<FakeApp> {
  const staged = await fakeApp(t, { first: { answers } }, (app) => {
    app.get('/', async ({ first }) => {
      first.add('a')
      return handler()
    })
  })
  staged.first.provider.before.commit = () => {
    if (answers === 'at-once') throw new Error('no commit')
    return Promise.reject(new Error('no commit'))
  }
  return staged
}

for (const answers of ['at-once', 'later'] as const) {
  t.test(`a commit that fails ${answers} frees the payload that its error replaces`, async (t) => {
    t.test('a stream is destroyed', async (t) => {
      const stream = new Readable({ read () {} })
      const closed = emitted(stream, 'close')
      const { app } = await failingApp(t, answers, () => stream)
      t.match((await app.inject('/')).json(), { statusCode: 500, message: 'no commit' })
      await closed
      t.ok(stream.destroyed)
    })

    t.test('a stream that fails by itself meanwhile ends nothing', async (t) => {
      const stream = new Readable({ read () {} })
      const { app } = await failingApp(t, answers, () => {
        stream.prependOnceListener('newListener', () => { stream.destroy(new Error('no file')) })
        return stream
      })
      t.match((await app.inject('/')).json(), { statusCode: 500 })
      t.ok(stream.destroyed)
    })

    for (const [name, wrap] of Object.entries({
      'a web stream': (stream: ReadableStream) => stream,
      'the stream of a web Response': (stream: ReadableStream) => new Response(stream, { headers: { 'content-type': 'text/plain', 'x-own': '1' } }),
    })) {
      t.test(`${name} is cancelled`, async (t) => {
        let cancel: (() => void) | undefined
        const cancelled = new Promise<void>((resolve) => { cancel = resolve })
        const { app } = await failingApp(t, answers, () => wrap(new ReadableStream({ cancel: () => { cancel?.() } })))
        const reply = await app.inject('/')
        t.match(reply.json(), { statusCode: 500, message: 'no commit' })
        t.match(reply.headers['content-type'], 'application/json')
        await cancelled
      })
    }
  })

  t.test(`a commit that fails ${answers} takes with it what the headers said of the payload`, async (t) => {
    const { app, first } = await fakeApp(t, { first: { answers } }, (app) => {
      app.get('/', async ({ first }, reply) => {
        first.add('a')
        return reply.headers({
          etag: '"good"',
          'cache-control': 'public, max-age=600',
          expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
          'last-modified': 'Thu, 01 Jan 2015 00:00:00 GMT',
          'content-encoding': 'gzip',
          'content-length': '4',
          'content-type': 'text/css',
          'content-disposition': 'attachment',
          'x-other': 'stays',
        }).send('good')
      })
    })
    first.provider.before.commit = () => { throw new Error('no commit') }
    const { statusCode, headers, body } = await app.inject('/')
    t.equal(statusCode, 500)
    for (const name of ['etag', 'cache-control', 'expires', 'last-modified', 'content-encoding', 'content-disposition']) t.notOk(headers[name], name)
    t.match(headers, { 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(body)), 'x-other': 'stays' })
  })

  for (const order of ['before', 'after']) {
    t.test(`an etag plugin whose hook comes ${order} the session's does not make 304 of a commit that fails ${answers}`, async (t) => {
      const { app, first } = await fakeApp(t, { first: { answers } }, (app) => {
        if (order === 'before') app.addHook('onSend', giveEtag)
        else app.addHook('onRoute', (route) => { route.onSend = [...[route.onSend ?? []].flat(), giveEtag] })
        app.route({ method: ['GET', 'POST'], url: '/', handler: async ({ first }) => { first.add('a'); return 'good' } })
      })
      for (const method of ['GET', 'POST'] as const) {
        first.provider.before.commit = () => {}
        t.equal((await app.inject({ method, url: '/', headers: { 'if-none-match': '"of good"' } })).statusCode, 304)
        first.provider.before.commit = () => { throw new Error('no commit') }
        const { statusCode, headers } = await app.inject({ method, url: '/', headers: { 'if-none-match': '"of good"' } })
        t.strictSame([statusCode, headers['etag']], [500, undefined])
      }
    })
  }
}

/** As @fastify/etag does: keeps an etag that is there already, and answers 304 where the client has it. */
async function giveEtag (request: { headers: Record<string, unknown> }, reply: {
  getHeader (name: string): unknown, header (name: string, value: string): unknown, code (status: number): unknown, removeHeader (name: string): unknown
}, payload: unknown): Promise<unknown> {
  let etag = reply.getHeader('etag')
  if (etag === undefined && payload === 'good') reply.header('etag', etag = '"of good"')
  if (etag === undefined || request.headers['if-none-match'] !== etag) return payload
  reply.code(304)
  reply.removeHeader('content-length')
  return ''
}

t.test('what an error handler does to a token session whose commit has failed', async (t) => {
  const changes: Record<string, (session: TokenSession) => unknown> = {
    set: (session) => session.set('flash', 'try again'),
    'a change in place': (session) => (session.get('list') as number[]).push(3),
    end: (session) => session.end(),
    renew: (session) => session.renew(),
    expire: (session) => session.expire(5),
    'nothing but reading': (session) => session.get('list'),
  }
  for (const sync of [true, false]) {
    for (const [name, change] of Object.entries(changes)) {
      const warns = name !== 'nothing but reading'
      t.test(`${name} after the store has ${sync ? 'thrown' : 'rejected'}: ${warns ? 'a loud warning' : 'no warning'}`, async (t) => {
        const store = new SpyStore(memoryStore())
        const { app, log } = await tokenApp(t, { store }, (app) => {
          app.get('/set', async (request) => { (await request.session).set('list', [1]) })
          app.get('/', async (request) => {
            (await request.session).append('list', 2)
            store.failing = { error: new Error('down'), sync }
          })
          app.setErrorHandler(async (_error, request, reply) => {
            change(await request.session)
            return reply.code(200).send('handled')
          })
        })
        const visitor = new Visitor(app)
        await visitor.get('/set')
        t.equal((await visitor.get('/')).body, 'handled')
        await assertNoOpenSessions(app)
        const warning = { level: 40, route: 'GET /', msg: /^GET \/: the session was changed after its commit had failed, and the change was lost/ }
        t.match(log, warns ? [warning] : [])
        t.equal(log.length, Number(warns))
      })
    }
  }

  t.test('a commit() of its own saves it, without a warning', async (t) => {
    const store = new SpyStore(memoryStore())
    const { app, log } = await tokenApp(t, { store }, (app) => {
      app.get('/flash', async (request) => (await request.session).data())
      app.get('/set', async (request) => { (await request.session).set('a', 1) })
      app.get('/', async (request) => {
        (await request.session).set('a', 2)
        store.failing = { error: new Error('down') }
      })
      app.setErrorHandler(async (_error, request, reply) => {
        store.failing = undefined
        const session = await request.session
        session.set('flash', 'try again')
        await session.commit()
        return reply.code(200).send('handled')
      })
    })
    const visitor = new Visitor(app)
    await visitor.get('/set')
    t.equal((await visitor.get('/')).body, 'handled')
    await assertNoOpenSessions(app)
    t.match((await visitor.get('/flash')).json(), { a: 2, flash: 'try again' })
    t.strictSame(log.filter(({ level }) => level === 40), [])
  })
})
