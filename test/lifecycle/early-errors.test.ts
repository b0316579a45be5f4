import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { assertNoOpenSessions, tokenSessions, type TokenSession } from '../../lib/index.js'
import { registerFake } from '../support/fake-app.js'

/** An app whose earlier plugin throws in its onRequest hook where the client says so. */
function busyApp (t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['x-busy'] !== undefined) throw Object.assign(new Error('too busy'), { statusCode: 503 })
  })
  return app
}

const busy = { 'x-busy': '1' }

for (const load of ['lazy', 'onRequest'] as const) {
  t.test(`error and not-found pages read the session also when an earlier plugin's hook has thrown; load: ${load}`, async (t) => {
    const users = tokenSessions({ load })
    const app = busyApp(t)
    await app.register(requestSession, { provider: users })
    const userOf = async (request: object): Promise<unknown> => (await (request as { session: Promise<TokenSession> }).session).get('user')
    app.setErrorHandler<Error & { statusCode?: number }>(async ({ statusCode = 500, message }, request, reply) => reply.code(statusCode).send(`${message}, ${await userOf(request)}`))
    app.setNotFoundHandler(async (request, reply) => reply.code(404).send(`not here, ${await userOf(request)}`))
    app.get('/', async () => 'ok')
    app.get('/visit', async (request) => {
      (await (request as unknown as { session: Promise<TokenSession> }).session).set('visited', true)
      return 'ok'
    })
    const { token } = await app.getSession(null, async (session) => {
      const its = session as unknown as TokenSession
      its.set('user', 'ada')
      return { token: its.token }
    })
    const cookie = `session=${token}`
    const replyTo = async (url: string, headers: Record<string, string>): Promise<unknown[]> => {
      const { statusCode, body } = await app.inject({ url, headers: { cookie, ...headers } })
      await assertNoOpenSessions(app)
      return [statusCode, body]
    }
    t.strictSame(await replyTo('/', busy), [503, 'too busy, ada'])
    t.strictSame(await replyTo('/nowhere', busy), [503, 'too busy, ada'])
    t.strictSame(await replyTo('/nowhere', {}), [404, 'not here, ada'])
    t.strictSame(await replyTo('/visit', {}), [200, 'ok'])
  })
}

t.test('what an error page does there is settled by its own reply, and closed', async (t) => {
  const app = busyApp(t)
  const first = await registerFake(app, 'first')
  app.setErrorHandler(async (_error, request, reply) => {
    request.first.add(request.url)
    return reply.code(request.url === '/good' ? 200 : 503).send('sorry')
  })
  for (const url of ['/good', '/bad']) app.get(url, async () => 'ok')
  for (const url of ['/good', '/bad', '/nowhere']) await app.inject({ url, headers: busy })
  await first.provider.allClosed()
  t.strictSame([...first.kept], ['/good'])
})

for (const answers of ['at-once', 'later'] as const) {
  t.test(`a session that an earlier plugin's hook has used is committed after a hijacked reply; the provider answers ${answers}`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.addHook('onRequest', async ({ first }) => { first.add('hook') })
    const { kept } = await registerFake(app, 'first', { answers })
    app.get('/', async (request, reply) => {
      request.first.add('handler')
      reply.hijack()
      reply.raw.end('done')
    })
    const origin = await app.listen({ port: 0, host: '127.0.0.1' })
    t.equal(await (await fetch(origin)).text(), 'done')
    await app.close()
    t.strictSame([...kept], ['hook', 'handler'])
  })
}
