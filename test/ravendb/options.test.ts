import t from 'tap'
import Fastify, { type FastifyRequest } from 'fastify'
import { DocumentStore, type OptimisticConcurrencyMode } from 'ravendb'
import requestSession, { getSession, ravenSessions, type RavenCallOptions, type RavenSessionOptions } from '../../lib/index.js'
import { documentsApp } from '../support/ravendb/app.js'

// Options are refused before anything is opened: no server is needed here.
const store = new DocumentStore('http://127.0.0.1:9', 'nobody').initialize()
t.teardown(() => store.dispose())

/** Lets a value through that the types refuse. */
function untyped<T = RavenSessionOptions<DocumentStore>> (value: unknown): T {
  return value as T
}

const refused: Array<[RavenSessionOptions<DocumentStore>, RegExp]> = [
  [untyped({ noTrackin: true }), /unknown option 'noTrackin'; allowed: database, /],
  [untyped({ transactionMode: 'clusterwide' }), /option transactionMode must be 'SingleNode' or 'ClusterWide'; got 'clusterwide'/],
  [untyped({ optimisticConcurrencyMode: true }), /option optimisticConcurrencyMode must be 'None' or 'Writes' or 'WritesAndReads'; got true/],
  [untyped({ shardedBatchBehavior: 'Any' }), /option shardedBatchBehavior must be .*; got 'Any'/],
  [untyped({ database: 7 }), /option database must be a database name of .*; got a number/],
  [{ database: '' }, /option database must be a database name of .*; got an empty string/],
  ...['../admin/x?', 'shop/../../admin/x#', '..', '.a', 'a.', 'a..b', 'a b', 'a%2Fb', 'a\\b', 'a$0', 'a\nb', 'x'.repeat(129)].map((database): [RavenSessionOptions<DocumentStore>, RegExp] =>
    [{ database }, /option database must be a database name of .*; got a string of \d+ character/]),
  [untyped({ noTracking: 'yes' }), /option noTracking must be true or false; got 'yes'/],
  [untyped({ noCaching: 1 }), /option noCaching must be true or false; got 1/],
  [untyped({ disableAtomicDocumentWritesInClusterWideTransaction: 'no' }), /option disableAtomic\w+ must be true or false; got 'no'/],
  [untyped({ requestExecutor: {} }), /option requestExecutor must be a RequestExecutor of RavenDB/],
  [{ commitTimeout: 0 }, /option commitTimeout must be a whole number of milliseconds from 1 /],
  [{ commitTimeout: 2.5 }, /option commitTimeout must be a whole number of milliseconds/],
  [untyped({ commitTimeout: '5s' }), /option commitTimeout must be a whole number of milliseconds/],
  [{ transactionMode: 'ClusterWide', optimisticConcurrencyMode: 'Writes' }, /optimisticConcurrencyMode 'Writes' contradicts transactionMode 'ClusterWide'/],
  [{ transactionMode: 'ClusterWide', optimisticConcurrencyMode: 'WritesAndReads' }, /'WritesAndReads' contradicts transactionMode 'ClusterWide'/],
  [{ transactionMode: 'ClusterWide', shardedBatchBehavior: 'Default' }, /shardedBatchBehavior 'Default' contradicts transactionMode 'ClusterWide'/],
  [{ noTracking: true, optimisticConcurrencyMode: 'Writes' }, /optimisticConcurrencyMode 'Writes' contradicts noTracking/],
]

const allowed: RavenCallOptions<DocumentStore>[] = [
  'people',
  'Shop_2.eu-west',
  'café',
  'x'.repeat(128),
  {},
  { database: 'people', noTracking: undefined },
  { transactionMode: 'ClusterWide', optimisticConcurrencyMode: 'None' },
  { transactionMode: 'SingleNode', optimisticConcurrencyMode: 'Writes', shardedBatchBehavior: 'TransactionalSingleBucketOnly' },
  { noTracking: true, optimisticConcurrencyMode: 'None', noCaching: true },
  { requestExecutor: store.getRequestExecutor('people'), commitTimeout: 1 },
]

function refusal (message: RegExp, where: string) {
  return { code: 'FST_SESSION_OPTION', name: 'FastifyError', message: new RegExp(`^${where}.*: .*${message.source}`) }
}

