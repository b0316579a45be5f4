import Fastify, { type FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import t, { type Test } from 'tap'
import { assertNoOpenSessions, channels } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { registerFake } from '../support/fake-app.js'

/** An app that speaks HTTP/2, and how to send it a request. */
async function http2App (t: Test, commit: 'onSend' | 'onResponse') {
  const app = Fastify({ http2: true } as object) as FastifyInstance
  const first = await registerFake(app, 'first', { commit })
  return {
    app,
    first,
    async get (path: string): Promise<ClientHttp2Stream> {
      const connection = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
      t.teardown(async () => {
        connection.destroy()
        await app.close()
      })
      const stream = connection.request({ ':path': path })
      stream.on('error', () => {}) // of a client that leaves
      return stream
    },
  }
}

/** Resolves when a session is closed. */
async function nextClose (): Promise<void> {
  await new Promise<void>((resolve) => {
    const listener = (): void => {
      channels.close.unsubscribe(listener)
      resolve()
    }
    channels.close.subscribe(listener)
  })
}

for (const commit of ['onSend', 'onResponse'] as const) {
  t.test(`HTTP/2, commit: ${commit}`, async (t) => {
    t.test('a reply is committed', async (t) => {
      const { app, first, get } = await http2App(t, commit)
      app.get('/', async ({ first }) => { first.add('a'); return 'done' })
      const stream = await get('/')
      t.match(await once(stream, 'response'), [{ ':status': 200 }])
      t.equal(String(await once(stream, 'data')), 'done')
      await assertNoOpenSessions(app)
      t.strictSame([[...first.kept], first.provider.steps], [['a'], ['open', 'commit', 'close']])
    })

    t.test('a client that leaves: rolled back, and neither that session nor another can be used then', async (t) => {
      const { app, first, get } = await http2App(t, commit)
      const second = await registerFake(app, 'second')
      const [used, over] = [barrier(), barrier()]
      app.get('/', async (request, reply) => {
        request.first.add('a')
        used.open()
        await once(reply.raw, 'close')
        await assertNoOpenSessions(app)
        t.throws(() => request.first, { code: 'FST_SESSION_CLOSED' })
        t.throws(() => request.second, { code: 'FST_SESSION_CLOSED' })
        over.open()
        return 'nobody reads this'
      })
      const stream = await get('/')
      await used.opened
      stream.destroy()
      await over.opened
      t.strictSame([[...first.kept], first.provider.steps, second.provider.opened], [[], ['open', 'rollback', 'close'], 0])
    })

    t.test('streams of one connection: each has its own end', async (t) => {
      const { app, first, get } = await http2App(t, commit)
      const [quickUsed, waitingUsed, quickGoes, waitingGoes] = [barrier(), barrier(), barrier(), barrier()]
      app.get('/quick', async ({ first }) => {
        first.add('quick')
        quickUsed.open()
        await quickGoes.opened
        return 'done'
      })
      app.get('/waiting', async (request) => {
        request.first.add('waiting')
        waitingUsed.open()
        await waitingGoes.opened
        request.first.add('waiting on')
        return 'done'
      })
      app.get('/left', async ({ first }, reply) => {
        first.add('left')
        reply.hijack()
        reply.raw.writeHead(200)
        reply.raw.write('first')
      })
      const quick = await get('/quick')
      await quickUsed.opened
      const connection = quick.session as ClientHttp2Session
      const waiting = connection.request({ ':path': '/waiting' })
      await waitingUsed.opened
      const quickClosed = nextClose()
      quickGoes.open()
      quick.resume()
      await Promise.all([once(quick, 'close'), quickClosed])
      waitingGoes.open()
      t.match(await once(waiting, 'response'), [{ ':status': 200 }])
      waiting.resume()
      await once(waiting, 'close')
      await assertNoOpenSessions(app)
      t.strictSame([...first.kept], ['quick', 'waiting', 'waiting on'])
      const left = connection.request({ ':path': '/left' })
      left.on('error', () => {})
      await once(left, 'data')
      left.destroy()
      await assertNoOpenSessions(app)
      t.strictSame([...first.kept], ['quick', 'waiting', 'waiting on'])
    })

    t.test('a client that leaves an event stream: rolled back', async (t) => {
      const { app, first, get } = await http2App(t, commit)
      app.get('/', async ({ first }, reply) => {
        first.add('a')
        reply.hijack()
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
        reply.raw.write('data: first\n\n')
      })
      const stream = await get('/')
      await once(stream, 'data')
      stream.destroy()
      await first.provider.allClosed()
      t.strictSame([[...first.kept], first.provider.steps], [[], ['open', 'rollback', 'close']])
    })
  })
}
