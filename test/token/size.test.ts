import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp, Visitor } from '../support/token-app.js'

const tooLarge = { code: 'FST_SESSION_TOO_LARGE', statusCode: 413 }

t.test('a commit that makes a session too large is refused before anything is sent, and nothing is saved', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store, maxSize: 100 }, (app) => {
    app.get('/', async (request) => { (await request.session).set('a', 1); return 'ok' })
    app.get('/large', async (request) => { (await request.session).set('b', 'ü'.repeat(60)); return 'ok' })
  })
  const stranger = await app.inject('/large')
  t.match(stranger.json(), { ...tooLarge, message: 'The session of GET /large would have 123 bytes, and at most 100 are allowed (maxSize): nothing was saved.' })
  t.notOk(stranger.headers['set-cookie'])
  t.strictSame(store.take(), [])
  const visitor = new Visitor(app)
  await visitor.get('/')
  store.take()
  t.match((await visitor.get('/large')).json(), tooLarge)
  t.strictSame(store.take(), ['load'])
  t.equal((await visitor.get('/')).statusCode, 200)
})

t.test('each way to write is limited, and what is too large may shrink', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const store = connect()
    const [users, large] = [tokenSessions({ store, maxSize: 100 }), tokenSessions({ store, maxSize: null })]
    const text = 'x'.repeat(120)
    const writes: Record<string, (session: TokenSession) => unknown> = {
      set: (session) => session.set('b', text),
      append: (session) => { session.append('list', text) },
      update: (session) => session.update('b', () => text),
      'a long key': (session) => session.set(text, 1),
      'a long key of a number': (session) => session.increment(text),
      'many numbers': (session) => { for (let n = 0; n < 30; n++) session.increment(`n${n}`) },
      'in place': (session) => { (session.get('object') as { text: string }).text = text },
      regenerate: (session) => { session.regenerate(['a']); session.set('b', text) },
      renew: (session) => { session.renew(); session.set('b', text) },
    }
    for (const [name, write] of Object.entries(writes)) {
      const session = await users.create({ data: { a: 1, object: { text: 'short' } } })
      write(session)
      await t.rejects(session.commit(), tooLarge, name)
      t.strictSame((await users.load((await users.exists([session.token])).tokens[0] ?? ''))?.data() ?? { a: 1, object: { text: 'short' } }, { a: 1, object: { text: 'short' } }, name)
    }
    await t.rejects(users.create({ data: { text } }), tooLarge)
    const { token } = await large.create({ data: { text, a: 1, more: text } })
    const session = await users.load(token)
    session?.set('text', 'x'.repeat(60))
    await session?.commit()
    session?.set('more', text)
    await session?.commit()
    session?.delete('more')
    session?.set('text', '')
    session?.increment('a')
    await session?.commit()
    t.strictSame((await users.load(token))?.data(), { text: '', a: 2 })
  }, { clock: false })
})

t.test('restore: a session that is too large stops it, or is left out', async (t) => {
  const large = tokenSessions({ store: memoryStore() })
  await large.create({ data: { text: 'x'.repeat(120) } })
  await large.create({ data: { a: 1 } })
  const saved = new PassThrough()
  await large.save(saved)
  saved.end()
  const lines = (await saved.toArray()).join('')
  const users = tokenSessions({ store: memoryStore(), maxSize: 100 })
  await t.rejects(users.restore(Readable.from([lines])), tooLarge)
  t.match(await tokenSessions({ store: memoryStore(), maxSize: 100 }).restore(Readable.from([lines]), { onDamage: 'skip' }), { restored: 1, damaged: 1 })
})

t.test('maxSize: a number of bytes, or null; a mebibyte by default', async (t) => {
  for (const maxSize of [0, -1, 1.5, '1', Infinity]) t.throws(() => tokenSessions({ maxSize } as never), { code: 'FST_SESSION_OPTION', message: /maxSize.*whole number of bytes.*null/ })
  const users = tokenSessions()
  await users.create({ data: { a: 'x'.repeat(2 ** 20 - 3) } })
  await t.rejects(users.create({ data: { a: 'x'.repeat(2 ** 20 - 2) } }), tooLarge)
})