t.test('refused where the provider is made', async (t) => {
  for (const [options, message] of refused) t.throws(() => ravenSessions(store, options), refusal(message, 'ravenSessions\\(\\)'))
  for (const nothing of [undefined, null, {}, 'http://127.0.0.1:8080']) {
    t.throws(() => ravenSessions(untyped<DocumentStore>(nothing)), refusal(/first argument must be an initialised DocumentStore of RavenDB/, 'ravenSessions\\(\\)'))
  }
  for (const options of [7, [], '', null]) t.throws(() => ravenSessions(store, untyped(options)), { code: 'FST_SESSION_OPTION' })
})

t.test('refused when the app boots, with the route named', async (t) => {
  for (const [options, message] of refused) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { name: 'documents', provider: ravenSessions(store) })
    t.throws(() => app.get('/notes/:id', { config: { documents: options } }, async () => ''),
      refusal(message, 'config\\.documents of GET /notes/:id'))
  }
})

t.test("the allowed options of a route include the plugin's", async (t) => {
  const app = await documentsApp(t, ravenSessions(store))
  t.throws(() => app.get('/', { config: { documents: untyped({ noTrackin: true }) } }, async () => ''), { message: /allowed: database, .*, commit, commitWhen$/ })
  t.throws(() => ravenSessions(store, untyped({ noTrackin: true })), { message: /allowed: database, .*, commitTimeout$/ })
})

t.test('a contradiction of a route with its plugin is refused too', async (t) => {
  const app = await documentsApp(t, ravenSessions(store, { optimisticConcurrencyMode: 'Writes' }))
  t.throws(() => app.get('/read', { config: { documents: { noTracking: true } } }, async () => ''),
    refusal(/optimisticConcurrencyMode 'Writes' contradicts noTracking/, 'config\\.documents of GET /read'))
  t.throws(() => app.get('/wide', { config: { documents: { transactionMode: 'ClusterWide' } } }, async () => ''),
    refusal(/contradicts transactionMode 'ClusterWide'/, 'config\\.documents of GET /wide'))
  t.doesNotThrow(() => app.get('/good', { config: { documents: { noTracking: true, optimisticConcurrencyMode: 'None' } } }, async () => ''))
})

t.test('refused in a call', async (t) => {
  const app = await documentsApp(t, ravenSessions(store))
  for (const [options, message] of refused) {
    const never = async () => t.fail('the callback must not run')
    await t.rejects(app.getDocuments(null, never, options), refusal(message, 'app\\.getDocuments\\(\\)'))
    await t.rejects(getSession(ravenSessions(store), null, never, options), refusal(message, 'getSession\\(\\)'))
  }
})

t.test('refused on the request that a function of the request answers wrongly', async (t) => {
  let opened = 0
  const counting = new DocumentStore('http://127.0.0.1:9', 'nobody').initialize()
  t.teardown(() => counting.dispose())
  counting.on('sessionCreated', () => { opened++ })
  let answer: RavenCallOptions<DocumentStore> | undefined
  const app = await documentsApp(t, ravenSessions(counting, () => untyped<RavenCallOptions<DocumentStore>>(answer)))
  app.get('/notes', async (request) => request.documents.advanced.storeIdentifier)
  app.get('/notes/wide', { config: { documents: { transactionMode: 'ClusterWide' } } }, async (request) => request.documents.advanced.storeIdentifier)

  const wrong: typeof refused = [...refused, [untyped(7), /options must be an object; got a number/], [untyped(Promise.resolve({})), /must not be a promise/],
    [untyped(undefined), /must not be undefined/], [{ database: undefined }, /option database must be .*; got undefined/]]
  for (const [options, message] of wrong) {
    answer = options
    const reply = await app.inject('/notes')
    t.match(reply.json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: new RegExp(`GET /notes.*${message.source}`) }, show(options))
  }
  answer = { optimisticConcurrencyMode: 'Writes' }
  t.match((await app.inject('/notes/wide')).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /GET \/notes\/wide: .*contradicts/ })
  t.equal(opened, 0, 'nothing was opened')
  answer = {}
  t.match(await app.inject('/notes'), { statusCode: 200, body: 'http://127.0.0.1:9 DB: nobody;nobody' })
  t.equal(opened, 1)
})

t.test('a session without a database is refused', async (t) => {
  const none = new DocumentStore('http://127.0.0.1:9', '').initialize()
  t.teardown(() => none.dispose())
  const app = await documentsApp(t, ravenSessions(none))
  app.get('/', async (request) => request.documents.advanced.storeIdentifier)
  app.get('/people', { config: { documents: { database: 'people' } } }, async (request) => request.documents.advanced.storeIdentifier)
  t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /^GET \/: no database/ })
  t.equal((await app.inject('/people')).statusCode, 200)
})

