import t from 'tap'
import { getSession, ravenSessions } from '../../lib/index.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

t.test('outcomes', async (t) => {
  let requests = 0
  const database = await ravenDatabaseForTest(t, (store) => { store.addSessionListener('beforeRequest', () => { requests++ }) })
  if (!database) return
  const { store } = database
  const provider = ravenSessions(store)

  async function exists (id: string): Promise<boolean> {
    return store.openSession().advanced.exists(id)
  }

  await t.test('a success is saved before the reply', async (t) => {
    const app = await documentsApp(t, provider)
    app.put('/:id', async (request) => {
      const { id } = request.params as { id: string }
      await request.documents.store({ text: 'kept' } satisfies Note, id)
      t.notOk(await exists(id), 'nothing is saved while the handler runs')
      return 'kept'
    })
    const reply = await app.inject({ method: 'PUT', url: '/saved' })
    t.equal(reply.statusCode, 200)
    t.ok(await exists('saved'))
  })

  await t.test('without tracking: a route that only reads saves nothing, one that prepares a save hears that it is not done', async (t) => {
    await getSession(provider, null, (session) => session.store({ text: 'read' } satisfies Note, 'read'))
    const app = await documentsApp(t, provider)
    const route = { config: { documents: { noTracking: true } } }
    let saves: (() => unknown[]) | undefined
    app.get('/read', route, async ({ documents }) => {
      saves = t.capture(documents, 'saveChanges')
      return documents.load('read')
    })
    app.get('/deferred', route, async ({ documents }) => { documents.advanced.patch('read', 'text', 'changed') })
    app.get('/revision', route, async ({ documents }) => { documents.advanced.revisions.forceRevisionCreationFor('read') })
    app.get('/counted', route, async ({ documents }) => { documents.countersFor('read').increment('likes') })
    app.get('/stored', route, async ({ documents }) => { await documents.store({ text: 'lost' } satisfies Note, 'read') })
    t.match((await app.inject('/read')).json(), { text: 'read' })
    t.same(saves?.(), [])
    for (const url of ['/deferred', '/revision', '/counted', '/stored']) {
      const reply = await app.inject(url)
      t.equal(reply.statusCode, 500, url)
      t.match(reply.json(), { message: /tracking is disabled/i }, url)
    }
    t.match(await store.openSession().load('read'), { text: 'read' })
  })

  await t.test('ids that the client makes are there in the handler', async (t) => {
    class Visit { page = '/' }
    store.conventions.registerEntityType(Visit)
    const app = await documentsApp(t, provider)
    app.post('/', async (request) => {
      const visit = new Visit()
      await request.documents.store(visit)
      return { id: request.documents.advanced.getDocumentId(visit) }
    })
    const { id } = (await app.inject({ method: 'POST', url: '/' })).json<{ id: string }>()
    t.match(id, /^visits\//)
    t.ok(await exists(id))
  })

  await t.test('a failure sends nothing', async (t) => {
    const app = await documentsApp(t, provider)
    app.get('/thrown', async (request) => {
      await request.documents.store({ text: 'lost' }, 'thrown')
      throw new Error('the handler failed')
    })
    app.get('/returned', async (request, reply) => {
      await request.documents.store({ text: 'lost' }, 'returned')
      return reply.code(422).send('no')
    })
    app.get('/refused', async (request) => {
      await request.documents.store({ text: 'lost' }, 'refused')
      request.documentsScope.rollbackOnly()
      return 'fine, and not kept'
    })
    await app.ready()
    requests = 0
    t.same((await app.inject('/thrown')).json(), { statusCode: 500, error: 'Internal Server Error', message: 'the handler failed' })
    t.equal((await app.inject('/returned')).statusCode, 422)
    t.equal((await app.inject('/refused')).statusCode, 200)
    t.equal(requests, 0, 'the server was not asked')
    for (const id of ['thrown', 'returned', 'refused']) t.notOk(await exists(id), id)
    t.match(statsOf(app), { kind: 'document', open: 0, rolledBack: 3, committed: 0 })
  })

  await t.test('a session that was not used costs no request', async (t) => {
    const app = await documentsApp(t, provider)
    app.get('/', async (request) => request.documents.advanced.hasChanges())
    await app.ready()
    requests = 0
    t.equal((await app.inject('/')).body, 'false')
    t.equal(requests, 0)
  })

  await t.test('a compare-exchange value is saved although hasChanges() knows nothing of it', async (t) => {
    const app = await documentsApp(t, provider)
    let changes: boolean | undefined
    app.put('/', { config: { documents: { transactionMode: 'ClusterWide' } } }, async (request) => {
      request.documents.advanced.clusterTransaction.createCompareExchangeValue('emails/ada@example.com', 'users/1')
      changes = request.documents.advanced.hasChanges()
      return 'kept'
    })
    t.equal((await app.inject({ method: 'PUT', url: '/' })).statusCode, 200)
    t.equal(changes, false, 'that is what the client says')
    const session = store.openSession({ transactionMode: 'ClusterWide' })
    const found = await session.advanced.clusterTransaction.getCompareExchangeValue<string>('emails/ada@example.com')
    t.equal(found?.value, 'users/1')
  })

  await t.test('scope.commit() saves at once, and what comes after is refused instead of lost', async (t) => {
    const app = await documentsApp(t, provider)
    app.get('/', async (request) => {
      await request.documents.store({ text: 'kept' }, 'early')
      await request.documentsScope.commit()
      t.ok(await exists('early'))
      t.match(await request.documents.load('early'), { text: 'kept' }, 'it can still be read')
      await t.rejects(request.documents.store({ text: 'lost' }, 'too-late'), { code: 'FST_SESSION_CLOSED' })
      return request.documentsScope.outcome
    })
    t.equal((await app.inject('/')).body, 'committed')
    t.notOk(await exists('too-late'))
  })

  await t.test('getDocuments() and getSession()', async (t) => {
    const app = await documentsApp(t, provider)
    await app.ready()
    type Call = typeof app.getDocuments
    const calls: Record<string, Call> = {
      'app.getDocuments()': app.getDocuments,
      'getSession()': (existing, callback, options) => getSession(provider, existing, callback, options),
    }
    for (const [name, call] of Object.entries(calls)) {
      const id = (what: string): string => `${name} ${what}`
      await t.test(name, async (t) => {
        for (const nothing of [null, undefined]) {
          const value = await call(nothing, async (session) => {
            await session.store({ text: 'kept' }, id(`${nothing} resolves`))
            return 7
          })
          t.equal(value, 7)
          t.ok(await exists(id(`${nothing} resolves`)))

          const own = new Error('its own')
          let late: (() => Promise<unknown>) | undefined
          await t.rejects(call(nothing, async (session) => {
            await session.store({ text: 'lost' }, id(`${nothing} rejects`))
            late = () => session.load('x')
            throw own
          }), own)
          t.notOk(await exists(id(`${nothing} rejects`)))
          await t.rejects(async () => late?.(), { code: 'FST_SESSION_CLOSED' }, 'closed')
        }

        const existing = store.openSession()
        await call(existing, (session) => session.store({ text: 'joined' }, id('joined')))
        t.notOk(await exists(id('joined')), 'a session that is there already is not committed')
        await existing.saveChanges()
        t.ok(await exists(id('joined')), 'nor closed')

        await call(null, async (outer) => {
          await outer.store({ text: 'outer' }, id('outer'))
          await call(outer, (inner) => {
            t.equal(inner, outer)
            return inner.store({ text: 'inner' }, id('inner'))
          })
          t.notOk(await exists(id('inner')))
        })
        t.ok(await exists(id('outer')) && await exists(id('inner')))

        await t.rejects(call(null, async (session) => {
          await session.store({ text: 'second' }, id('joined'), { changeVector: '' })
        }), { code: 'FST_SESSION_CONFLICT', name: 'ConcurrencyException' })

        const { name: other } = database
        t.match(await call(null, (session) => session.load(id('joined')), other), { text: 'joined' }, 'a database alone is an option')
        t.match(await call(null, (session) => session.load(id('joined')), { database: other, noTracking: true }), { text: 'joined' })
        t.equal(statsOf(app).open, 0)
      })
    }
  })
})
