import { AsyncResource } from 'node:async_hooks'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import requestSession, { currentSession, getSession, tokenSessions } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'

type Data = { user: string, seen: string[], n: number }
type Users = ReturnType<typeof tokenSessions<Data>>

interface Stage {
  readonly users: Users
  readonly app: FastifyInstance
  /** What the session of the current request says: for code that is not handed the request. */
  user (): Promise<string | undefined>
  /** Asks over HTTP as a user. */
  ask (user: string, path: string, init?: RequestInit): Promise<Response>
}

async function stage (t: Test, routes: (app: FastifyInstance, stage: Stage) => void, { ambient = true, users = tokenSessions<Data>() } = {}): Promise<Stage> {
  const app = Fastify()
  t.teardown(() => app.close())
  const set: Stage = {
    users,
    app,
    user: async () => (await currentSession(users)).get('user'),
    async ask (user, path, init) {
      const { token } = await users.create({ data: { user, seen: [], n: 0 } })
      const { port } = app.server.address() as { port: number }
      return fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { ...init?.headers as object, cookie: `session=${token}` } })
    },
  }
  app.register(websocket)
  app.register(requestSession, { provider: users, ambient })
  await app.after()
  routes(app, set)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return set
}

t.test('code that runs in a request finds its session: in hooks, after awaits, timers, a parsed body, and in a stream', async (t) => {
  const seen: Array<[hook: string, user: string | undefined]> = []
  const responded = barrier()
  const { ask } = await stage(t, (app, { user }) => {
    const look = async (hook: string): Promise<void> => { seen.push([hook, await user()]) }
    app.addHook('onRequest', () => look('onRequest'))
    app.addHook('preParsing', async (_request, _reply, payload) => { await look('preParsing'); return payload })
    app.addHook('preValidation', () => look('preValidation'))
    app.addHook('preHandler', () => look('preHandler'))
    app.addHook('preSerialization', async (_request, _reply, payload) => { await look('preSerialization'); return payload })
    app.addHook('onSend', async (_request, _reply, payload) => { await look('onSend'); return payload })
    app.addHook('onError', () => look('onError'))
    app.addHook('onResponse', async () => {
      await look('onResponse')
      responded.open()
    })
    app.post('/', async (request) => {
      await delay(1)
      await new Promise((resolve) => setImmediate(resolve))
      await look('handler')
      if ((request.body as { fails: boolean }).fails) throw new Error('failed')
      return { ok: true }
    })
    app.get('/stream', async (_request, reply) => reply.send(Readable.from((async function * () {
      await delay(1)
      yield await user() ?? 'nobody'
    })())))
  })
  const post = (fails: boolean): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ fails }) })
  t.equal((await ask('ada', '/', post(false))).status, 200)
  await responded.opened
  const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'handler', 'preSerialization', 'onSend', 'onResponse']
  t.strictSame(seen.splice(0), hooks.map((hook) => [hook, 'ada']))
  t.equal((await ask('bob', '/', post(true))).status, 500)
  t.strictSame(seen.filter(([hook]) => hook === 'onError'), [['onError', 'bob']])
  t.equal(await (await ask('cy', '/stream')).text(), 'cy')
})

t.test('requests at the same time each find their own', async (t) => {
  const all = barrier()
  let waiting = 0
  const { ask } = await stage(t, (app, { user }) => {
    app.get('/', async () => {
      const before = await user()
      if (++waiting === 20) all.open()
      await all.opened
      return [before, await user()]
    })
  })
  const names = Array.from({ length: 20 }, (_, i) => `user ${i}`)
  t.strictSame(await Promise.all(names.map(async (name) => (await ask(name, '/')).json())), names.map((name) => [name, name]))
})

t.test('getSession(undefined) joins the session of the request; null and options open another', async (t) => {
  const { app, users, ask } = await stage(t, (app, { users }) => {
    app.get('/join', async (request) => {
      const session = await request.session
      await getSession(users, undefined, async (joined, scope) => {
        t.equal(joined, session)
        t.equal(scope.state, 'open')
        joined.increment('n')
      })
      t.equal((await users.load(session.token ?? ''))?.get('n'), 0, 'it is saved with the request')
      await app.getSession(undefined, (joined) => { t.equal(joined, session) })
      await getSession(users, null, (other) => { t.not(other, session) })
      await getSession(users, undefined, (other) => { t.not(other, session) }, { ttl: 5 })
      return { n: session.get('n'), token: session.token }
    })
  })
  const reply = await (await ask('ada', '/join')).json() as { n: number, token: string }
  t.equal(reply.n, 1)
  t.equal((await users.load(reply.token))?.get('n'), 1)
  t.ok(app)
})