t.test('allowed everywhere, and never written to', async (t) => {
  for (const options of allowed) {
    const before = show(options)
    const frozen = typeof options === 'string' ? options : Object.freeze(options)
    const app = await documentsApp(t, ravenSessions(store, frozen))
    if (typeof frozen !== 'string') app.get('/route', { config: { documents: frozen } }, async (request) => request.documents.advanced.storeIdentifier)
    app.get('/', async (request) => request.documents.advanced.storeIdentifier)
    t.equal((await app.inject('/')).statusCode, 200, before)
    await t.resolves(app.getDocuments(null, async () => {}, frozen), before)
    t.equal(show(options), before)
  }
})

t.test('the request\'s options go over the plugin\'s, and the route\'s over both', async (t) => {
  const tenantOf = (request: FastifyRequest): RavenCallOptions<DocumentStore> => {
    const { tenant } = request.query as { tenant?: string }
    return tenant ?? {}
  }
  const app = await documentsApp(t, ravenSessions(store, tenantOf))
  app.get('/', async (request) => request.documents.advanced.storeIdentifier)
  app.get('/admin', { config: { documents: { database: 'admin' } } }, async (request) => request.documents.advanced.storeIdentifier)
  t.equal((await app.inject('/')).body, 'http://127.0.0.1:9 DB: nobody;nobody')
  t.equal((await app.inject('/?tenant=acme')).body, 'http://127.0.0.1:9 DB: nobody;acme')
  t.equal((await app.inject('/admin?tenant=acme')).body, 'http://127.0.0.1:9 DB: nobody;admin')
  t.equal(await app.getDocuments(null, (session) => session.advanced.storeIdentifier, 'job'), 'http://127.0.0.1:9 DB: nobody;job',
    'outside of a request there is no request to ask')
})

t.test('a client without optimisticConcurrencyMode, before 7.2', async (t) => {
  const old = new DocumentStore('http://127.0.0.1:9', 'nobody').initialize()
  t.teardown(() => old.dispose())
  const added: { optimisticConcurrencyMode?: OptimisticConcurrencyMode } = {}
  const conventions = new Proxy(old.conventions, {
    getPrototypeOf: () => Object.prototype,
    get: (target, name) => Reflect.get(name === 'optimisticConcurrencyMode' ? added : target, name),
  })
  Object.defineProperty(old, 'conventions', { value: conventions })

  const wrong: RavenSessionOptions<DocumentStore> = { optimisticConcurrencyMode: 'WritesAndReads' }
  const needs = /'WritesAndReads' needs the package ravendb 7\.2 or later/
  t.throws(() => ravenSessions(old, wrong), refusal(needs, 'ravenSessions\\(\\)'))
  const app = await documentsApp(t, ravenSessions(old))
  t.throws(() => app.get('/wrong', { config: { documents: wrong } }, async () => ''), refusal(needs, 'config\\.documents of GET /wrong'))
  await t.rejects(app.getDocuments(null, async () => {}, wrong), refusal(needs, 'app\\.getDocuments\\(\\)'))

  // Its sessions take the option in silence.
  const openSession = old.openSession.bind(old)
  old.openSession = ((options: object) => openSession({ ...options, optimisticConcurrencyMode: 'None' })) as typeof old.openSession
  const using = (options: RavenCallOptions<DocumentStore>) => app.getDocuments(null, ({ advanced }) => advanced.useOptimisticConcurrency, options)
  t.equal(await using({ optimisticConcurrencyMode: 'Writes' }), true)
  t.equal(await using({ optimisticConcurrencyMode: 'None' }), false)
  t.equal(await using({ transactionMode: 'ClusterWide' }), false)

  added.optimisticConcurrencyMode = 'Writes'
  t.equal(await app.getDocuments(null, ({ advanced }) => advanced.useOptimisticConcurrency, { noCaching: true }), true, 'a convention that it does not know')
  added.optimisticConcurrencyMode = 'WritesAndReads'
  t.throws(() => ravenSessions(old), refusal(needs, 'ravenSessions\\(\\)'))
})

function show (options: unknown): string {
  return JSON.stringify(options, (key, value: unknown) => key === 'requestExecutor' ? 'an executor' : value)
}
