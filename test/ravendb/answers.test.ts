import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { DocumentStore } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { documentsApp, type Note } from '../support/ravendb/app.js'
import { createRavenDatabase } from '../support/servers/ravendb-database.js'
import { openRavenDB } from '../support/servers/ravendb.js'
import { withServer } from '../support/servers/require.js'

/** A store on a server of the test, which answers in ways that a real one can't be made to. */
async function storeOn (t: Test, listener: RequestListener): Promise<DocumentStore> {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/cluster/') === true) response.end(JSON.stringify({ NodeTag: 'A', ServerRole: 'Member' }))
    else listener(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const store = new DocumentStore(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'any')
  store.conventions.disableTopologyUpdates = true
  store.initialize()
  t.teardown(() => { store.dispose() })
  return store
}

const json = { 'content-type': 'application/json' }

t.test('an answer that is cut off is no answer', async (t) => {
  const store = await storeOn(t, (_request, response) => {
    response.writeHead(200, { ...json, 'content-length': 100 })
    response.write('{"Results":[', () => { response.destroy() })
  })
  const app = await documentsApp(t, ravenSessions(store))
  app.get('/', async (request) => ({ note: await request.documents.load('notes/1') }))
  app.put('/', async (request) => {
    await request.documents.store({ text: 'lost?' }, 'notes/1')
    return 'saved'
  })
  app.get('/attachment', async (request, reply) => {
    const attachment = await request.documents.advanced.attachments.get('notes/1', 'picture')
    await t.rejects(buffer(attachment!.data), /terminated|aborted|closed/, 'whoever reads it hears of it')
    return reply.code(502).send()
  })
  t.match((await app.inject('/')).json(), { statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE' })
  t.match((await app.inject({ method: 'PUT', url: '/' })).json(), { statusCode: 503, code: 'FST_SESSION_OUTCOME_UNKNOWN' })
  t.equal((await app.inject('/attachment')).statusCode, 502)
})

t.test('an answer that is not read to its end lets go of its connection', async (t) => {
  const left = barrier()
  const store = await storeOn(t, (_request, response) => {
    response.writeHead(200)
    response.write('the beginning')
    response.once('close', () => { left.open() })
  })
  const app = await documentsApp(t, ravenSessions(store))
  app.get('/', async (request) => {
    const attachment = await request.documents.advanced.attachments.get('notes/1', 'picture')
    attachment!.data.destroy()
    await left.opened
    return 'left'
  })
  t.equal((await app.inject('/')).body, 'left')
})

t.test('an answer that nobody looks at lets go of its connection', async (t) => {
  const ended = barrier()
  const store = await storeOn(t, (request, response) => {
    request.socket.once('close', () => { ended.open() })
    response.writeHead(404, json)
    // The body comes in parts, some of them after the headers.
    response.write(' '.repeat(10_000), () => { response.end(JSON.stringify({ Message: 'no such document' })) })
  })
  const app = await documentsApp(t, ravenSessions(store))
  app.get('/', async (request) => {
    const note = await request.documents.load<Note>('notes/1')
    await ended.opened
    return { note }
  })
  t.strictSame((await app.inject('/')).json(), { note: null })
})

t.test('large answers come whole', async (t) => {
  const server = await withServer(t, openRavenDB)
  if (!server) return
  const { store, drop } = await createRavenDatabase(server.url)
  t.teardown(drop)
  const app = await documentsApp(t, ravenSessions(store))
  const text = 'long '.repeat(200_000)
  const picture = Buffer.alloc(3_000_000, 'picture')
  app.put('/', async (request) => {
    await request.documents.store({ text } satisfies Note, 'notes/1')
    request.documents.advanced.attachments.store('notes/1', 'picture', picture, 'image/png')
    return 'stored'
  })
  app.get('/', async (request) => request.documents.load<Note>('notes/1'))
  app.get('/attachment', async (request, reply) => {
    const attachment = await request.documents.advanced.attachments.get('notes/1', 'picture')
    return reply.send(attachment!.data)
  })
  t.equal((await app.inject({ method: 'PUT', url: '/' })).body, 'stored')
  t.ok((await app.inject('/')).json<Note>().text === text)
  t.ok((await app.inject('/attachment')).rawPayload.equals(picture), 'through the reply, after the commit')
})
