/**
 * The same routes on RavenDB, through the plugin or written by hand: the second argument says which. `/load` is a route
 * that only reads, and says so (`noTracking`). `/load-tracked` does not: the plugin then has the client look for
 * changes of what was loaded, which by hand one leaves out.
 */
import Fastify from 'fastify'
import requestSession, { ravenSessions } from 'fastify-request-session'
// Of the library's own development: it is no peer of the benchmarks.
import { DocumentStore } from 'ravendb'
import { fastifyListener, serve } from './serve.js'

const [way, url, database] = process.argv.slice(2)
const store = new DocumentStore(url, database).initialize()
const app = Fastify()

let saves = 0
const visit = () => ({ page: '/pizza', at: Date.now() })
// Of a thousand, so that the database does not grow while it is measured.
const nextId = () => `visits/${saves++ % 1000}`

if (way === 'plugin') {
  await app.register(requestSession, { name: 'documents', provider: ravenSessions(store) })

  const load = async (request) => {
    const note = await request.documents.load('notes/1')
    return { text: note.text }
  }
  app.get('/load', { config: { documents: { noTracking: true } } }, load)
  app.get('/load-tracked', load)

  app.get('/store', async (request) => {
    const id = nextId()
    await request.documents.store(visit(), id)
    return { id }
  })
} else {
  const load = async (options) => {
    const session = store.openSession(options)
    try {
      const note = await session.load('notes/1')
      return { text: note.text }
    } finally {
      session.dispose()
    }
  }
  app.get('/load', () => load({ noTracking: true }))
  app.get('/load-tracked', () => load())

  app.get('/store', async () => {
    const session = store.openSession()
    try {
      const id = nextId()
      await session.store(visit(), id)
      await session.saveChanges()
      return { id }
    } finally {
      session.dispose()
    }
  })
}

await serve(fastifyListener(app))
