import { inspect } from 'node:util'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { DocumentStore } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { createRavenDatabase } from '../support/servers/ravendb-database.js'
import { startRavenDB } from '../support/servers/ravendb.js'
import { withServer } from '../support/servers/require.js'

class Visit { page = '/' }

function defineRoutes (app: FastifyInstance): void {
  const wide = { documents: { transactionMode: 'ClusterWide' } } as const
  app.get('/read/load', async (request) => ({ note: await request.documents.load('notes/1') }))
  app.get('/read/query', async (request) => request.documents.query<Note>({ collection: 'Notes' }).all())
  app.get('/read/lazy', async (request) => ({ note: await request.documents.advanced.lazily.load<Note>('notes/1').getValue() }))
  app.get('/read/attachment', async (request) => ({ there: await request.documents.advanced.attachments.get('notes/1', 'picture') !== null }))
  app.get('/read/value', { config: wide }, async (request) => ({ value: await request.documents.advanced.clusterTransaction.getCompareExchangeValue('key') }))
  app.put('/save/:id', async (request) => {
    await request.documents.store({ text: 'saved' } satisfies Note, (request.params as { id: string }).id)
    return 'saved'
  })
  app.put('/save/wide/:id', { config: wide }, async (request) => {
    await request.documents.store({ text: 'saved' } satisfies Note, (request.params as { id: string }).id)
    return 'saved'
  })
  app.put('/save/by-hand/:id', async (request) => {
    await request.documents.store({ text: 'saved' } satisfies Note, (request.params as { id: string }).id)
    await request.documents.saveChanges()
    return 'saved'
  })
  app.post('/save/new', async (request) => {
    await request.documents.store(new Visit())
    return 'saved'
  })
  app.get('/loop', async (request) => {
    for (let i = 0; i <= 30; i++) await request.documents.load(`notes/${i}`)
    return 'all read'
  })
  app.put('/loop/:id', async (request) => {
    for (let i = 0; i < 30; i++) await request.documents.load(`notes/${i}`)
    await request.documents.store({ text: 'one too many' } satisfies Note, (request.params as { id: string }).id)
    return 'all read'
  })
}

