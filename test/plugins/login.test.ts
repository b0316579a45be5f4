import csrfProtection from '@fastify/csrf-protection'
import { Authenticator, Strategy } from '@fastify/passport'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { tokenSessions, type TokenSession } from '../../lib/index.js'
import { Visitor } from '../support/token-app.js'

declare module 'fastify' { interface PassportUser { name: string } }

/** `load: 'onRequest'` makes it the session itself, and no promise of one: the plugins do not wait. */
const sessionOf = (request: FastifyRequest): TokenSession => request.session as unknown as TokenSession

/** Lets a visitor in who says a name. */
class Named extends Strategy {
  override authenticate (request: FastifyRequest): void {
    const { name } = request.query as { name?: string }
    if (name === undefined) this.fail()
    else this.success({ name })
  }
}

/** An app that is registered in the usual way, without `await`. */
function loginApp (t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  const passport = new Authenticator({ clearSessionIgnoreFields: ['basket'] })
  app.register(requestSession, { provider: tokenSessions({ load: 'onRequest' }) })
  app.register(csrfProtection, { sessionPlugin: '@fastify/secure-session' })
  app.register(passport.initialize())
  app.register(passport.secureSession())
  passport.use('named', new Named('named'))
  passport.registerUserSerializer(async (user: { name: string }) => user.name)
  passport.registerUserDeserializer(async (name: string) => ({ name }))

  app.get('/fill', async (request) => { sessionOf(request).set('basket', ['pizza']).set('seen', true); return 'filled' })
  app.get('/login', { preValidation: passport.authenticate('named', { authInfo: false }) }, async (request, reply) => {
    request.flash('info', 'Welcome, %s', String(request.user?.name))
    return reply.redirect('/')
  })
  app.get('/', async (request, reply) => ({
    user: request.user?.name ?? null, messages: reply.flash('info') ?? [], basket: sessionOf(request).get('basket') ?? null, seen: sessionOf(request).get('seen') ?? false,
  }))
  app.get('/logout', async (request) => { await request.logout(); return 'bye' })
  app.get('/form', async (_request, reply) => ({ token: reply.generateCsrf() }))
  app.get('/order', { onRequest: (request, reply, done) => app.csrfProtection(request, reply, done) }, async () => 'ordered')
  return app
}

t.test('@fastify/passport: a login has a new token and what it is told to keep, a logout leaves nothing', async (t) => {
  const visitor = new Visitor(loginApp(t))
  await visitor.get('/fill')
  const planted = visitor.token
  t.equal((await visitor.get('/login')).statusCode, 401)
  t.equal(visitor.token, planted)
  t.equal((await visitor.get('/login?name=ada')).statusCode, 302)
  t.not(visitor.token, planted)
  t.match((await visitor.get('/')).json(), { user: 'ada', basket: ['pizza'], seen: false })

  const loggedIn = visitor.token as string
  visitor.cookies.set('session', planted as string)
  t.match((await visitor.get('/')).json(), { user: null, basket: null }, 'the token of before the login opens nothing')
  visitor.cookies.set('session', loggedIn)
  await visitor.get('/logout')
  t.match((await visitor.get('/')).json(), { user: null, basket: null })
  visitor.cookies.set('session', loggedIn)
  t.match((await visitor.get('/')).json(), { user: null, basket: null }, 'nor does that of before the logout')
})

t.test('@fastify/flash: a message is read once, after the redirect', async (t) => {
  const visitor = new Visitor(loginApp(t))
  await visitor.get('/login?name=ada')
  t.match((await visitor.get('/')).json(), { messages: ['Welcome, ada'] })
  t.strictSame((await visitor.get('/')).json<{ messages: unknown }>().messages, [])
})

t.test('@fastify/csrf-protection: a token is bound to its user', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(requestSession, { provider: tokenSessions({ load: 'onRequest' }) })
  app.register(csrfProtection, { sessionPlugin: '@fastify/secure-session', getUserInfo: ({ query }) => (query as { user: string }).user })
  app.get('/form', async (_request, reply) => ({ token: reply.generateCsrf({ userInfo: 'ada' }) }))
  app.get('/order', { onRequest: (request, reply, done) => app.csrfProtection(request, reply, done) }, async () => 'ordered')
  const visitor = new Visitor(app)
  const { token } = (await visitor.get('/form')).json<{ token: string }>()
  t.equal((await visitor.get('/order?user=ada', { 'csrf-token': token })).body, 'ordered')
  t.equal((await visitor.get('/order?user=bob', { 'csrf-token': token })).statusCode, 403)
})

t.test('@fastify/csrf-protection: the secret is in the session, and a token of another session is refused', async (t) => {
  const app = loginApp(t)
  const [visitor, other] = [new Visitor(app), new Visitor(app)]
  const { token } = (await visitor.get('/form')).json<{ token: string }>()
  await other.get('/form')
  t.equal((await visitor.get('/order')).statusCode, 403)
  t.equal((await visitor.get('/order', { 'csrf-token': token })).body, 'ordered')
  t.equal((await other.get('/order', { 'csrf-token': token })).statusCode, 403)
})
