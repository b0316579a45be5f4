import type { Driver } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { graphApp, scopeOf, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest, openTransactions, query } from '../../support/neo4j/driver.js'
import { proxyForTest } from '../../support/neo4j/proxy.js'

const create = 'CREATE (:Kept {key: $key})'

/** The reply when the database refuses, the pool is full, or the connection is lost. The next request works. */
export async function errors (t: Test, url: string, observer: Driver): Promise<void> {
  await t.test('a database that does not exist', async (t) => {
    const driver = driverForTest(t, url)
    const sessions = await graphApp(t, neo4jSessions(driver, { database: 'nowhere' }))
    sessions.app.get('/', (request) => sessionOf(request).run('RETURN 1'))
    t.match((await sessions.app.inject('/')).json(), { statusCode: 500, code: 'Neo.ClientError.Database.DatabaseNotFound' })

    const { app, logged } = await graphApp(t, neo4jTransactions(driver, { database: 'nowhere' }))
    app.get('/awaited', async (request) => { await transactionOf(request) })
    app.get('/at-once', async (request) => { await transactionOf(request).run('RETURN 1') })
    app.get('/unused', async (request) => {
      transactionOf(request).isOpen()
      return 'ok'
    })
    const reply = await app.inject('/awaited')
    t.match(reply.json(), { statusCode: 500, code: 'FST_SESSION_DATABASE_MISSING', message: /^The database 'nowhere', which GET \/awaited uses, does not exist on the server/ })
    t.notOk(reply.headers['retry-after'], 'to send it again would not help')
    t.match((await app.inject('/at-once')).json(), { statusCode: 500, code: 'Neo.ClientError.Database.DatabaseNotFound' }, 'the error of a query is the app\'s own')
    t.match((await app.inject('/unused')).json(), { statusCode: 500, code: 'FST_SESSION_DATABASE_MISSING' }, 'no success without the transaction')
    t.equal(logged.filter(({ level }) => level >= 50).length, 3, 'each is logged once')
    await t.rejects(app.getGraph(null, () => t.fail('the callback ran')),
      { code: 'FST_SESSION_DATABASE_MISSING', cause: { code: 'Neo.ClientError.Database.DatabaseNotFound' } })
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a full pool', async (t) => {
    const driver = driverForTest(t, url, { maxConnectionPoolSize: 1, connectionAcquisitionTimeout: 2000 })
    const transactions = await graphApp(t, neo4jTransactions(driver))
    transactions.app.get('/', async (request) => {
      await (await transactionOf(request)).run(create, { key: 'full pool' })
      return 'ok'
    })
    const sessions = await graphApp(t, neo4jSessions(driver))
    sessions.app.get('/', async (request) => {
      await sessionOf(request).run('RETURN 1')
      return 'ok'
    })
    const holder = driver.session()
    await holder.beginTransaction()
    const reply = await transactions.app.inject('/')
    t.match(reply.json(), { statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE', message: 'The database is unavailable. Try again in a moment.' })
    t.equal(reply.headers['retry-after'], '1')
    t.equal((await sessions.app.inject('/')).statusCode, 503)
    await holder.close()
    t.equal((await transactions.app.inject('/')).statusCode, 200, 'the next request works')
    t.equal((await sessions.app.inject('/')).statusCode, 200, 'the next request works')
    t.equal(await count(observer, 'full pool'), 1)
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a deadlock: one of the two gets 503, to be sent again', async (t) => {
    const driver = driverForTest(t, url)
    await query(observer, 'UNWIND ["a", "b"] AS key CREATE (:Kept {key: key, locked: 0})')
    const { app } = await graphApp(t, neo4jTransactions(driver))
    const both = [barrier(), barrier()]
    const lock = 'MATCH (n:Kept {key: $key}) SET n.locked = n.locked + 1'
    app.get('/:order', async (request) => {
      const [first, second] = (request.params as { order: string }).order as unknown as [string, string]
      await transactionOf(request).run(lock, { key: first })
      both[first === 'a' ? 0 : 1]?.open()
      await Promise.all(both.map(({ opened }) => opened))
      await transactionOf(request).run(lock, { key: second })
      return 'ok'
    })
    const replies = await Promise.all([app.inject('/ab'), app.inject('/ba')])
    t.strictSame(replies.map(({ statusCode }) => statusCode).sort(), [200, 503])
    const refused = replies.find(({ statusCode }) => statusCode === 503)
    t.match(refused?.json(), { code: 'Neo.TransientError.Transaction.DeadlockDetected' }, 'the error is the driver\'s, unchanged')
    t.equal(refused?.headers['retry-after'], '1')
    const rows = await query(observer, 'MATCH (n:Kept) WHERE n.locked IS NOT NULL RETURN n.locked AS locked')
    t.strictSame(rows, [{ locked: 1 }, { locked: 1 }], 'nothing of the other was kept')
    t.equal((await app.inject('/ab')).statusCode, 200, 'sent again, it works')
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('the app\'s own status and error handler come first', async (t) => {
    const driver = driverForTest(t, url, { maxConnectionPoolSize: 1, connectionAcquisitionTimeout: 2000 })
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request, reply) => {
      reply.code(418)
      await transactionOf(request).run('RETURN 1')
    })
    const holder = driver.session()
    await holder.beginTransaction()
    t.equal((await app.inject('/')).statusCode, 418)
    await holder.close()
  })

  await t.test('a commit that the server refuses', async (t) => {
    const driver = driverForTest(t, url)
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/terminated', async (request) => {
      await transactionOf(request).run(create, { key: 'terminated' })
      for (const { transactionId } of await openTransactions(observer)) await query(observer, 'TERMINATE TRANSACTION $transactionId', { transactionId })
      return 'ok'
    })
    app.get('/swallowed', async (request) => {
      await transactionOf(request).run(create, { key: 'swallowed' })
      await transactionOf(request).run('RETURN 1 / 0').then(undefined, () => {})
      return 'ok'
    })
    t.match((await app.inject('/terminated')).json(), { statusCode: 500, code: 'FST_SESSION_COMMIT', message: 'The changes were not saved.' })
    t.match((await app.inject('/swallowed')).json(), { statusCode: 500, code: 'FST_SESSION_COMMIT', message: 'The changes were not saved.' })
    t.equal(await count(observer, 'terminated') + await count(observer, 'swallowed'), 0)
    await t.rejects(app.getGraph(null, (transaction) => transaction.run('RETURN 1 / 0').then(undefined, () => {})),
      { code: 'FST_SESSION_COMMIT', cause: { name: 'Neo4jError' } })
    await assertNothingOpen(t, driver, observer)
  })

  for (const [what, kept] of [['message', 0], ['answer', 1]] as const) {
    await t.test(`a commit whose ${what} is lost has an unknown outcome`, async (t) => {
      const proxy = await proxyForTest(t, url)
      const driver = driverForTest(t, proxy.url)
      const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver))
      const key = `lost ${what}`
      app.get('/', async (request) => {
        await transactionOf(request).run(create, { key })
        if (what === 'message') proxy.loseNextMessage()
        else proxy.loseNextAnswer()
        return 'ok'
      })
      const reply = await app.inject('/')
      t.match(reply.json(), { statusCode: 503, code: 'FST_SESSION_OUTCOME_UNKNOWN', message: 'It is unknown whether the changes were saved. Read the data before you try again.' })
      t.notOk(reply.headers['retry-after'], 'nothing says that it may be sent again')
      await allClosed()
      t.match(stats(), { committed: 0, rolledBack: 0, unknown: 1 })
      while ((await openTransactions(observer)).length > 0);
      t.equal(await count(observer, key), kept)
      t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 503)
    })
  }

  await t.test('a commit of the handler\'s own without an answer, and then its failure: the reply comes, and the outcome is unknown', async (t) => {
    const proxy = await proxyForTest(t, url)
    const driver = driverForTest(t, proxy.url)
    const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver))
    const followed: string[] = []
    let answer = (): void => {}
    const ways = { lost: () => { proxy.loseNextAnswer() }, held: () => { answer = proxy.holdAnswers() } }
    app.get<{ Params: { way: keyof typeof ways } }>('/:way', async (request) => {
      const { way } = request.params
      scopeOf(request).afterUnknown(() => { followed.push(way) })
      await transactionOf(request).run(create, { key: `own ${way}` })
      ways[way]()
      transactionOf(request).commit().catch(() => {})
      throw new Error('the app\'s own')
    })
    let unknown = 0
    for (const way of Object.keys(ways)) {
      t.match((await app.inject(`/${way}`)).json(), { statusCode: 500, message: 'the app\'s own' }, way)
      answer()
      await allClosed()
      t.match(stats(), { committed: 0, rolledBack: 0, unknown: ++unknown }, way)
      while ((await openTransactions(observer)).length > 0);
      t.equal(await count(observer, `own ${way}`), 1, way)
    }
    await app.close()
    t.strictSame(followed, ['lost', 'held'])
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a commit of the handler\'s own in a transaction that has failed is certain to keep nothing', async (t) => {
    const driver = driverForTest(t, url)
    const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request) => {
      await transactionOf(request).run('RETURN 1 / 0').catch(() => {})
      await transactionOf(request).commit().catch(() => {})
      return 'ok'
    })
    t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_COMMIT' })
    await allClosed()
    t.match(stats(), { committed: 0, rolledBack: 1, unknown: 0 })
  })

  await t.test('the error of the app is what the client gets, never that of the rollback', async (t) => {
    const proxy = await proxyForTest(t, url)
    const driver = driverForTest(t, proxy.url)
    const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request) => {
      await transactionOf(request).run(create, { key: 'lost rollback' })
      proxy.loseNextMessage()
      throw new Error('the app\'s own')
    })
    t.match((await app.inject('/')).json(), { statusCode: 500, message: 'the app\'s own' })
    await allClosed()
    t.match(stats(), { rolledBack: 1 })
    while ((await openTransactions(observer)).length > 0);
    t.equal(await count(observer, 'lost rollback'), 0)
    await t.rejects(app.getGraph(null, async (transaction) => {
      await transaction.run(create, { key: 'lost rollback' })
      proxy.loseNextMessage()
      throw new Error('the callback\'s own')
    }), { message: 'the callback\'s own' })
  })

  await t.test('a server that is away', async (t) => {
    const driver = driverForTest(t, 'bolt://127.0.0.1:1', { connectionTimeout: 500 })
    const transactions = await graphApp(t, neo4jTransactions(driver))
    transactions.app.get('/awaited', async (request) => { await transactionOf(request) })
    transactions.app.get('/at-once', async (request) => { await transactionOf(request).run('RETURN 1') })
    const sessions = await graphApp(t, neo4jSessions(driver))
    sessions.app.get('/', async (request) => { await sessionOf(request).run('RETURN 1') })

    const awaited = await transactions.app.inject('/awaited')
    t.match(awaited.json(), { statusCode: 503, code: 'FST_SESSION_DATABASE_UNAVAILABLE' })
    t.equal(awaited.headers['retry-after'], '1')
    const atOnce = await transactions.app.inject('/at-once')
    t.match(atOnce.json(), { statusCode: 503, code: 'ServiceUnavailable' })
    t.equal(atOnce.headers['retry-after'], '1')
    const session = await sessions.app.inject('/')
    t.match(session.json(), { statusCode: 503, code: 'ServiceUnavailable' })
    t.notOk(session.headers['retry-after'], 'what a session has committed by itself may have been kept')
  })
}