t.test('failures', async (t) => {
  // A server of its own, since this test kills and stops it.
  const server = await withServer(t, startRavenDB)
  if (!server) return
  const { store, name: databaseName } = await createRavenDatabase(server.url, (store) => { store.conventions.registerEntityType(Visit) })
  t.teardown(() => store.dispose())

  const app = await documentsApp(t, ravenSessions(store))
  defineRoutes(app)
  const reads = ['/read/load', '/read/query', '/read/lazy', '/read/attachment', '/read/value']

  async function put (url: string, to = app) {
    return to.inject({ method: 'PUT', url })
  }

  async function exists (id: string): Promise<boolean> {
    return store.openSession().advanced.exists(id)
  }

  await t.test('the limit of requests in one session names the route', async (t) => {
    t.match((await app.inject('/loop')).json(), {
      statusCode: 500, code: 'FST_SESSION_REQUEST_LIMIT', message: /^GET \/loop sent more than 30 requests to the database in one session/,
    })
    t.match((await put('/loop/31st')).json(), {
      statusCode: 500, code: 'FST_SESSION_REQUEST_LIMIT', message: /^PUT \/loop\/:id sent more than 30 /,
    }, 'the commit is the 31st')
    t.notOk(await exists('31st'))
  })

  await t.test('a database that does not exist is named', async (t) => {
    const missing = new DocumentStore(server.url, 'nowhere').initialize()
    t.teardown(() => missing.dispose())
    const app = await documentsApp(t, ravenSessions(missing))
    app.get('/load', async (request) => ({ note: await request.documents.load('notes/1') }))
    app.put('/save', async (request) => {
      await request.documents.store({ text: 'lost' }, 'notes/1')
      return 'saved'
    })
    app.post('/new', async (request) => {
      await request.documents.store(new Visit())
      return 'saved'
    })
    for (const [method, url] of [['GET', '/load'], ['PUT', '/save'], ['POST', '/new']] as const) {
      t.match((await app.inject({ method, url })).json(), {
        statusCode: 500,
        code: 'FST_SESSION_DATABASE_MISSING',
        message: `The database 'nowhere', which ${method} ${url} uses, does not exist on the server. Create it, or correct its name in the options.`,
      })
    }
    t.match(statsOf(app), { unknown: 0, open: 0 })
  })

  await t.test('an error of the database that is not ours to name stays as it is', async (t) => {
    const app = await documentsApp(t, ravenSessions(store))
    let error: Error | undefined
    app.get('/', async (request) => {
      error = await request.documents.advanced.rawQuery('this is no query').all().then(() => undefined, (failure: Error) => failure)
      throw error ?? new Error('it passed')
    })
    t.equal((await app.inject('/')).statusCode, 500)
    t.match(error, { name: 'RavenException', code: undefined, message: /Expected FROM clause/ })
  })

  await t.test('a server that accepts and never answers: the commit has a deadline', async (t) => {
    const commitTimeout = 400
    const hasty = await documentsApp(t, ravenSessions(store, { commitTimeout }))
    const errors: Error[] = []
    hasty.addHook('onError', async (_request, _reply, error) => { errors.push(error) })
    defineRoutes(hasty)
    t.equal((await put('/save/before')).statusCode, 200)
    server.pause()
    t.teardown(() => server.resume())
    const began = performance.now()
    for (const url of ['/save/stopped', '/save/wide/stopped', '/save/by-hand/stopped']) {
      t.match((await put(url, hasty)).json(), {
        statusCode: 503,
        code: 'FST_SESSION_OUTCOME_UNKNOWN',
        message: 'It is unknown whether the changes were saved. Read the data before you try again.',
      }, url)
    }
    for (const error of errors) t.match(inspect(error), `the database '${databaseName}' did not answer`, 'the log says more')
    t.equal(errors.length, 3)
    const took = performance.now() - began
    t.ok(took >= 3 * commitTimeout && took < 3 * commitTimeout + 2000, `three deadlines in ${Math.round(took)} ms`)
    t.match(statsOf(hasty), { unknown: 2, open: 0 })
    server.resume()
    t.equal((await put('/save/resumed')).statusCode, 200, 'it recovers')
    t.ok(await exists('resumed'))
  })

  await t.test('a server that is killed under a save: the outcome is unknown', async (t) => {
    server.pause()
    const sending = new Promise<void>((resolve) => { store.getRequestExecutor().on('beforeRequest', () => { resolve() }) })
    const reply = put('/save/killed')
    await sending
    await new Promise((resolve) => { setImmediate(resolve) })
    await server.kill()
    t.match((await reply).json(), { statusCode: 503, code: 'FST_SESSION_OUTCOME_UNKNOWN', message: 'It is unknown whether the changes were saved. Read the data before you try again.' })
    t.match(statsOf(app), { unknown: 1, open: 0 })
  })

  await t.test('a server that is down', async (t) => {
    for (const url of reads) {
      const reply = await app.inject(url)
      t.match(reply.json(), {
        statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE', message: 'The database is unavailable. Try again in a moment.',
      }, url)
      t.equal(reply.headers['retry-after'], '1')
      t.notMatch(reply.json<{ message: string }>().message, new RegExp(`${databaseName}|127\\.0\\.0\\.1|http|ECONN`), 'the reply says nothing of the server')
    }
    for (const url of ['/save/down', '/save/wide/down', '/save/by-hand/down']) {
      t.match((await put(url)).json(), { statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE' }, `${url}: no connection, so that nothing can have been saved`)
    }
    const visits = await Promise.all(Array.from({ length: 40 }, () => app.inject({ method: 'POST', url: '/save/new' })))
    for (const visit of visits) t.match(visit.json(), { statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE' }, 'no range of ids')
    t.match(statsOf(app), { open: 0 })
    await server.restart()
    t.equal((await app.inject('/read/load')).statusCode, 200, 'it recovers by itself')
    t.equal((await app.inject({ method: 'POST', url: '/save/new' })).body, 'saved')
    t.notOk(await exists('down'))
    t.ok(await exists('before'), 'what was saved is still there')
  })
})
