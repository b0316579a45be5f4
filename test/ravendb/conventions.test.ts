import t, { type Test } from 'tap'
import type { DocumentStore, IDocumentSession } from 'ravendb'
import { getSession, ravenSessions, type RavenProvider, type RavenSessionOptions } from '../../lib/index.js'
import { documentsApp, type Note } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

type Using = <R>(use: (session: IDocumentSession) => Promise<R>) => Promise<R>

/** Every way to open a session with the same options: each runs a callback in its session. */
function forms (t: Test, store: DocumentStore, options: RavenSessionOptions<DocumentStore>): Record<string, Using> {
  const inRequest = (provider: RavenProvider<DocumentStore>, config?: RavenSessionOptions<DocumentStore>): Using => async (use) => {
    const app = await documentsApp(t, provider)
    let result: { value: Awaited<ReturnType<typeof use>> } | undefined
    app.get('/', config === undefined ? {} : { config: { documents: config } }, async (request) => {
      result = { value: await use(request.documents) }
      return ''
    })
    const { statusCode, body } = await app.inject('/')
    if (statusCode !== 200 || result === undefined) throw new Error(body)
    return result.value
  }
  const named = { ...options, database: store.database }
  return {
    'options of the plugin': inRequest(ravenSessions(store, options)),
    'options of the plugin, with a database': inRequest(ravenSessions(store, named)),
    'a database of the plugin, options of the route': inRequest(ravenSessions(store, store.database), options),
    'options of the route': inRequest(ravenSessions(store), named),
    'a function that gives options': inRequest(ravenSessions(store, () => named)),
    'a function that gives a database, options of the route': inRequest(ravenSessions(store, () => store.database), options),
    'options of a call': (use) => getSession(ravenSessions(store), null, use, options),
  }
}

t.test('a convention of not writing atomic guards', async (t) => {
  const sent: string[] = []
  const database = await ravenDatabaseForTest(t, (store) => {
    store.conventions.disableAtomicDocumentWritesInClusterWideTransaction = true
    store.addSessionListener('beforeRequest', ({ url }) => { if (url.includes('/bulk_docs')) sent.push(url) })
  })
  if (!database) return
  const { store } = database
  let saves = 0

  async function guardOf (id: string): Promise<unknown> {
    const session = store.openSession({ transactionMode: 'ClusterWide', noTracking: true })
    const values = await session.advanced.clusterTransaction.getCompareExchangeValues<string>(`rvn-atomic/${id}`).catch((error: Error) => error)
    return values instanceof Error ? values.message : Object.keys(values)[0]
  }

  for (const [form, using] of Object.entries(forms(t, store, { transactionMode: 'ClusterWide' }))) {
    await t.test(`is kept in ${form}`, async (t) => {
      const id = `saves/${++saves}`
      sent.length = 0
      await using((session) => session.store({ text: form } satisfies Note, id))
      t.match(sent, [/disableAtomicDocumentWrites=true/])
      t.equal(await guardOf(id), undefined, 'no guard was written')
    })
  }
  for (const [form, using] of Object.entries(forms(t, store, { transactionMode: 'ClusterWide', disableAtomicDocumentWritesInClusterWideTransaction: false }))) {
    await t.test(`gives way in ${form}`, async (t) => {
      const id = `saves/${++saves}`
      sent.length = 0
      await using((session) => session.store({ text: form } satisfies Note, id))
      t.match(sent, [/disableAtomicDocumentWrites=false/])
      t.match(await guardOf(id), /rvn-atomic/, 'the guard is there')
    })
  }
})

t.test('a convention of optimistic concurrency', async (t) => {
  const database = await ravenDatabaseForTest(t, (store) => {
    store.conventions.optimisticConcurrencyMode = 'Writes'
    store.conventions.maxNumberOfRequestsPerSession = 7
  })
  if (!database) return
  const { store } = database

  await t.test('does not reach cluster-wide sessions, whose saves it would break', async (t) => {
    for (const [form, using] of Object.entries(forms(t, store, { transactionMode: 'ClusterWide' }))) {
      await using((session) => session.store({ text: form } satisfies Note, `wide/${form}`))
      t.match(await store.openSession().load(`wide/${form}`), { text: form }, form)
    }
  })

  await t.test('reaches the others, as the limit of requests does', async (t) => {
    for (const [form, using] of Object.entries(forms(t, store, {}))) {
      const { advanced } = await using(async (session) => ({ advanced: pick(session) }))
      t.same(advanced, { optimisticConcurrencyMode: 'Writes', maxNumberOfRequestsPerSession: 7 }, form)
    }
    const { optimisticConcurrencyMode } = await getSession(ravenSessions(store, { optimisticConcurrencyMode: 'None' }), null, pick)
    t.equal(optimisticConcurrencyMode, 'None', 'an option goes over it')
  })
})

function pick ({ advanced: { optimisticConcurrencyMode, maxNumberOfRequestsPerSession } }: IDocumentSession) {
  return { optimisticConcurrencyMode, maxNumberOfRequestsPerSession }
}
