import websocket from '@fastify/websocket'
import { addAbortListener, once } from 'node:events'
import { get as httpGet, type IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import requestSession, { assertNoOpenSessions, tokenSessions, type CompleteTokenProvider, type errors, type TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace, type Place } from '../support/places.js'

type Data = { user?: string }
type Users = CompleteTokenProvider<Data>

// The timers of signals do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

await inEachPlace(t, async (t, place) => {
  /** An app, and the sessions as another process sees them. */
  async function serve (t: Test, routes: (app: FastifyInstance) => void): Promise<{ app: FastifyInstance, there: Users, port: number }> {
    const [here, there] = [tokenSessions<Data>({ store: place.connect() }), tokenSessions<Data>({ store: place.connect() })]
    const app = Fastify()
    t.teardown(async () => { await app.close(); await there.close() })
    await app.register(websocket)
    await app.register(requestSession, { provider: here })
    routes(app)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { app, there, port: (app.server.address() as { port: number }).port }
  }

  async function logIn (users: Users): Promise<TokenSession<Data>> {
    return users.create({ subject: 'ada', data: { user: 'ada' } })
  }

  async function openSocket (port: number, token: string): Promise<{ socket: WebSocket, first: Promise<unknown>, closed: Promise<[code: number, reason: Buffer]>, ask (): Promise<string> }> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, { headers: { cookie: `session=${token}` } })
    const closed = once(socket, 'close') as Promise<[number, Buffer]>
    const first = new Promise((resolve) => { socket.once('message', resolve) })
    await once(socket, 'open')
    const ask = async (): Promise<string> => {
      const answer = once(socket, 'message')
      socket.send('who am I?')
      return String((await answer)[0])
    }
    return { socket, first, closed, ask }
  }

  const answering = (app: FastifyInstance, config = {}): void => {
    app.get('/live', { websocket: true, config: { session: config } }, (socket, request) => {
      socket.on('message', () => {
        (request.session as Promise<TokenSession<Data>>).then((session) => socket.send(String(session.get('user'))), t.threw)
      })
    })
  }

  for (const required of [false, true]) {
    await t.test(`a socket is closed within a second of a logout in another process; required: ${required}`, async (t) => {
      const { app, there, port } = await serve(t, (app) => answering(app, { required }))
      for (const end of [({ token }: { token: string }) => there.end({ token }), () => there.endAll({ subject: 'ada' })]) {
        const session = await logIn(there)
        const { closed, ask } = await openSocket(port, session.token)
        t.equal(await ask(), 'ada')
        const began = performance.now()
        await end(session)
        const [code] = await closed
        t.equal(code, 1006)
        t.ok(performance.now() - began < 1000)
      }
      await assertNoOpenSessions(app)
    })
  }

  await t.test('a handler that asks for the signal closes the socket itself, with a code', async (t) => {
    const { there, port } = await serve(t, (app) => {
      app.get('/live', { websocket: true }, async (socket, request) => {
        const { signal } = (await request.session) as TokenSession<Data>
        addAbortListener(signal, () => socket.close(4401, (signal.reason as errors.SessionOverError).why))
        socket.send('ready')
      })
    })
    const session = await logIn(there)
    const { closed, first } = await openSocket(port, session.token)
    await first
    session.renew()
    await session.commit()
    const [code, reason] = await closed
    t.strictSame([code, String(reason)], [4401, 'renewed'])
  })

  await t.test('a socket that outlives its session, as its handler wants: the session reads as empty', async (t) => {
    const { there, port } = await serve(t, (app) => {
      app.get('/live', { websocket: true }, async (socket, request) => {
        const session = (await request.session) as TokenSession<Data>
        addAbortListener(session.signal, () => socket.send('told'))
        socket.on('message', () => socket.send(String(session.get('user'))))
        socket.send('ready')
      })
    })
    const session = await logIn(there)
    const { socket, ask, first } = await openSocket(port, session.token)
    await first
    t.equal(await ask(), 'ada')
    const told = once(socket, 'message')
    await there.end(session.token)
    t.equal(String((await told)[0]), 'told')
    t.equal(await ask(), 'undefined')
    socket.close()
  })

  await t.test('a socket whose own handler ends the session gets its last message', async (t) => {
    const { there, port } = await serve(t, (app) => {
      app.get('/live', { websocket: true }, async (socket, request) => {
        const session = await request.session
        socket.on('message', () => {
          session.end()
          session.commit().then(() => socket.send('goodbye'), t.threw)
        })
        socket.send('ready')
      })
    })
    const { closed, ask, first } = await openSocket(port, (await logIn(there)).token)
    await first
    t.equal(await ask(), 'goodbye')
    await closed
  })

  await t.test('sockets without a session, and those that close first, leave nothing behind', async (t) => {
    const { app, there, port } = await serve(t, (app) => answering(app))
    const stranger = await openSocket(port, 'nobody')
    t.equal(await stranger.ask(), 'undefined')
    const session = await logIn(there)
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(port, session.token)))
    t.strictSame(new Set(await Promise.all(sockets.map(({ ask }) => ask()))), new Set(['ada']))
    for (const { socket } of [...sockets, stranger]) socket.close()
    await Promise.all([...sockets, stranger].map(({ closed }) => closed))
    await assertNoOpenSessions(app)
    while (await channelsOf(place) > 0) await turn()
    await there.end(session.token)
  })

  await t.test('an app that closes leaves nothing behind', async (t) => {
    const { app, there, port } = await serve(t, (app) => answering(app))
    const { closed, ask } = await openSocket(port, (await logIn(there)).token)
    t.equal(await ask(), 'ada')
    await app.close()
    await closed
    while (await channelsOf(place) > 0) await turn()
  })

  const streams: Record<string, (app: FastifyInstance) => void> = {
    'reply.send(stream)': (app) => {
      app.get('/events', async (request, reply) => {
        const { signal } = await request.session
        const events = new PassThrough()
        addAbortListener(signal, () => events.end('event: logout\n\n'))
        events.write('event: hello\n\n')
        return reply.type('text/event-stream').send(events)
      })
    },
    'reply.hijack()': (app) => {
      app.get('/events', async (request, reply) => {
        const { signal } = await request.session
        reply.hijack()
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
        addAbortListener(signal, () => reply.raw.end('event: logout\n\n'))
        reply.raw.write('event: hello\n\n')
      })
    },
  }
  for (const [name, route] of Object.entries(streams)) {
    await t.test(`an event stream ends with its session: ${name}`, async (t) => {
      const { app, there, port } = await serve(t, route)
      const session = await logIn(there)
      const [ended, left] = await Promise.all([1, 2].map(async () => {
        const request = httpGet({ port, path: '/events', headers: { cookie: `session=${session.token}` } })
        const [reply] = await once(request, 'response') as [IncomingMessage]
        const [hello] = await once(reply, 'data') as [Buffer]
        t.equal(String(hello), 'event: hello\n\n')
        return { request, reply }
      }))
      left?.reply.on('error', () => {})
      left?.request.destroy()
      const rest = text(ended!.reply)
      const began = performance.now()
      await there.end(session.token)
      t.equal(await rest, 'event: logout\n\n')
      t.ok(performance.now() - began < 1000)
      await assertNoOpenSessions(app)
      while (await channelsOf(place) > 0) await turn()
    })
  }

  await t.test('an upgrade that Fastify does not see: a session of the manager', async (t) => {
    const users = tokenSessions<Data>({ store: place.connect() })
    t.teardown(() => users.close())
    const { token } = await logIn(users)
    const session = (await users.load(token))!
    const over = barrier()
    addAbortListener(session.signal, over.open)
    await users.end({ token })
    await over.opened
    t.equal(session.get('user'), undefined)
  })
}, { clock: false })

/** The number of channels of the place's sessions that somebody listens to. */
async function channelsOf ({ nodes, prefix }: Place): Promise<number> {
  const channels = await Promise.all(nodes().map((node) => node.pubsub('CHANNELS', `${prefix}*`) as Promise<string[]>))
  return channels.flat().length
}
