/**
 * Notes that two people write at once, in RavenDB. Nobody's work is overwritten unseen: who saves over a version that
 * they have not seen gets it beside their own, and decides.
 */
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import requestSession, { errors, getSession, ravenSessions, type RavenProvider } from 'fastify-request-session'
import type { DocumentStore } from 'ravendb'
import type { Example } from '../shared/example.js'
import { health } from '../shared/health.js'
import { underTheHood } from '../shared/hood/under-the-hood.js'
import { watchDocuments } from '../shared/hood/watch-documents.js'
import { logger } from '../shared/logger.js'
import { pages } from '../shared/pages.js'
import { openDatabase } from './database.js'
import { allAuthors, allNotes, changeNote, EmailTakenError, findNote, noteView, signUp, writeNote, type Author } from './notes.js'

declare module 'fastify-request-session' { interface Registered { documents: RavenProvider<DocumentStore> } }

const title = { type: 'string', minLength: 1, maxLength: 80, pattern: '\\S' }
const text = { type: 'string', maxLength: 10_000 }
const id = { type: 'string', format: 'uuid' }
const author = { type: 'string', pattern: '^authors/[0-9a-f-]{36}$' }
const version = { type: 'string', minLength: 1, maxLength: 500 }
const name = { type: 'string', minLength: 1, maxLength: 40, pattern: '\\S' }
const email = { type: 'string', format: 'email', maxLength: 120 }

const clusterWide = { documents: { transactionMode: 'ClusterWide' } } as const

export async function buildApp (store: DocumentStore, options: { logger?: FastifyServerOptions['logger'] } = {}): Promise<FastifyInstance> {
  const app = Fastify({
    logger: options.logger ?? false,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // JSON is what no form of another site can send.
  app.removeContentTypeParser('text/plain')

  underTheHood(app, import.meta.url, new URL('notes.ts', import.meta.url))
  watchDocuments(store)
  await app.register(requestSession, { name: 'documents', provider: ravenSessions(store) })
  await app.register(pages, { folder: new URL('public/', import.meta.url) })
  await app.register(health)

  app.get('/api/authors', async (request) => allAuthors(request.documents))

  app.get('/api/notes', async (request) => allNotes(request.documents))

  app.get<{ Params: { id: string } }>('/api/notes/:id', { schema: { params: objectOf({ id }) } }, async ({ documents, params }) =>
    noteView(documents, await findNote(documents, params.id)))

  app.post<{ Body: { title: string, author: string } }>('/api/notes', {
    schema: { body: objectOf({ title, author }) },
  }, async ({ body, documents, documentsScope }, reply) => {
    const note = await writeNote(documents, body.title, '', body.author)
    await documentsScope.commit()
    reply.code(201)
    return noteView(documents, note)
  })

  app.put<{ Params: { id: string }, Body: { title: string, text: string, author: string, version: string } }>('/api/notes/:id', {
    schema: { params: objectOf({ id }), body: objectOf({ title, text, author, version }) },
    async errorHandler (error, request, reply) {
      if (!(error instanceof errors.DocumentConflictError)) throw error
      // The request's own session is over, and has not seen what is stored now.
      const theirs = await app.getDocuments(null, async (session) => noteView(session, await findNote(session, request.params.id)))
      return reply.code(409).send({ statusCode: 409, code: error.code, message: error.message, theirs })
    },
  }, async ({ params, body, documents, documentsScope }) => {
    const note = await findNote(documents, params.id)
    const { version, ...change } = body
    await changeNote(documents, note, change, version)
    // It would be saved after this anyway; the page wants to know the new version's name.
    await documentsScope.commit()
    return noteView(documents, note)
  })

  app.post<{ Body: Author }>('/api/authors', {
    schema: { body: objectOf({ name, email }) },
    config: clusterWide,
    errorHandler (error, request) {
      throw error instanceof errors.DocumentConflictError ? new EmailTakenError(request.body.email.toLowerCase()) : error
    },
  }, async ({ body, documents }, reply) => {
    reply.code(201)
    return signUp(documents, { name: body.name.trim(), email: body.email.toLowerCase() })
  })

  return app
}

/** Two authors and a note, where there are none yet. */
export async function prepare (store: DocumentStore): Promise<void> {
  const documents = ravenSessions(store)
  if ((await getSession(documents, null, allNotes)).length > 0) return
  const [ada, bea] = [{ name: 'Ada', email: 'ada@example.com' }, { name: 'Bea', email: 'bea@example.com' }]
  const known = await getSession(documents, null, allAuthors)
  for (const author of [ada, bea].filter(({ email }) => !known.some((one) => one.email === email))) {
    await getSession(documents, null, (session) => signUp(session, author), { transactionMode: 'ClusterWide' })
  }
  const [first] = await getSession(documents, null, allAuthors)
  await getSession(documents, null, async (session) => {
    await writeNote(session, 'The garden party', [
      'Saturday at six, behind the library.', '', 'Bring: a chair, a plate, a song.', 'Ada brings the lanterns.', 'Bea asks the neighbours.',
    ].join('\n'), first?.id ?? '')
  })
}

function objectOf (properties: Record<string, object>): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** On the RavenDB of `RAVENDB_URL`, else on one that is started here if it is on this machine. */
export async function start (): Promise<Example> {
  const { store, place, close } = await openDatabase(process.env['RAVENDB_URL'])
  await prepare(store)
  const app = await buildApp(store, { logger })
  app.addHook('onClose', close)
  return {
    app,
    store: place,
    tries: (url) => [
      'Press "Try it": both panes save what they changed in the same note, and one is shown what the other wrote.',
      'Open "Under the hood": the versions, and the 409.',
      `In a terminal: curl ${url}/api/authors --json '{"name":"Eve","email":"ada@example.com"}' (the address is taken in the whole cluster; the drawer shows it at once).`,
    ],
  }
}
