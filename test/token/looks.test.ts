import Fastify from 'fastify'
import { inspect } from 'node:util'
import t from 'tap'
import requestSession, { assertNoOpenSessions, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { exchange } from '../support/lifecycle/client.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp } from '../support/token-app.js'

interface Looked { session?: TokenSession }

/** What a log serializer reads of a session: it is none of the promise's members. */
const look = ({ session }: Looked): unknown => [session?.get?.('user'), session?.isNew, session?.size, session?.data?.()].map((value) => value ?? null)

const serializers = {
  req: (request: object) => ({ looked: look(request as Looked) }),
  res: (reply: object) => ({ looked: look((reply as { request: Looked }).request) }),
}

for (const which of ['req', 'res'] as const) {
  for (const load of ['lazy', 'onRequest'] as const) {
    t.test(`a ${which} serializer may look at the session; load: ${load}`, async (t) => {
      const store = new SpyStore(memoryStore())
      const lines: Array<Record<string, { looked: unknown[] } | undefined>> = []
      const app = Fastify({
        logger: { level: 'info', serializers: { [which]: serializers[which] }, stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } },
      })
      t.teardown(() => app.close())
      await app.register(requestSession, { provider: tokenSessions({ store, load }) })
      app.get('/', async (request) => { (await (request as unknown as { session: Promise<TokenSession> }).session).set('user', 'ada'); return 'in' })
      app.get('/untouched', async () => 'ok')
      const origin = await app.listen({ port: 0, host: '127.0.0.1' })
      for (const [path, status] of [['/', 200], ['/untouched', 200], ['/nowhere', 404]] as const) {
        lines.length = 0
        const reply = await exchange(origin + path).received
        t.equal(reply.status, status)
        const injected = await app.inject(path)
        t.equal(injected.statusCode, status)
        await assertNoOpenSessions(app)
        const looks = lines.flatMap((line) => line[which] === undefined ? [] : [line[which].looked])
        t.equal(looks.length, 2, `${path} was logged`)
        for (const [user] of looks) t.equal(user, which === 'res' && path === '/' ? 'ada' : null)
      }
      t.notOk(store.take().includes('load'), 'a look opens nothing')
    })
  }
}

t.test('console.log shows what a session is, and neither its token nor its values', async (t) => {
  const { app } = await tokenApp(t, {}, () => {})
  await app.getSession(null, async (session) => {
    session.set('secret', 'value').set('list', [1])
    t.equal(inspect(session, { breakLength: Infinity }), "TokenSession { isNew: true, ended: false, subject: undefined, ttl: 1800, keys: [ 'secret', 'list' ] }")
    for (const shown of [inspect(session), inspect({ session }, { depth: 9, showHidden: true })]) {
      t.notMatch(shown, session.token)
      t.notMatch(shown, 'value')
    }
    session.end()
    t.match(inspect(session), /ended: true/)
  })
})

for (const load of ['lazy', 'onRequest'] as const) {
  t.test(`load: ${load}: neither console.log nor a logger gets the token or values from what leads to a session`, async (t) => {
    const { app, log } = await tokenApp(t, { load }, (app) => {
      app.get('/', async (request) => {
        const { session: promise, sessionScope: scope } = request
        const session = (await promise).set('secret', 'hunter2')
        request.log.warn({ scope }, 'looked')
        const shown = [promise, scope, { request: { scope } }].map((each) => inspect(each, { depth: 9, showHidden: true }))
        return { token: session.token, shown: shown.map((text) => [text.includes(session.token), text.includes('hunter2')]) }
      })
    })
    const { token, shown } = (await app.inject('/')).json<{ token: string, shown: boolean[][] }>()
    t.strictSame(shown, [[false, false], [false, false], [false, false]])
    t.notMatch(JSON.stringify(log), token)
    t.match(log, [{ msg: 'looked', scope: { name: 'session', kind: 'token', route: 'GET /', state: 'open' } }])
    t.notMatch(JSON.stringify(log), 'hunter2')
  })
}

t.test('console.log of the promise of a session, in a handler that has not awaited it, shows no more', async (t) => {
  const shown: string[] = []
  const store = new SpyStore(memoryStore())
  store.before = async () => {} // each call takes a turn
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request) => {
      shown.push(inspect(request.session))
      await request.session
      shown.push(inspect(request.session, { breakLength: Infinity }), inspect({ session: request.session }, { depth: 9, showHidden: true }))
    })
  })
  const { sessionProvider } = app
  const session = await sessionProvider.create({ data: { secret: 'value' } })
  await app.inject({ url: '/', ...await sessionProvider.inject(session) })
  t.equal(shown[0], 'Promise { <pending> }')
  t.equal(shown[1], "Promise { TokenSession { isNew: false, ended: false, subject: undefined, ttl: 1800, keys: [ 'secret' ] } }")
  for (const text of shown) {
    t.notMatch(text, session.token)
    t.notMatch(text, 'value')
  }
})

t.test('JSON of a session is its data, also of a handler that returns it and of a logger', async (t) => {
  const { app, log } = await tokenApp(t, { store: new SpyStore(memoryStore()) }, (app) => {
    app.get('/', async (request) => {
      const session = (await request.session).set('items', ['figs'])
      request.log.warn({ session }, 'looked')
      return session
    })
  })
  const reply = await app.inject('/')
  t.strictSame(reply.json(), { items: ['figs'] })
  t.match(log, [{ msg: 'looked', session: { items: ['figs'] } }])
})

t.test('a property that is assigned to a session throws and says set()', async (t) => {
  const { app } = await tokenApp(t, {}, () => {})
  await app.getSession(null, async (session) => {
    const object = session as unknown as Record<string, unknown>
    const error = { code: 'FST_SESSION_PROPERTY', message: /session\.set\(key, value\)/ }
    t.throws(() => { object['user'] = 'ada' }, error)
    t.throws(() => { Object.assign(session, { user: 'ada' }) }, error)
    t.throws(() => { object['ended'] = true }, TypeError)
    t.throws(() => { object['token'] = 'planted' }, TypeError)
    t.strictSame([session.data(), Object.keys(session)], [{}, []])
  })
})
