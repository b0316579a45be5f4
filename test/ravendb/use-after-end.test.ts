import t, { type Test } from 'tap'
import { once } from 'node:events'
import type { IDocumentSession } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import { exchange } from '../support/lifecycle/client.js'
import { barrier } from '../support/barrier.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

class Visit { page = '/' }

/** Objects taken from a session while it is open, each with a later use of it. */
function routesOfUse (session: IDocumentSession): Record<string, () => unknown> {
  const { advanced } = session
  const { attachments, revisions, lazily, eagerly } = advanced
  const counters = session.countersFor('notes/1')
  const series = session.timeSeriesFor('notes/1', 'heartbeats')
  const query = () => session.query<Note>({ collection: '@empty' })
  const [all, first, count, streamed] = [query(), query(), query(), query()]
  const raw = advanced.rawQuery<Note>('from @all_docs')
  const lazy = lazily.load<Note>('notes/2')
  const loader = session.include('author')
  const bound = { load: session.load.bind(session), store: session.store.bind(session), saveChanges: session.saveChanges.bind(session) }
  return {
    load: () => session.load('notes/2'),
    'load of what it has already': () => session.load('notes/1'),
    store: () => session.store({ text: 'late' }, 'late/1'),
    'store of an object that needs an id': () => session.store(new Visit()),
    delete: () => session.delete('notes/1'),
    saveChanges: () => session.saveChanges(),
    query: () => query().all(),
    include: () => session.include('author').load('notes/2'),
    countersFor: () => session.countersFor('notes/1').get('likes'),
    timeSeriesFor: () => session.timeSeriesFor('notes/1', 'heartbeats').get(),
    advanced: () => session.advanced,
    'bound load': () => bound.load('notes/2'),
    'bound store': () => bound.store({ text: 'late' }, 'late/2'),
    'bound saveChanges': () => bound.saveChanges(),
    'advanced, taken before: hasChanges': () => advanced.hasChanges(),
    'advanced, taken before: exists': () => advanced.exists('notes/2'),
    'advanced, taken before: loadStartingWith': () => advanced.loadStartingWith('notes/'),
    'advanced, taken before: rawQuery': () => advanced.rawQuery('from @all_docs').all(),
    'advanced, taken before: documentQuery': () => advanced.documentQuery<Note>({ collection: '@empty' }).first(),
    'advanced, taken before: stream': () => advanced.stream('notes/'),
    'advanced, taken before: patch': () => { advanced.patch('notes/1', 'text', 'late') },
    'advanced, taken before: increment': () => { advanced.increment('notes/1', 'likes', 1) },
    'advanced, taken before: defer': () => { advanced.defer() },
    'advanced, taken before: attachments': () => advanced.attachments,
    'advanced, taken before: its request executor': () => advanced.requestExecutor.execute({ createRequest: () => { throw new Error('sent') } } as never),
    'a query not yet run: all()': () => all.all(),
    'a query not yet run: first()': () => first.first(),
    'a query not yet run: count()': () => count.count(),
    'a query not yet run: stream': () => advanced.stream(streamed),
    'a raw query not yet run': () => raw.all(),
    'a lazy load not yet run': () => lazy.getValue(),
    'a loader with includes': () => loader.load('notes/2'),
    'lazily, taken before': () => lazily.load('notes/3').getValue(),
    'eagerly, taken before': () => eagerly.executeAllPendingLazyOperations(),
    'attachments, taken before: get': () => attachments.get('notes/1', 'picture'),
    'attachments, taken before: exists': () => attachments.exists('notes/1', 'picture'),
    'attachments, taken before: store': () => { attachments.store('notes/1', 'picture', Buffer.from('late'), 'image/png') },
    'revisions, taken before: getFor': () => revisions.getFor('notes/1'),
    'counters, taken before: increment': () => { counters.increment('likes') },
    'counters, taken before: getAll': () => counters.getAll(),
    'a time series, taken before: append': () => { series.append(new Date(0), 1) },
    'a time series, taken before: get': () => series.get(),
  }
}

function clusterRoutesOfUse (session: IDocumentSession): Record<string, () => unknown> {
  const { clusterTransaction } = session.advanced
  const { lazily } = clusterTransaction
  return {
    'clusterTransaction, taken before: create': () => clusterTransaction.createCompareExchangeValue('late', 1),
    'clusterTransaction, taken before: get': () => clusterTransaction.getCompareExchangeValue('late'),
    'clusterTransaction, taken before: get several': () => clusterTransaction.getCompareExchangeValues(['late']),
    'clusterTransaction, taken before: delete': () => { clusterTransaction.deleteCompareExchangeValue('late', 1) },
    'clusterTransaction, taken before: lazily': () => lazily.getCompareExchangeValue('late').getValue(),
    store: () => session.store({ text: 'late' }, 'late/wide'),
    saveChanges: () => session.saveChanges(),
  }
}

