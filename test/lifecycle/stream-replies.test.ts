import Fastify from 'fastify'
import { Readable } from 'node:stream'
import t from 'tap'
import requestSession, { assertNoOpenSessions, type SessionProvider } from '../../lib/index.js'

/** A provider whose commit takes a number of microtasks. */
function providerWith (microtasks: number): SessionProvider<object> {
  const opener = {
    early: false,
    open: () => ({
      session: {},
      async commit () { for (let i = 0; i < microtasks; i++) await null },
      close () {},
    }),
  }
  return { kind: 'graph', commits: 'success', forRoute: () => opener, forCall: () => opener }
}

t.test('a stream that a handler returns or awaits is sent whole, however soon the commit comes', async (t) => {
  for (let microtasks = 0; microtasks < 16; microtasks++) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { name: 'graph', provider: providerWith(microtasks) })
    const body = (): Readable => Readable.from(['a', 'b', 'c'].map((part) => part.repeat(50_000)))
    app.get('/returned', async (request, reply) => {
      t.ok(Reflect.get(request, 'graph'))
      return reply.send(body())
    })
    app.get('/awaited', async (request, reply) => {
      t.ok(Reflect.get(request, 'graph'))
      await reply.send(body())
    })
    app.get('/text', async (request, reply) => {
      t.ok(Reflect.get(request, 'graph'))
      return reply.send('text')
    })
    const address = await app.listen({ port: 0, host: '127.0.0.1' })
    for (const path of ['/returned', '/awaited']) {
      t.equal((await app.inject(path)).body.length, 150_000, `${path} to inject(), ${microtasks} microtasks`)
      t.equal((await (await fetch(address + path)).text()).length, 150_000, `${path}, ${microtasks} microtasks`)
    }
    t.equal((await app.inject('/text')).body, 'text')
    await assertNoOpenSessions(app)
  }
})
