import t, { type Test } from 'tap'
import type { DocumentStore, IDocumentSession } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import { barrier, type Barrier } from '../support/barrier.js'
import { documentsApp, statsOf, type Note } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

class Visit {
  page: string
  constructor (page: string) { this.page = page }
}

/** A store whose requests to some addresses wait. */
interface HeldStore {
  readonly store: DocumentStore
  /** The addresses that wait at the gate, which the test opens. */
  hold: RegExp | undefined
  gate: Barrier
  /** Opens once a request waits. */
  held: Barrier
}

async function heldStore (t: Test): Promise<HeldStore | undefined> {
  const requests: Omit<HeldStore, 'store'> = { hold: undefined, gate: barrier(), held: barrier() }
  const database = await ravenDatabaseForTest(t, ({ conventions }) => {
    conventions.registerEntityType(Visit)
    conventions.customFetch = (async (uri: string, init?: RequestInit) => {
      if (requests.hold?.test(uri) === true) {
        requests.held.open()
        await requests.gate.opened
      }
      // The client gives no dispatcher to a fetch of the app, but `null`.
      return fetch(uri, { ...init, dispatcher: undefined } as RequestInit)
    }) as typeof conventions.customFetch
  })
  return database === undefined ? undefined : Object.assign(requests, { store: database.store })
}

/**
 * The reply of a route whose handler uses its session and awaits nothing. The given requests to the server wait until
 * the handler has returned.
 */
async function replyTo (t: Test, held: HeldStore, hold: RegExp, use: (session: IDocumentSession) => void) {
  const app = await documentsApp(t, ravenSessions(held.store))
  const returned = barrier()
  // The last hook before that of the commit.
  app.addHook('preSerialization', async (_request, _reply, payload) => {
    setImmediate(returned.open)
    return payload
  })
  app.get('/', async (request) => {
    use(request.documents)
    return { ok: true }
  })
  Object.assign(held, { hold, gate: barrier(), held: barrier() })
  const replied = app.inject('/')
  await Promise.all([held.held.opened, returned.opened])
  held.hold = undefined
  held.gate.open()
  const reply = await replied
  t.match(statsOf(app), { open: 0 })
  return reply
}

/** Leaves a call without an await. */
function forget (_call: Promise<unknown>): void {}

t.test('the commit waits for calls of its session', async (t) => {
  const held = await heldStore(t)
  if (held === undefined) return
  const { store } = held

  async function load<T extends object> (id: string): Promise<T | null> {
    return store.openSession().load<T>(id)
  }

  await t.test('store() that asks the server for ids', async (t) => {
    const reply = await replyTo(t, held, /\/hilo\/next/, (session) => {
      for (const page of ['a', 'b', 'c']) forget(session.store(new Visit(page)))
    })
    t.equal(reply.statusCode, 200)
    const visits = await store.openSession().query<Visit>({ collection: 'Visits' }).waitForNonStaleResults().all()
    t.same(visits.map(({ page }) => page).sort(), ['a', 'b', 'c'])
  })

  await t.test('a change that follows from a load', async (t) => {
    const setUp = store.openSession()
    for (const id of ['notes/1', 'notes/2']) await setUp.store({ text: 'before' } satisfies Note, id)
    await setUp.saveChanges()
    const reply = await replyTo(t, held, /\/docs\?/, (session) => {
      const change = async (): Promise<void> => {
        const note = await session.load<Note>('notes/1')
        await session.store({ text: `of ${note?.text}` } satisfies Note, 'notes/3')
        const other = await session.load<Note>('notes/2')
        if (other !== null) other.text = 'after'
      }
      forget(change())
    })
    t.equal(reply.statusCode, 200)
    t.match(await load('notes/3'), { text: 'of before' })
    t.match(await load('notes/2'), { text: 'after' })
  })

  await t.test('a call that fails fails the reply', async (t) => {
    const reply = await replyTo(t, held, /\/queries/, (session) => {
      session.store(new Visit('lost'), 'visits/own').catch(() => {})
      session.advanced.rawQuery('from nothing where').all().catch(() => {})
    })
    t.equal(reply.statusCode, 500)
    t.equal(await load('visits/own'), null, 'nothing was saved')
  })

  await t.test('saves of the handler: no change is sent twice', async (t) => {
    const setUp = store.openSession()
    await setUp.store({ hits: 0 }, 'counts/1')
    await setUp.saveChanges()
    const once = await replyTo(t, held, /\/bulk_docs/, (session) => {
      session.countersFor('counts/1').increment('likes')
      session.advanced.increment('counts/1', 'hits', 1)
      forget(session.store({ text: 'new' } satisfies Note, 'notes/new', { changeVector: '' }))
      forget(session.saveChanges())
    })
    t.equal(once.statusCode, 200)
    t.match(await load('notes/new'), { text: 'new' })
    t.match(await load('counts/1'), { hits: 1 })
    t.equal(await store.openSession().countersFor('counts/1').get('likes'), 1)
    const twice = await replyTo(t, held, /\/bulk_docs/, (session) => {
      session.countersFor('counts/1').increment('likes')
      forget(session.saveChanges())
      forget(session.saveChanges())
    })
    t.equal(twice.statusCode, 200)
    t.equal(await store.openSession().countersFor('counts/1').get('likes'), 2)
  })

  await t.test('a save of the handler that fails is the reply\'s error', async (t) => {
    const reply = await replyTo(t, held, /\/bulk_docs/, (session) => {
      forget(session.store({ text: 'mine' } satisfies Note, 'notes/1', { changeVector: '' }))
      session.saveChanges().catch(() => {})
    })
    t.match(reply.json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT' })
  })

  await t.test('no longer than the deadline, and nothing is saved then', async (t) => {
    const hasty = await documentsApp(t, ravenSessions(store, { commitTimeout: 100 }))
    hasty.get('/', async ({ documents }) => {
      await documents.store({ text: 'lost' } satisfies Note, 'notes/lost')
      documents.load('notes/1').catch(() => {})
      return 'ok'
    })
    Object.assign(held, { hold: /\/docs\?/, gate: barrier(), held: barrier() })
    const { statusCode, headers } = await hasty.inject('/')
    held.hold = undefined
    held.gate.open()
    t.match({ statusCode, headers }, { statusCode: 503, headers: { 'retry-after': '1' } })
    t.equal(await load('notes/lost'), null)
    t.match(statsOf(hasty), { open: 0, unknown: 0, rolledBack: 1 })
  })

  await t.test('after such a failure no later save brings the work back', async (t) => {
    const hasty = await documentsApp(t, ravenSessions(store, { commitTimeout: 100 }))
    const late = barrier()
    let code: unknown
    hasty.addHook('onResponse', async ({ documents }) => {
      code = await documents.saveChanges().then(() => 'saved', (error: unknown) => (error as { code?: unknown }).code)
      late.open()
    })
    hasty.get('/', async ({ documents }) => {
      await documents.store({ text: 'lost' } satisfies Note, 'notes/back')
      documents.load('notes/1').catch(() => {})
      return 'ok'
    })
    Object.assign(held, { hold: /\/docs\?/, gate: barrier(), held: barrier() })
    t.equal((await hasty.inject('/')).statusCode, 503)
    held.hold = undefined
    held.gate.open()
    await late.opened
    t.equal(code, 'FST_SESSION_CLOSED')
    t.equal(await load('notes/back'), null)
  })
})
