import t from 'tap'
import { getSession, memoryStore, tokenSessions } from '../../lib/index.js'
import { tokenApp, Visitor } from '../support/token-app.js'

t.test('a login that keeps the token is told to its developer, once for each route', async (t) => {
  const { app, log } = await tokenApp(t, {}, (app) => {
    app.get('/basket', async (request) => { (await request.session).increment('items') })
    app.get('/login', async (request) => { (await request.session).subject = 'ada' })
    app.get('/login/renewed', async (request) => {
      const session = await request.session
      session.renew()
      session.subject = 'ada'
    })
    app.get('/login/regenerated', async (request) => {
      const session = await request.session
      session.regenerate(['items'])
      session.subject = 'ada'
    })
    app.get('/logout', async (request) => { (await request.session).subject = undefined })
  })
  for (const login of ['/login/renewed', '/login/regenerated']) {
    const visitor = new Visitor(app)
    for (const url of ['/basket', login, '/logout']) await visitor.get(url)
  }
  await new Visitor(app).get('/login')
  t.strictSame(log, [], 'another token, or a new session: nothing is told')
  for (let i = 0; i < 2; i++) {
    const visitor = new Visitor(app)
    for (const url of ['/basket', '/login', '/login']) t.equal((await visitor.get(url)).statusCode, 200)
  }
  t.equal(log.length, 1)
  t.match(log[0], { level: 40, route: 'GET /login', msg: /regenerate\(\)/ })
})

/** Runs the work, and gives the warnings of the process meanwhile. */
async function warningsOf (work: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = []
  const hear = ({ message }: Error): void => { warnings.push(message) }
  process.on('warning', hear)
  await work()
  await new Promise(setImmediate) // warnings are emitted in the next tick
  process.off('warning', hear)
  return warnings
}

t.test('changes that go into another session than the one that was asked for are told, once', async (t) => {
  const users = tokenSessions({ store: memoryStore() })
  const { token } = await users.create()
  t.strictSame(await warningsOf(async () => {
    await getSession(users, null, (session) => session.set('n', 1), { token })
    await getSession(users, null, (session) => session.isNew, { token: 'no token' })
    await getSession(users, null, (session) => session.set('n', 1))
    await getSession(users, null, (session) => session.regenerate(), { token: (await users.create()).token })
  }), [], 'nothing is told of a session that is there, of one that is only read, and where none was asked for')
  await users.end(token)
  const [warning, ...others] = await warningsOf(async () => {
    for (const gone of [token, 'no token']) await getSession(users, null, (session) => session.set('n', 1), { token: gone })
  })
  t.match(warning, /the given token has no session.*isNew/)
  t.strictSame(others, [])
})

t.test('in production nothing is told', async (t) => {
  t.teardown(() => { delete process.env['NODE_ENV'] })
  process.env['NODE_ENV'] = 'production'
  const { app, log } = await tokenApp(t, {}, (app) => {
    app.get('/basket', async (request) => { (await request.session).increment('items') })
    app.get('/in-production', async (request) => { (await request.session).subject = 'ada' })
  })
  const visitor = new Visitor(app)
  for (const url of ['/basket', '/in-production']) await visitor.get(url)
  t.match(log.map(({ msg }) => msg), [/HTTPS/], 'but for what operators should know')
})