t.test('use after the end', async (t) => {
  let requests = 0
  const database = await ravenDatabaseForTest(t, (store) => {
    store.addSessionListener('beforeRequest', () => { requests++ })
    store.conventions.registerEntityType(Visit)
  })
  if (!database) return
  const { store } = database
  const provider = ravenSessions(store)
  const setUp = store.openSession()
  for (let i = 1; i <= 3; i++) await setUp.store({ text: `note ${i}` }, `notes/${i}`)
  await setUp.store(new Visit())
  await setUp.saveChanges()
  const before = (await store.openSession().query({ collection: '@all_docs' }).waitForNonStaleResults().all()).length

  async function refusesAll (t: Test, taken: Record<string, () => unknown>): Promise<void> {
    requests = 0
    for (const [route, use] of Object.entries(taken)) {
      await t.rejects(async () => { await use() }, { code: 'FST_SESSION_CLOSED' }, route)
    }
    t.equal(requests, 0, 'the server was asked nothing')
    const after = await store.openSession().query({ collection: '@all_docs' }).waitForNonStaleResults().all()
    t.equal(after.length, before, 'and nothing was written')
  }

  const ends = { 'a commit': 200, 'a rollback': 400, 'a failure of the handler': 500 }
  for (const [end, status] of Object.entries(ends)) {
    await t.test(`after ${end}`, async (t) => {
      const app = await documentsApp(t, provider)
      let taken: Record<string, () => unknown> = {}
      let over = barrier()
      app.addHook('onRequest', async (_request, reply) => {
        over = barrier()
        reply.raw.once('close', () => { setImmediate(over.open) })
      })
      app.get('/', async (request, reply) => {
        await request.documents.load('notes/1')
        taken = routesOfUse(request.documents)
        if (status === 500) throw new Error('failed')
        return reply.code(status).send('')
      })
      app.get('/wide', { config: { documents: { transactionMode: 'ClusterWide' } } }, async (request, reply) => {
        await request.documents.load('notes/1')
        taken = clusterRoutesOfUse(request.documents)
        return reply.code(status).send('')
      })
      t.equal((await app.inject('/')).statusCode, status)
      await over.opened
      await refusesAll(t, taken)
      await app.inject('/wide')
      await over.opened
      await refusesAll(t, taken)
      t.match(statsOf(app), { open: 0 })
    })
  }

  await t.test('after getDocuments()', async (t) => {
    const app = await documentsApp(t, provider)
    let taken: Record<string, () => unknown> = {}
    await app.getDocuments(null, async (session) => {
      await session.load('notes/1')
      taken = routesOfUse(session)
    })
    await refusesAll(t, taken)
  })

  await t.test('a handler that runs on after its client has left', async (t) => {
    const app = await documentsApp(t, provider)
    const loaded = barrier()
    const tried = barrier()
    app.get('/', async (request, reply) => {
      const session = request.documents
      const note = await session.load<Note>('notes/1')
      loaded.open()
      await once(reply.raw, 'close')
      if (note !== null) note.text = 'late'
      await t.rejects(session.saveChanges(), { code: 'FST_SESSION_CLOSED' })
      tried.open()
      return ''
    })
    const client = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
    await loaded.opened
    client.leave()
    await tried.opened
    t.match(await store.openSession().load('notes/1'), { text: 'note 1' })
  })

  await t.test('a stream that still runs when its client leaves ends without harm', async (t) => {
    const bulk = store.bulkInsert()
    for (let i = 0; i < 2000; i++) await bulk.store({ text: 'x'.repeat(500) }, `many/${i}`)
    await bulk.finish()
    const app = await documentsApp(t, provider)
    let read = 0
    const ended = barrier()
    app.get('/', async (request, reply) => {
      reply.hijack()
      const stream = await request.documents.advanced.stream<Note>('many/')
      reply.raw.write('some')
      await once(reply.raw, 'close')
      for await (const item of stream) read += Number(item !== undefined)
      ended.open()
    })
    const client = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
    await client.first
    client.leave()
    await ended.opened
    t.equal(read, 2000, 'what was asked for before the end is read to its end')
    t.match(statsOf(app), { open: 0 })
  })
})
