import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import requestSession, { assertNoOpenSessions, tokenSessions, type TokenSession } from '../../lib/index.js'
import { pluginOptions } from '../../lib/plugin/options.js'
import { Registration } from '../../lib/plugin/registration.js'
import { firstHook } from '../../lib/plugin/settle-request.js'
import { CountingProvider } from '../support/counting-provider.js'
import { fakeProvider, type FakeProvider } from '../support/fake-provider.js'

interface Sessions {
  readonly provider: CountingProvider
  readonly fake: FakeProvider
}

/** `app.register(requestSession, …)` as most apps write it: what follows in the same turn comes before the plugin is loaded. */
function registerLater (app: FastifyInstance, name = 'first', options: { early?: boolean } = {}): Sessions {
  const fake = fakeProvider(options)
  const provider = new CountingProvider(fake)
  app.register(requestSession, { name, provider })
  return { provider, fake }
}

function newApp (t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  return app
}

const use = async ({ first, method, url }: FastifyRequest): Promise<string> => {
  first.add(`${method} ${url}`)
  return 'ok'
}

t.test('routes of all kinds have their session, settled before the headers and closed, at their first request and later', async (t) => {
  const app = newApp(t)
  app.addHttpMethod('MKCOL')
  app.get('/before', use)
  app.register(async (child) => { child.get('/earlier', use) }, { prefix: '/child' })
  const { provider, fake } = registerLater(app)
  app.get('/get', use)
  app.route({ method: ['POST', 'PUT'], url: '/several', handler: use })
  app.route({ method: 'MKCOL', url: '/other', handler: use })
  app.register(async (child) => {
    child.get('/', use)
    child.register(async (grandchild) => { grandchild.get('/later', use) })
  }, { prefix: '/child' })
  app.after(() => { app.get('/after', use) })
  const requests = [
    'GET /before', 'HEAD /before', 'GET /child/earlier', 'GET /get', 'HEAD /get', 'POST /several', 'PUT /several', 'MKCOL /other', 'GET /child', 'GET /child/',
    'GET /child/later', 'GET /after',
  ]
  for (const round of [1, 2]) {
    for (const request of requests) {
      const [method, url] = request.split(' ') as ['GET', string]
      t.equal((await app.inject({ method, url: `${url}?${round}` })).statusCode, 200, request)
      await provider.allClosed()
      t.ok(fake.kept.has(`${request}?${round}`), request)
    }
  }
  t.equal(provider.opened, 2 * requests.length)
  t.ok(provider.sessions.every(({ commits, closes, settledAfterHeaders }) => commits === 1 && closes === 1 && settledAfterHeaders === false))
})

t.test('the commit comes after all onSend hooks, the close after all onResponse hooks, whoever adds them', async (t) => {
  const app = newApp(t)
  const order: string[] = []
  const onSend = (name: string) => async ({ first }: FastifyRequest): Promise<void> => { first.add(name); order.push(name) }
  const onResponse = (name: string) => async ({ first }: FastifyRequest): Promise<void> => { order.push(`${name}, ${first.closed ? 'closed' : 'open'}`) }
  const hooksOf = (name: string) => fp(async (app: FastifyInstance) => {
    app.addHook('onSend', onSend(`${name} onSend`))
    app.addHook('onResponse', onResponse(`${name} onResponse`))
  }, { name })
  app.register(hooksOf('before'))
  const { provider, fake } = registerLater(app)
  provider.before.commit = () => { order.push('commit') }
  app.get('/', { onSend: [onSend('route onSend')], onResponse: onResponse('route onResponse') }, async () => 'ok')
  app.register(async (child) => {
    child.setNotFoundHandler(async (_request, reply) => reply.code(200).send('none'))
    child.get('/passes', (_request, reply) => { reply.callNotFound() })
  }, { prefix: '/child' })
  app.setNotFoundHandler(async (_request, reply) => reply.code(200).send('none'))
  app.register(hooksOf('after'))
  const instance = { onSend: ['before onSend', 'after onSend'], onResponse: ['before onResponse, open', 'after onResponse, open'] }
  const paths = ['/child/passes', '/', '/nowhere', '/child/nowhere']
  for (const url of [...paths, ...paths.reverse()]) {
    order.length = 0
    const onRoute = url === '/'
    t.equal((await app.inject(url)).statusCode, 200, url)
    await provider.allClosed()
    t.strictSame(order, [
      ...instance.onSend, ...onRoute ? ['route onSend'] : [], 'commit', ...instance.onResponse, ...onRoute ? ['route onResponse, open'] : [],
    ], url)
  }
  t.strictSame([...fake.kept].sort(), ['after onSend', 'before onSend', 'route onSend'])
  t.ok(provider.sessions.every(({ commits, closes, settledAfterHeaders }) => commits === 1 && closes === 1 && settledAfterHeaders === false))
})

