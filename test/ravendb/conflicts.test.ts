import t from 'tap'
import type { DocumentStore, OptimisticConcurrencyMode, TransactionMode } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

async function stored<T extends object> (store: DocumentStore, id: string): Promise<T | null> {
  return store.openSession().load<T>(id)
}

t.test('conflicts', async (t) => {
  const database = await ravenDatabaseForTest(t)
  if (!database) return
  const { store } = database

  const modes: Array<{ transactionMode: TransactionMode, optimisticConcurrencyMode?: OptimisticConcurrencyMode }> = [
    { transactionMode: 'SingleNode', optimisticConcurrencyMode: 'Writes' },
    { transactionMode: 'SingleNode', optimisticConcurrencyMode: 'WritesAndReads' },
    { transactionMode: 'ClusterWide' },
  ]
  for (const mode of modes) {
    const name = Object.values(mode).join(', ')
    if (mode.optimisticConcurrencyMode === 'WritesAndReads' && !('optimisticConcurrencyMode' in store.conventions)) {
      t.throws(() => ravenSessions(store, mode), { code: 'FST_SESSION_OPTION' }, 'a client before 7.2 would ignore it')
      continue
    }
    await t.test(`two requests on one document: ${name}`, async (t) => {
      const id = `note of ${name}`
      const first = store.openSession({ transactionMode: mode.transactionMode })
      await first.store<Note>({ text: 'first' }, id)
      await first.saveChanges()

      const app = await documentsApp(t, ravenSessions(store, mode))
      const bothLoaded = barrier()
      let loaded = 0
      app.put('/note', async (request) => {
        const { text } = request.query as Note
        const note = await request.documents.load<Note>(id)
        if (note === null) throw new Error('no note')
        note.text = text
        if (++loaded === 2) bothLoaded.open()
        await bothLoaded.opened
        return { text }
      })
      const replies = await Promise.all(['Ada', 'Bea'].map((text) => app.inject({ method: 'PUT', url: '/note', query: { text } })))

      t.same(replies.map(({ statusCode }) => statusCode).sort(), [200, 409], 'one wins, one loses')
      const won = replies.find(({ statusCode }) => statusCode === 200)?.json<Note>()
      t.equal((await stored<Note>(store, id))?.text, won?.text, 'the stored version is the winner\'s')
      t.match(replies.find(({ statusCode }) => statusCode === 409)?.json(),
        { statusCode: 409, code: 'FST_SESSION_CONFLICT', error: 'Conflict', message: /^The changes of PUT \/note conflict/ })
      t.match(statsOf(app), { committed: 1, rolledBack: 1, unknown: 0, open: 0 })
    })
  }

  await t.test('two requests take one compare-exchange key', async (t) => {
    const app = await documentsApp(t, ravenSessions(store, { transactionMode: 'ClusterWide' }))
    const bothTook = barrier()
    let took = 0
    app.post('/users', async (request) => {
      const { user } = request.query as { user: string }
      request.documents.advanced.clusterTransaction.createCompareExchangeValue('emails/ada@example.com', user)
      await request.documents.store({ user }, user)
      if (++took === 2) bothTook.open()
      await bothTook.opened
      return { user }
    })
    const users = ['users/ada', 'users/bea']
    const replies = await Promise.all(users.map((user) => app.inject({ method: 'POST', url: '/users', query: { user } })))
    t.same(replies.map(({ statusCode }) => statusCode).sort(), [200, 409])
    for (const [i, user] of users.entries()) {
      t.equal(await stored(store, user) !== null, replies[i]?.statusCode === 200, `${user} exists if the reply said so`)
    }
  })

  await t.test('what the log and the app\'s error handler get', async (t) => {
    const app = await documentsApp(t, ravenSessions(store))
    const seen: Array<Error & { code?: string, statusCode?: number }> = []
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      seen.push(error)
      return reply.code(error.statusCode ?? 500).send('mine')
    })
    app.put('/at-commit', async (request) => {
      await request.documents.store({ text: 'second' }, 'taken', { changeVector: '' })
      return 'fine'
    })
    app.put('/in-handler', async (request) => {
      await request.documents.store({ text: 'second' }, 'taken', { changeVector: '' })
      await request.documents.saveChanges()
      return 'fine'
    })
    const session = store.openSession()
    await session.store({ text: 'first' }, 'taken')
    await session.saveChanges()
    for (const url of ['/at-commit', '/in-handler']) t.equal((await app.inject({ method: 'PUT', url })).statusCode, 409, url)
    for (const error of seen) {
      t.match(error, { code: 'FST_SESSION_CONFLICT', statusCode: 409, name: 'ConcurrencyException' }, 'named, and under the client\'s name too')
      t.match(error.cause, { name: 'ConcurrencyException', message: /taken/ }, 'the client\'s own error is the cause')
    }
    t.equal(seen.length, 2)
    t.match(await stored(store, 'taken'), { text: 'first' })
  })
})
