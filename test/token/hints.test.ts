import t from 'tap'
import { memoryStore, type TokenSessionOptions } from '../../lib/index.js'
import { asHint } from '../../lib/core/provider.js'
import { barrier, type Barrier } from '../support/barrier.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp, Visitor } from '../support/token-app.js'

const hint = asHint((stored: unknown) => [...stored as string[] | undefined ?? [], 'hint'])

/** A request that leaves a hint waits at its end, while the test does something to its session. */
async function leavesHint (t: Parameters<typeof tokenApp>[0], options: TokenSessionOptions = {}) {
  let [reached, goOn]: Barrier[] = [barrier(), barrier()]
  const { app, log } = await tokenApp(t, options, (app) => {
    app.get('/login', async (request) => { (await request.session).set('user', 'ada') })
    app.get('/logout', async (request) => { (await request.session).end() })
    app.get('/other', async (request) => { (await request.session).set('hints', ['other']) })
    app.get('/renew', async (request) => { (await request.session).renew() })
    app.get('/regenerate', async (request) => { (await request.session).regenerate(['user']) })
    app.get('/read', async (request) => (await request.session).data())
    app.get('/hint/:work', async (request) => {
      const session = await request.session
      session.update('hints', hint)
      if ((request.params as { work: string }).work === 'set') session.set('color', 'red')
      if ((request.params as { work: string }).work === 'renew') session.renew()
      reached?.open()
      await goOn?.opened
      return 'ok'
    })
  })
  const play = async (work: string, meanwhile: (visitor: Visitor) => unknown): Promise<{ status: number, visitor: Visitor }> => {
    [reached, goOn] = [barrier(), barrier()]
    const visitor = new Visitor(app)
    await visitor.get('/login')
    const other = new Visitor(app)
    for (const cookie of visitor.cookies) other.cookies.set(...cookie)
    const reply = visitor.get(`/hint/${work}`)
    await reached.opened
    await meanwhile(other)
    goOn.open()
    return { status: (await reply).statusCode, visitor: other }
  }
  return { play, log }
}

t.test('a hint is kept with the session', async (t) => {
  const { play } = await leavesHint(t)
  const { status, visitor } = await play('none', () => {})
  t.equal(status, 200)
  t.strictSame((await visitor.get('/read')).json(), { user: 'ada', hints: ['hint'] })
  const renewed = await play('none', (other) => other.get('/renew'))
  t.equal(renewed.status, 200)
  t.strictSame((await renewed.visitor.get('/read')).json(), { user: 'ada', hints: ['hint'] }, 'also with one that is renewed meanwhile')
})

t.test('a hint that cannot be kept fails no request, and work beside it does', async (t) => {
  const { play, log } = await leavesHint(t)
  for (const [meanwhile, code] of [['/logout', 409], ['/regenerate', 409]] as const) {
    t.equal((await play('none', (other) => other.get(meanwhile))).status, 200, `${meanwhile}: a hint`)
    t.equal((await play('set', (other) => other.get(meanwhile))).status, code, `${meanwhile}: a change`)
    t.equal((await play('renew', (other) => other.get(meanwhile))).status, code, `${meanwhile}: another token`)
  }
  const { visitor } = await play('none', (other) => other.get('/regenerate'))
  t.strictSame((await visitor.get('/read')).json(), { user: 'ada' }, 'a hint for the session before a login is not for the one after it')
  t.strictSame(log.filter(({ msg }) => msg.includes('changed after')), [], 'nobody is warned of it')
})

t.test('the store fails at the commit', async (t) => {
  for (const sync of [false, true]) {
    const store = new SpyStore(memoryStore())
    const { play } = await leavesHint(t, { store })
    const fail = (): void => { store.failing = { error: new Error('away'), sync } }
    t.equal((await play('none', fail)).status, 200, 'a hint')
    store.failing = undefined
    t.equal((await play('set', fail)).status, 503, 'a change')
  }
})

t.test('a hint meets another change, and the session cannot be read anew for the rules of its data', async (t) => {
  for (const sync of [false, true]) {
    const store = new SpyStore(memoryStore())
    const { play } = await leavesHint(t, { store, ...{ data: { initial: () => ({}) } } })
    const change = async (other: Visitor): Promise<void> => {
      await other.get('/other')
      store.failing = { error: new Error('away'), methods: ['load'], sync }
    }
    t.equal((await play('none', change)).status, 200, 'a hint')
    store.failing = undefined
    t.equal((await play('set', change)).status, 503, 'a change')
  }
})

t.test('a visitor who is anonymous for a failure of the store has no work to lose', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store, onStoreError: 'anonymous' }, (app) => {
    app.get('/login', async (request) => { (await request.session).set('user', 'ada') })
    app.get('/hint', async (request) => { (await request.session).update('hints', hint) })
    app.get('/work', async (request) => { (await request.session).set('color', 'red') })
  })
  const visitor = new Visitor(app)
  await visitor.get('/login')
  store.failing = { error: new Error('away') }
  t.equal((await visitor.get('/hint')).statusCode, 200)
  t.equal((await visitor.get('/work')).statusCode, 503)
})

t.test('a hint makes no session larger than maxSize', async (t) => {
  const { play } = await leavesHint(t, { maxSize: 20 })
  const { status, visitor } = await play('none', () => {})
  t.equal(status, 200)
  t.strictSame((await visitor.get('/read')).json(), { user: 'ada' })
  t.equal((await play('set', () => {})).status, 413)
})

t.test('a new session of a hint alone, whose token the client cannot learn, is no loss to be warned of', async (t) => {
  const { app, log } = await tokenApp(t, {}, (app) => {
    app.get('/:work', async (request, reply) => {
      const session = await request.session
      if ((request.params as { work: string }).work === 'hint') session.update('hints', hint)
      else session.set('color', 'red')
      reply.hijack()
      reply.raw.end('bye')
    })
  })
  await app.inject('/hint')
  t.strictSame(log, [])
  await app.inject('/set')
  t.match(log, [{ msg: /cannot receive the session's new token/ }])
})
