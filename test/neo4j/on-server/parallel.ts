import type { FastifyRequest } from 'fastify'
import type { Driver, Session } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions, type Neo4jScope } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { exchange } from '../../support/lifecycle/client.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, connectionsInUse, count, driverForTest } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'
const slow = `UNWIND range(1, 200000) AS x WITH count(x) AS n ${create}`

/** Several sessions of one request, and the bookmarks of all. */
export async function parallel (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 20 })
  const provider = neo4jSessions(driver)
  const scopeOf = (request: FastifyRequest) => Reflect.get(request, 'graphScope') as Neo4jScope<typeof provider>

  await t.test('queries in parallel', async (t) => {
    const { app, stats, allClosed } = await graphApp(t, provider)
    app.get('/', async (request) => {
      const together = barrier()
      let running = 0
      const resolver = async (session: Session): Promise<number> => {
        const transaction = await session.beginTransaction()
        if (++running === 4) together.open()
        await together.opened
        const { records } = await transaction.run('RETURN 1 AS one')
        await transaction.commit()
        return records.length
      }
      const sessions = [sessionOf(request), ...[1, 2, 3].map(() => scopeOf(request).open())]
      const counts = await Promise.all(sessions.map(resolver))
      return { counts, distinct: new Set(sessions).size, open: stats().open, same: sessionOf(request) === sessions[0] }
    })
    app.get('/alone', async (request) => (await scopeOf(request).open().run('RETURN 1')).records.length)
    t.strictSame((await app.inject('/')).json(), { counts: [1, 1, 1, 1], distinct: 4, open: 4, same: true })
    t.equal((await app.inject('/alone')).body, '1', 'request.graph need not be used')
    await allClosed()
    t.match(stats(), { open: 0, opened: 5, committed: 5 })
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('their work is waited for, and its failure is the reply\'s', async (t) => {
    const { app, allClosed } = await graphApp(t, provider)
    app.get('/forgotten', async (request) => {
      scopeOf(request).open().run(slow, { key: 'further forgotten' }).catch(() => {})
      sessionOf(request).run(slow, { key: 'further forgotten' }).catch(() => {})
      return 'ok'
    })
    app.get('/fails', async (request) => {
      scopeOf(request).open().run('THIS IS NO CYPHER')
      return 'ok'
    })
    t.equal((await app.inject('/forgotten')).statusCode, 200)
    t.equal(await count(observer, 'further forgotten'), 2)
    t.match((await app.inject('/fails')).json(), { statusCode: 500, code: 'Neo.ClientError.Statement.SyntaxError' })
    await allClosed()
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('all are closed when the client leaves, and refused afterwards', async (t) => {
    const { app, stats } = await graphApp(t, provider)
    const [begun, tried] = [barrier(), barrier()]
    let late: unknown
    app.get('/', async (request, reply) => {
      const sessions = [1, 2].map(() => scopeOf(request).open())
      const results = sessions.map((session) => session.run('CREATE (:Kept {key: \'further left\'}) WITH 1 AS one UNWIND range(1, 100000000000) AS x RETURN count(x)').catch(() => {}))
      while (connectionsInUse(driver) < 2) await new Promise(setImmediate)
      begun.open()
      await Promise.all(results)
      try {
        scopeOf(request).open()
      } catch (error) {
        late = error
      }
      tried.open()
      return reply.send('ok')
    })
    const { leave } = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
    await begun.opened
    leave()
    await tried.opened
    t.match(late, { code: 'FST_SESSION_CLOSED' })
    while (stats().open > 0) await new Promise(setImmediate)
    t.equal(await count(observer, 'further left'), 0)
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a request has at most 16, and other kinds have one', async (t) => {
    const { app, allClosed } = await graphApp(t, provider)
    app.get('/', async (request) => {
      for (let i = 0; i < 15; i++) scopeOf(request).open()
      return scopeOf(request).open()
    })
    app.get('/false', { config: { graph: false } as object }, async (request) => scopeOf(request).open())
    t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_LIMIT', message: /^request\.graph of GET \/: a request has at most 16 sessions/ })
    t.match((await app.inject('/false')).json(), { code: 'FST_SESSION_REFUSED' })
    await allClosed()
    const transactions = await graphApp(t, neo4jTransactions(driver))
    transactions.app.get('/', async (request) => scopeOf(request).open())
    t.match((await transactions.app.inject('/')).json(), { code: 'FST_SESSION_OPTION', message: /only neo4jSessions\(\)/ })
    while (connectionsInUse(driver) > 0) await new Promise(setImmediate) // that of the boot
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('bookmarks of the request, for a header of the reply and for the further sessions', async (t) => {
    const { app } = await graphApp(t, provider)
    app.get('/', async (request, reply) => {
      const before = scopeOf(request).bookmarks
      await sessionOf(request).run(create, { key: 'bookmarked' })
      const further = scopeOf(request).open()
      const given = further.lastBookmarks()
      await further.run(create, { key: 'bookmarked' })
      reply.header('x-bookmarks', scopeOf(request).bookmarks.join())
      return { before, given, main: sessionOf(request).lastBookmarks(), own: further.lastBookmarks() }
    })
    const reply = await app.inject('/')
    const { before, given, main, own } = reply.json<Record<'before' | 'given' | 'main' | 'own', string[]>>()
    t.strictSame(before, [])
    t.equal(given.length, 1)
    t.strictSame(given, main, 'a further session sees what was written before it was opened')
    t.equal(reply.headers['x-bookmarks'], [...main, ...own].join())

    const changes = await graphApp(t, neo4jTransactions(driver))
    changes.app.get('/', async (request, reply) => {
      await transactionOf(request).run(create, { key: 'bookmarked' })
      const before = scopeOf(request).bookmarks.length
      await scopeOf(request).commit()
      return reply.header('x-bookmarks', scopeOf(request).bookmarks.join()).send({ before })
    })
    const changed = await changes.app.inject('/')
    t.strictSame(changed.json(), { before: 0 })
    const later = driver.session({ bookmarks: [String(changed.headers['x-bookmarks'])] })
    t.equal((await later.run('RETURN 1')).records.length, 1, 'the server knows it')
    await later.close()
    await assertNothingOpen(t, driver, observer)
  })
}