t.test('work that outlives its request joins nothing', async (t) => {
  const over = barrier()
  let later: Promise<unknown> | undefined
  const { ask } = await stage(t, (app, { users, user }) => {
    app.addHook('onResponse', async () => { setImmediate(over.open) })
    app.get('/', async (request) => {
      const session = await request.session
      later = over.opened.then(async () => {
        t.equal(await user(), 'ada', 'what was read stays')
        await t.rejects(async () => (await currentSession(users)).set('user', 'bob'), { code: 'FST_SESSION_CLOSED' })
        await getSession(users, undefined, (other) => { t.not(other, session) })
      })
      return 'ok'
    })
  })
  await ask('ada', '/')
  await over.opened
  await later
})

t.test('the callback of getSession() is such a place too, and calls nest', async (t) => {
  const { users } = await stage(t, () => {})
  const { token } = await users.create({ data: { user: 'job', seen: [], n: 0 } })
  await getSession(users, null, async (session) => {
    t.equal(currentSession(users), session)
    await delay(1)
    await getSession(users, undefined, (joined) => { t.equal(joined, session) })
    await getSession(users, null, async (inner) => {
      t.equal(currentSession(users), inner)
    })
    t.equal(currentSession(users), session)
  }, { token })
  t.throws(() => currentSession(users), { code: 'FST_SESSION_NO_AMBIENT', message: 'There is no current token session: the code does not run in a request.' })
})

t.test('a listener of a socket has it by AsyncResource.bind()', async (t) => {
  const { app, users } = await stage(t, (app, { user }) => {
    app.get('/ws', { websocket: true }, (socket) => {
      socket.on('message', AsyncResource.bind(async () => { socket.send(await user() ?? 'nobody') }))
    })
  })
  const { token } = await users.create({ data: { user: 'ada', seen: [], n: 0 } })
  const { port } = app.server.address() as { port: number }
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { cookie: `session=${token}` } })
  await once(client, 'open')
  client.send('who?')
  t.equal(String((await once(client, 'message'))[0]), 'ada')
  client.close()
  await once(client, 'close')
})

t.test('without the option, and for another provider, there is none', async (t) => {
  const others = tokenSessions()
  const { ask, users } = await stage(t, (app, { users }) => {
    app.get('/', async (request) => {
      const session = await request.session
      t.throws(() => currentSession(users), { code: 'FST_SESSION_NO_AMBIENT', message: /not registered with ambient: true/ })
      await getSession(users, undefined, (other) => { t.not(other, session) })
      return 'ok'
    })
  }, { ambient: false })
  t.equal((await ask('ada', '/')).status, 200)
  const { ask: askOther } = await stage(t, (app) => {
    app.get('/', async () => {
      t.throws(() => currentSession(others), { code: 'FST_SESSION_NO_AMBIENT' })
      t.throws(() => currentSession(users), { code: 'FST_SESSION_NO_AMBIENT' })
      return 'ok'
    })
  })
  t.equal((await askOther('ada', '/')).status, 200)
})

t.test('contexts that each have a registration of one provider find the session of their own', async (t) => {
  const users = tokenSessions<Data>()
  const app = Fastify()
  t.teardown(() => app.close())
  const count = async () => { (await currentSession(users)).increment('n') }
  for (const prefix of ['/one', '/two']) {
    app.register(async (context) => {
      await context.register(requestSession, { provider: users, ambient: true })
      context.register(async (inner) => {
        inner.get('/', async (request) => {
          const session = await request.session
          session.set('user', prefix)
          await count()
          return session.get('n')
        })
      })
    }, { prefix })
  }
  for (const prefix of ['/one', '/two']) {
    const reply = await app.inject(prefix)
    t.equal(reply.body, '1', prefix)
    t.strictSame((await users.sessionOf(reply))?.data(), { user: prefix, n: 1 })
  }
})

t.test('the option is true or false', async (t) => {
  const app = Fastify()
  await t.rejects(async () => app.register(requestSession, { ambient: 'yes' as never }), { code: 'FST_SESSION_OPTION', message: /ambient/ })
})