for (const name of ['onRequest', 'preValidation', 'preHandler', 'onSend', 'onResponse'] as const) {
  t.test(`an ${name} hook that was added before the plugin opens the session of the first request, too`, async (t) => {
    const app = newApp(t)
    app.addHook(name, async (request: FastifyRequest) => { request.first.add(request.url) })
    const { provider, fake } = registerLater(app)
    app.get('/', async () => 'ok')
    app.get('/again', async ({ first }) => { first.add('handler'); return 'ok' })
    for (const url of ['/', '/', '/nowhere', ...name === 'onResponse' ? [] : ['/again']]) {
      await app.inject(url)
      await provider.allClosed()
    }
    t.strictSame([...fake.kept].sort(), name === 'onResponse' ? ['/'] : ['/', '/again', 'handler'])
    t.ok(provider.sessions.every(({ closes, commits, rollbacks }) => closes === 1 && commits + rollbacks === 1))
  })
}

t.test('a failed commit is the reply, and a failed handler rolls back', async (t) => {
  const app = newApp(t)
  const { provider, fake } = registerLater(app)
  app.get('/commit', { onSend: async () => {} }, use)
  app.get('/handler', async (request) => { await use(request); throw new Error('no') })
  provider.before.commit = () => { throw new Error('the commit failed') }
  t.match((await app.inject('/commit')).json(), { statusCode: 500, message: 'the commit failed' })
  t.match((await app.inject('/handler')).json(), { statusCode: 500, message: 'no' })
  await assertNoOpenSessions(app)
  t.strictSame([[...fake.kept], provider.steps], [[], ['open', 'commit', 'close', 'open', 'rollback', 'close']])
})

t.test('two registrations settle in reverse order, also where a child adds the second', async (t) => {
  const app = newApp(t)
  const steps: string[] = []
  const told = (name: string, { provider }: Sessions): void => { provider.before.commit = () => { steps.push(name) } }
  told('first', registerLater(app))
  const both = async (request: FastifyRequest): Promise<string> => { request.second.add('b'); request.first.add('a'); return 'ok' }
  app.register(async (child) => {
    told('second', registerLater(child, 'second'))
    child.get('/', both)
    child.get('/hook', { onSend: async () => { steps.push('onSend') } }, both)
  }, { prefix: '/child' })
  app.get('/', async (request) => 'second' in request)
  for (const url of ['/child', '/child/hook', '/child/hook']) t.equal((await app.inject(url)).statusCode, 200)
  t.equal((await app.inject('/')).body, 'false')
  t.strictSame(steps, ['second', 'first', 'onSend', 'second', 'first', 'onSend', 'second', 'first'])
  await assertNoOpenSessions(app)
})

t.test("a child that was registered before its parent's plugin has both sessions, and the child's settles last", async (t) => {
  const app = newApp(t)
  const steps: string[] = []
  app.register(async (child) => {
    const { provider } = registerLater(child, 'second')
    provider.before.commit = () => { steps.push('second') }
    child.get('/child', async (request) => { request.second.add('b'); request.first.add('a'); return 'ok' })
  })
  const { provider } = registerLater(app)
  provider.before.commit = () => { steps.push('first') }
  t.equal((await app.inject('/child')).statusCode, 200)
  t.strictSame(steps, ['first', 'second'])
  await assertNoOpenSessions(app)
})

