import Fastify, { type FastifyInstance } from 'fastify'
import neo4j, { type Driver } from 'neo4j-driver'
import t, { type Test } from 'tap'
import requestSession, { getSession, getTransaction, neo4jSessions, neo4jTransactions, type Neo4jDriver, type Neo4jSessions, type Neo4jTransactions } from '../../lib/index.js'

/** A driver on a port where nothing listens: these tests never get as far as the network. */
function driverToNowhere (t: Test): Driver {
  const driver = neo4j.driver('bolt://127.0.0.1:1', undefined, { connectionTimeout: 1000 })
  t.teardown(() => driver.close())
  return driver
}

type Provider = Neo4jSessions<Driver> | Neo4jTransactions<Driver>
type Make = (driver: Neo4jDriver, config?: unknown) => Provider

async function boots (provider: Provider, config?: unknown): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(requestSession, { name: 'graph', provider })
  app.get('/people/:id', { config: { graph: config } as object }, async () => 'ok')
  await app.ready()
  return app
}

const wrongForBoth: Array<[config: unknown, says: RegExp]> = [
  [{ databse: 'people' }, /unknown option 'databse'; allowed: accessMode, defaultAccessMode, database/],
  [{ accessMode: 'read' }, /option accessMode must be 'READ' or 'WRITE'; got 'read'/],
  [{ defaultAccessMode: 'r' }, /option defaultAccessMode must be/],
  [{ accessMode: 'READ', defaultAccessMode: 'READ' }, /two names of one option/],
  [{ database: '' }, /option database must be a non-empty string; got an empty string/],
  [{ database: 7 }, /option database/],
  [{ impersonatedUser: '' }, /option impersonatedUser/],
  [{ fetchSize: 0 }, /option fetchSize must be a whole number of records from 1, or -1/],
  [{ fetchSize: 1.5 }, /option fetchSize/],
  [{ bookmarks: [''] }, /option bookmarks/],
  [{ bookmarks: 3 }, /option bookmarks/],
  [{ bookmarkManager: {} }, /option bookmarkManager/],
  [{ bookmarks: 'session', bookmarkManager: neo4j.bookmarkManager() }, /remove bookmarkManager/],
  [{ notificationFilter: { minimumSeverity: 'OFF' } }, /option notificationFilter/],
  [{ notificationFilter: { disabledCategories: [], disabledClassifications: [] } }, /option notificationFilter/],
  [{ auth: 'neo4j:secret' }, /option auth/],
  [{ auth: {} }, /option auth/],
  [{ disableAutoCommitRetries: 'yes' }, /option disableAutoCommitRetries/],
  ['people', /must be an object of options, or false/],
  [null, /must be an object of options, or false/],
]

const wrongForTransactions: Array<[config: unknown, says: RegExp]> = [
  [{ timeout: -1 }, /option timeout must be a whole number of milliseconds/],
  [{ timeout: '5s' }, /option timeout/],
  [{ timeout: -1n }, /option timeout/],
  [{ timeout: neo4j.int(-1) }, /option timeout/],
  [{ timeout: 2n ** 60n }, /option timeout/],
  [{ metadata: 'job' }, /option metadata/],
  [{ metadata: { then: () => {} } }, /option metadata/],
  [{ metadata: { list: [{ then: () => {} }] } }, /option metadata/],
  [{ metadata: JSON.parse('{"client":'.repeat(600) + '1' + '}'.repeat(600)) as object }, /option metadata/],
]

const rightForBoth = [
  undefined, false, {}, { accessMode: 'READ' }, { defaultAccessMode: 'WRITE' }, { database: 'people', fetchSize: -1 },
  { impersonatedUser: 'ada', bookmarks: 'FB:1', auth: neo4j.auth.basic('ada', 'secret') },
  { bookmarks: ['FB:1', 'FB:2'], bookmarkManager: neo4j.bookmarkManager(), notificationFilter: { minimumSeverityLevel: 'OFF' } },
  { bookmarks: 'session' }, { database: undefined, disableAutoCommitRetries: true }, { commit: 'onResponse', commitWhen: () => true },
]

