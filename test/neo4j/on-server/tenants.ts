import neo4j, { type Driver, type Session, type Transaction } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { exchange } from '../../support/lifecycle/client.js'
import { graphApp, sessionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, connectionsInUse, count, driverForTest } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'

/** A config that is made of the request, also in its own time. */
export async function tenants (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 3 })
  const databases = new Map([['acme', 'neo4j'], ['gone', 'nowhere']])
  const tenant = async (name: unknown): Promise<string> => {
    await new Promise(setImmediate)
    const database = databases.get(String(name))
    if (database === undefined) throw Object.assign(new Error('Unknown tenant'), { statusCode: 404 })
    return database
  }

  for (const [kind, provider] of [
    ['sessions', neo4jSessions(driver, async (request) => ({ database: await tenant(request.headers['x-tenant']) }))],
    ['transactions', neo4jTransactions(driver, { database: (request) => tenant(request.headers['x-tenant']), timeout: neo4j.int(60_000) })],
  ] as const) {
    await t.test(`${kind} of tenants that are looked up`, async (t) => {
      const { app, stats, allClosed } = await graphApp(t, provider as never)
      const opened = async (request: object): Promise<Session | Transaction> => await (Reflect.get(request, 'graph') as Promise<Session | Transaction>)
      app.get('/write/:key', async (request) => {
        const graph = await opened(request)
        await graph.run(create, { ...request.params as object })
        return 'ok'
      })
      app.get('/fail/:key', async (request, reply) => {
        await (await opened(request)).run(create, { ...request.params as object })
        return reply.code(409).send()
      })
      app.get('/forgotten/:key', async (request) => {
        opened(request).then((graph) => graph.run(create, { ...request.params as object })).catch(() => {})
        return 'ok'
      })
      app.get('/unused', async (request) => {
        Reflect.get(request, 'graph')
        return 'ok'
      })
      const send = (path: string, name = 'acme') => app.inject({ url: path, headers: { 'x-tenant': name } })

      t.equal((await send(`/write/${kind}`)).body, 'ok')
      t.equal((await send(`/forgotten/${kind}`)).statusCode, 200)
      t.equal((await send(`/fail/${kind}`)).statusCode, 409)
      await allClosed()
      t.equal(await count(observer, kind), kind === 'sessions' ? 3 : 2)
      t.match((await send(`/write/${kind}`, 'nobody')).json(), { statusCode: 404, message: 'Unknown tenant' })
      t.equal((await send('/unused', 'nobody')).statusCode, 200, 'nobody has asked for it')
      t.match((await send(`/write/${kind}`, 'gone')).json(), { statusCode: 500, code: kind === 'sessions' ? 'Neo.ClientError.Database.DatabaseNotFound' : 'FST_SESSION_DATABASE_MISSING' })
      await allClosed()
      t.match(stats(), { open: 0 })
      await assertNothingOpen(t, driver, observer)
    })

    await t.test(`${kind}: a client that leaves while its tenant is looked up`, async (t) => {
      const [asked, found, refused] = [barrier(), barrier(), barrier()]
      const lookUp = async (): Promise<string> => {
        asked.open()
        await found.opened
        return 'neo4j'
      }
      const own = kind === 'sessions' ? neo4jSessions(driver, { database: lookUp }) : neo4jTransactions(driver, { database: lookUp })
      const { app, stats } = await graphApp(t, own as never)
      let refusal: unknown
      app.get('/', async (request) => {
        try {
          await (Reflect.get(request, 'graph') as unknown)
        } catch (error) {
          refusal = error
          refused.open()
        }
      })
      const { leave } = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
      await asked.opened
      leave()
      while (stats().open > 0) await new Promise(setImmediate)
      found.open()
      await refused.opened
      t.match(refusal, { code: 'FST_SESSION_CLOSED' })
      while (connectionsInUse(driver) > 0) await new Promise(setImmediate) // that of the boot
      await assertNothingOpen(t, driver, observer)
    })
  }

  await t.test('a time limit of a transaction is a number, a bigint or the driver\'s Integer', async (t) => {
    const endless = 'UNWIND range(1, 100000000000) AS x RETURN count(x)'
    const timeouts = [300, 300n, neo4j.int(300)]
    for (const timeout of timeouts) {
      const { app } = await graphApp(t, neo4jTransactions(driver, { timeout }))
      await t.rejects(app.getGraph(null, (transaction) => transaction.run(endless)), { code: 'Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration' }, typeof timeout)
      t.equal(await app.getGraph(null, async (transaction) => (await transaction.run('RETURN 1')).records.length, { timeout: 0n }), 1)
    }
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a function takes a session or a transaction', async (t) => {
    const { app } = await graphApp(t, neo4jSessions(driver))
    const add = (key: string, existing?: Session | Transaction | null): Promise<void> => app.getGraph(existing, async (place) => { await place.run(create, { key }) })
    app.get('/', async (request) => {
      await add('either', sessionOf(request))
      await app.getGraphTransaction(sessionOf(request), (transaction) => add('either', transaction))
      await app.getGraphTransaction(null, (transaction) => add('either', transaction))
      await add('either')
      return 'ok'
    })
    t.equal((await app.inject('/')).statusCode, 200)
    t.equal(await count(observer, 'either'), 4)
    await assertNothingOpen(t, driver, observer)
  })
}