t.test("the routes of a sibling have no session, and its hooks are not the plugin's", async (t) => {
  const app = newApp(t)
  let sessions: Sessions | undefined
  app.register(async (child) => {
    sessions = registerLater(child)
    child.get('/in', use)
  })
  app.register(async (child) => { child.get('/out', async (request) => 'first' in request) })
  t.equal((await app.inject('/out')).body, 'false')
  t.equal((await app.inject('/in')).statusCode, 200)
  await sessions?.provider.allClosed()
  t.strictSame([...sessions?.fake.kept ?? []], ['GET /in'])
})

t.test("a route's options apply, and wrong ones are told at each of its requests, with the route", async (t) => {
  const app = newApp(t)
  app.register(requestSession, { provider: tokenSessions({ ttl: 600 }) })
  const sessionOf = (request: FastifyRequest): unknown => Reflect.get(request, 'session')
  app.get('/short', { config: { session: { ttl: 60 } } as object }, async (request) => {
    const session = await sessionOf(request) as TokenSession
    session.set('a', 1)
    return session.ttl
  })
  app.get('/loaded', { config: { session: { load: 'onRequest' } } as object }, async (request) => (sessionOf(request) as TokenSession).isNew)
  app.get('/never', { config: { session: false } as object }, async (request) => sessionOf(request))
  app.get('/wrong/:id', { config: { session: { tll: 60 } } as object }, async () => 'ok')
  t.equal((await app.inject('/short')).body, '60')
  t.equal((await app.inject('/loaded')).body, 'true')
  t.equal((await app.inject('/never')).json().code, 'FST_SESSION_REFUSED')
  for (const url of ['/wrong/1', '/wrong/2']) {
    t.match((await app.inject(url)).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /^config\.session of GET \/wrong\/:id: .*tll/ })
  }
  await assertNoOpenSessions(app)
})

t.test('a session that the provider loads early is open before the handler', async (t) => {
  const app = newApp(t)
  const { provider } = registerLater(app, 'first', { early: true })
  app.get('/', async () => provider.open)
  for (const time of ['first', 'second']) {
    t.equal((await app.inject('/')).body, '1', time)
    await provider.allClosed()
  }
})

t.test('a WebSocket has its session until it closes', async (t) => {
  const app = newApp(t)
  app.register(websocket)
  const { provider, fake } = registerLater(app)
  app.register(async (child) => {
    child.get('/ws', { websocket: true }, (socket, { first }) => {
      first.add('opened')
      socket.send(String(first.closed))
    })
  })
  app.after(() => { app.get('/here', { websocket: true }, (socket, { first }) => { socket.send(String(first.closed)) }) })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  for (const path of ['/ws', '/here']) {
    const client = new WebSocket(address.replace('http', 'ws') + path)
    const text = await new Promise((resolve, reject) => { client.once('message', (data) => { resolve(String(data)) }).once('error', reject) })
    t.equal(text, 'false', path)
    t.equal(provider.open, 1, path)
    client.terminate()
    await provider.allClosed()
  }
  t.strictSame([...fake.kept], [], 'nobody heard a reply')
})

t.test('a Fastify that keeps the hooks of such a route out of reach is told of, at its first request', async (t) => {
  const registration = new Registration(pluginOptions({ name: 'first', provider: fakeProvider() }, tokenSessions), [], newApp(t))
  t.teardown(() => { registration.sessions.stop() })
  const request = { is404: false, routeOptions: { method: 'GET', url: '/here', config: {} } } as unknown as FastifyRequest
  t.throws(() => { firstHook(registration)(request, {} as FastifyReply, () => {}) }, { code: 'FST_SESSION_TOO_EARLY', message: /^request\.first has no hooks in GET \/here: / })
})