for (const [name, make, wrong, right] of [
  ['neo4jSessions()', neo4jSessions as Make, [...wrongForBoth, [{ timeout: 5 }, /unknown option 'timeout'/]], rightForBoth],
  ['neo4jTransactions()', neo4jTransactions as Make, [...wrongForBoth, ...wrongForTransactions], [...rightForBoth, { timeout: 0, metadata: { a: 1 } }, { timeout: 5000n }, { timeout: neo4j.int(5000) }]],
] as const) {
  t.test(`${name}: a wrong route config stops the boot and names the route`, async (t) => {
    const provider = make(driverToNowhere(t))
    for (const [config, says] of wrong as typeof wrongForBoth) {
      await t.rejects(boots(provider, config), { code: 'FST_SESSION_OPTION', message: says })
      await t.rejects(boots(provider, config), { message: /config\.graph of GET \/people\/:id/ })
    }
  })

  t.test(`${name}: the allowed options of a route include the plugin's`, async (t) => {
    await t.rejects(boots(make(driverToNowhere(t)), { databse: 'people' }), { message: /allowed: accessMode, .*, commit, commitWhen$/ })
    t.throws(() => make(driverToNowhere(t), { databse: 'people' } as never), { message: /allowed: accessMode, (?!.*commit, )/ })
  })

  t.test(`${name}: a right route config boots, with the server away too`, async (t) => {
    const provider = make(driverToNowhere(t))
    for (const config of right) await t.resolves((await boots(provider, config)).close())
  })

  t.test(`${name}: a wrong config of the provider is refused at once`, async (t) => {
    const driver = driverToNowhere(t)
    for (const [config, says] of wrong as typeof wrongForBoth) {
      if (typeof config !== 'object' || config === null) continue
      t.throws(() => make(driver, config), { code: 'FST_SESSION_OPTION', message: says })
    }
    t.throws(() => make(driver, 'people' as never), { code: 'FST_SESSION_OPTION', message: `${name}: options must be an object; got a string of 6 characters` })
  })

  t.test(`${name}: what is no driver is refused at once`, async (t) => {
    for (const driver of [undefined, null, {}, 'bolt://127.0.0.1', driverToNowhere(t).session()]) {
      t.throws(() => make(driver as never as Neo4jDriver), { code: 'FST_SESSION_OPTION', message: /the first argument must be a driver of neo4j-driver/ })
    }
  })

  t.test(`${name}: a driver that was closed stops the boot`, async (t) => {
    for (const scheme of ['bolt', 'neo4j']) {
      const driver = neo4j.driver(`${scheme}://127.0.0.1:1`, undefined, { connectionTimeout: 1000 })
      await t.rejects(driver.verifyConnectivity(), { code: 'ServiceUnavailable' }, 'it was in use before')
      await driver.close()
      await t.rejects(boots(make(driver)), { code: 'FST_SESSION_OPTION', message: new RegExp(`^${name.replace(/\W/g, '\\$&')}: the driver cannot be used: .*closed`) })
    }
  })

  t.test(`${name}: a config that is made of the request is checked for each`, async (t) => {
    const driver = driverToNowhere(t)
    let config: unknown
    const provider = make(driver, () => config as object)
    const app = Fastify()
    await app.register(requestSession, { name: 'graph', provider })
    app.get('/tenant', async (request) => {
      await (request as unknown as { graph: unknown }).graph
      return 'ok'
    })
    for (const [wrong, says] of [
      [{ database: undefined }, /option database is undefined: omit it/],
      [{ tenant: 'a' }, /unknown option 'tenant'/],
      [undefined, /must be an object; got undefined/],
      [Promise.resolve(undefined), /must be an object; got undefined/],
      [Promise.resolve({ database: undefined }), /option database is undefined: omit it/],
      ...['', 'ab', 'a'.repeat(64), 'people!', '-people', 'people.', 'people-', '_people', 'system', 'System2', 'gru\u0308n', 'a b', 'a/b', 'a`b', 7, null]
        .map((database) => [{ database }, /option database must be a database name of 3 to 63 ASCII letters, digits, dots and dashes/] as const),
    ] as const) {
      config = wrong
      const reply = await app.inject('/tenant')
      t.equal(reply.statusCode, 500)
      const { code, message } = reply.json<{ code: string, message: string }>()
      t.equal(code, 'FST_SESSION_OPTION')
      t.match(message, says)
      t.match(message, 'GET /tenant')
    }
  })

  t.test(`${name}: a database that is chosen by a function, beside fixed options`, async (t) => {
    const driver = driverToNowhere(t)
    t.throws(() => make(driver, { database: () => 'people', fetchSize: 0 }), { code: 'FST_SESSION_OPTION', message: /option fetchSize/ }, 'those are checked at once')
    for (const [database, says] of [
      [() => undefined, /option database is undefined/],
      [async () => undefined, /option database is undefined/],
      [async () => 'x', /option database must be a database name/],
      [async () => { throw Object.assign(new Error('Unknown tenant'), { statusCode: 404 }) }, /Unknown tenant/],
    ] as const) {
      const app = Fastify()
      await app.register(requestSession, { name: 'graph', provider: make(driver, { database, fetchSize: 10 }) })
      app.get('/tenant', async (request) => { await (request as unknown as { graph: unknown }).graph })
      const reply = await app.inject('/tenant')
      t.equal(reply.statusCode, String(says).includes('tenant') ? 404 : 500)
      t.match(reply.json(), { message: says })
      t.match(app.sessionStats()['graph'], { open: 0 })
      await app.close()
    }
  })

  t.test(`${name}: outside of a request, a config that is made of one must be given`, async (t) => {
    const provider = make(driverToNowhere(t), () => ({ database: 'people' }))
    const never = async (): Promise<never> => t.fail('the callback was called') as never
    for (const call of [() => getSession(provider, null, never), () => getTransaction(provider, null, never)]) {
      await t.rejects(call(), { code: 'FST_SESSION_OPTION', message: /depends on a request, and there is none here/ })
    }
  })

  t.test(`${name}: a wrong call is refused before anything is opened`, async (t) => {
    const provider = make(driverToNowhere(t))
    const never = async (): Promise<never> => t.fail('the callback was called') as never
    await t.rejects(getSession(provider, null, never, { database: '' }), { code: 'FST_SESSION_OPTION', message: /^getSession\(\): option database/ })
    await t.rejects(getTransaction(provider, null, never, { timeout: -1 }), { code: 'FST_SESSION_OPTION', message: /^getTransaction\(\): option timeout/ })
    await t.rejects(getTransaction(provider, {} as never, never), { code: 'FST_SESSION_OPTION', message: /must be given a session, a transaction or null/ })
    const session = driverToNowhere(t).session()
    await t.rejects(getTransaction(provider, session, never, { database: 'people' }), { code: 'FST_SESSION_OPTION', message: /unknown option 'database'/ },
      'the given session has its database already')
  })
}
