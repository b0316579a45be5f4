import t from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { DocumentStore, type IDocumentSession } from 'ravendb'
import { ravenSessions, type PingResult } from '../../lib/index.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { createRavenDatabase } from '../support/servers/ravendb-database.js'
import { startRavenDB } from '../support/servers/ravendb.js'
import { withServer } from '../support/servers/require.js'

const total = 5000
const clients = 24
/** Milliseconds. */
const commitTimeout = 1000
const requestTimeout = 3000

type Kind = 'save' | 'save wide' | 'read' | 'refuse' | 'fail'

/** Kinds of requests, in turn: eleven saves, four of them cluster-wide, four reads, and five requests that roll back. */
const kinds: readonly Kind[] = [
  'save', 'read', 'save wide', 'refuse', 'save', 'save', 'read', 'fail', 'save wide', 'save',
  'refuse', 'save', 'read', 'save wide', 'fail', 'save', 'save wide', 'read', 'refuse', 'save',
]

/** The reply to one request, and the document that the request was to save. */
interface RecordedReply {
  readonly kind: Kind
  readonly id: string
  readonly status: number
  readonly code: string | undefined
}

function defineRoutes (app: FastifyInstance): void {
  const save = async (request: { documents: IDocumentSession, params: unknown }): Promise<string> => {
    const { id } = request.params as { id: string }
    await request.documents.store({ text: id } satisfies Note, id)
    return id
  }
  app.put('/save/:id', save)
  app.put('/save wide/:id', { config: { documents: { transactionMode: 'ClusterWide' } } }, save)
  app.put('/refuse/:id', async (request, reply) => {
    await save(request)
    return reply.code(422).send('no')
  })
  app.put('/fail/:id', async (request) => {
    await save(request)
    throw Object.assign(new Error('the handler fails'), { statusCode: 418 })
  })
  app.put('/read/:id', async (request) => ({ note: await request.documents.load<Note>('known') }))
}

t.test('a server that is killed and restarted, and stopped and continued, under 5,000 requests', async (t) => {
  const server = await withServer(t, startRavenDB)
  if (!server) return
  const database = await createRavenDatabase(server.url)
  t.teardown(() => database.store.dispose())
  const store = new DocumentStore(server.url, database.name)
  store.conventions.requestTimeout = requestTimeout
  store.initialize()
  t.teardown(() => store.dispose())
  const provider = ravenSessions(store, { commitTimeout })
  const killed: PingResult[] = []
  const stopped: PingResult[] = []
  const app = await documentsApp(t, provider)
  defineRoutes(app)
  // Not through the app: the first save of a new database may take longer than the deadline.
  const first = database.store.openSession()
  await first.store({ text: 'known' } satisfies Note, 'known')
  await first.saveChanges()

  const replies: RecordedReply[] = []
  const wrongReads: string[] = []
  const progress = { sent: 0, slowest: 0 }

  async function send (): Promise<LightMyRequestResponse> {
    const number = progress.sent++
    const kind = kinds[number % kinds.length] as Kind
    const id = `${kind} ${number}`
    const began = performance.now()
    const reply = await app.inject({ method: 'PUT', url: `/${encodeURIComponent(kind)}/${encodeURIComponent(id)}` })
    progress.slowest = Math.max(progress.slowest, performance.now() - began)
    const code = reply.statusCode === 503 ? reply.json<{ code: string }>().code : undefined
    replies.push({ kind, id, status: reply.statusCode, code })
    if (kind === 'read' && reply.statusCode === 200 && reply.json<{ note: Note | null }>().note?.text !== 'known') wrongReads.push(reply.body)
    return reply
  }

  async function client (): Promise<void> {
    while (progress.sent < total) {
      const { statusCode } = await send()
      // Waits as Retry-After asks, but for less time: without a wait all 5,000 requests would be sent while the server is away.
      if (statusCode === 503) await delay(100)
    }
  }

  /** Resolves when this many requests have been sent. */
  async function reached (count: number): Promise<void> {
    while (progress.sent < count) await delay(5)
  }

  async function trouble (): Promise<void> {
    await reached(total * 0.3)
    await server?.kill()
    killed.push(await provider.ping())
    await server?.restart()
    await reached(total * 0.6)
    server?.pause()
    stopped.push(await provider.ping({ timeout: 50 }))
    await delay(commitTimeout + 500)
    server?.resume()
  }

  const troubled = trouble()
  await Promise.all(Array.from({ length: clients }, client))
  await troubled

  await t.test('it recovers by itself', async (t) => {
    t.match(killed, [{ ok: false, problem: /ECONNREFUSED|fetch failed/ }])
    t.match(stopped, [{ ok: false, problem: 'no answer within 50 milliseconds' }])
    t.match(await provider.ping({ timeout: 20_000 }), { ok: true })
    t.match(await ravenSessions(store, { database: 'missing' }).ping({ timeout: 20_000 }), { ok: false, problem: /missing/ })
    t.match(await ravenSessions(new DocumentStore(server.url, undefined as never).initialize()).ping(), { ok: true, unchecked: 'each request has a database of its own' })
    for (let i = 0; i < kinds.length; i++) {
      const { statusCode } = await send()
      t.ok(statusCode !== 503 && statusCode !== 500, `${kinds[i]}: ${statusCode}`)
    }
  })

  const there = new Set<string>()
  for (let at = 0; at < replies.length; at += 500) {
    const session = store.openSession({ noTracking: true })
    const found = await session.load<Note>(replies.slice(at, at + 500).map(({ id }) => id))
    for (const [id, note] of Object.entries(found)) if (note !== null) there.add(id)
  }
  const of = (test: (reply: RecordedReply) => boolean): RecordedReply[] => replies.filter(test)
  const saves = (reply: RecordedReply): boolean => reply.kind === 'save' || reply.kind === 'save wide'

  t.same(of(({ status }) => ![200, 418, 422, 503].includes(status)), [], 'each failure is a 503, or the handler\'s own')
  t.same(of((reply) => saves(reply) && reply.status === 200 && !there.has(reply.id)), [], 'no false success: every 200\'s document is there')
  t.same(of(({ status, id }) => (status === 418 || status === 422) && there.has(id)), [], 'what was rolled back is not')
  t.same(of(({ code, id }) => code === 'FST_SESSION_DATABASE_UNAVAILABLE' && there.has(id)), [], 'nor is what was said not to be saved')
  t.same(wrongReads, [])

  const statusOf = (kind: Kind): number => of((reply) => reply.kind === kind && reply.status === 200).length
  t.ok(statusOf('save') > 500 && statusOf('save wide') > 300 && statusOf('read') > 300, 'each kind succeeded while the server was there')
  const { opened, open, committed, rolledBack, unknown } = statsOf(app)
  t.ok(unknown > 0, `${unknown} outcomes are unknown`)
  t.equal(of(({ code }) => code === 'FST_SESSION_OUTCOME_UNKNOWN').length, unknown, 'each of them is in a reply')
  t.same({ opened, open }, { opened: committed + rolledBack + unknown, open: 0 }, 'every session is settled and closed')
  const { slowest } = progress
  t.ok(slowest < commitTimeout + requestTimeout + 2000, `no request took longer than its deadlines: ${Math.round(slowest)} ms`)
  t.comment({ committed, rolledBack, unknown, slowest: Math.round(slowest), unavailable: of(({ code }) => code === 'FST_SESSION_DATABASE_UNAVAILABLE').length })
})
