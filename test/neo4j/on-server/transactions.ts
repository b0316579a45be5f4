import type { Driver } from 'neo4j-driver'
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { neo4jTransactions } from '../../../lib/index.js'
import { graphApp, scopeOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest, openTransactions } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'

/** The transaction as its route sees it, and as the server sees it. */
export async function transactions (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url)

  await t.test('SHOW TRANSACTIONS names the request', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(driver, { metadata: { service: 'people', team: 'a' }, timeout: 60_000 }), {}, { genReqId: () => 'request-7' })
    app.post('/people/:id', { config: { graph: { metadata: { team: 'b' } } } as object }, async (request) => {
      await transactionOf(request).run('RETURN 1')
      return (await openTransactions(observer)).map(({ metaData }) => metaData)
    })
    t.strictSame((await app.inject({ method: 'POST', url: '/people/1' })).json(),
      [{ requestId: 'request-7', method: 'POST', route: '/people/:id', service: 'people', team: 'b' }])
    const [ofCall] = await app.getGraph(null, () => openTransactions(observer), { metadata: { job: 3 } })
    t.strictSame(ofCall?.metaData, { route: 'app.getGraph()', service: 'people', team: 'a', job: 3 })
  })

  await t.test('awaited, or used at once', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request) => {
      const transaction = await transactionOf(request)
      t.equal(transaction, await transactionOf(request), 'one transaction for the whole request')
      t.equal(transaction, await transactionOf(request).catch(() => t.fail('it has begun')))
      t.equal(transaction, await transactionOf(request).finally(() => t.pass('it has begun')))
      await transaction.run(create, { key: 'mixed' })
      const both = await Promise.all([
        transactionOf(request).run('MATCH (n:Kept {key: $key}) RETURN count(n) AS n', { key: 'mixed' }),
        transaction.run('RETURN 1 AS n'),
      ])
      return both.map(({ records }) => records[0]?.get('n') as number)
    })
    t.strictSame((await app.inject('/')).json(), [1, 1])
    t.equal(await count(observer, 'mixed'), 1)
  })

  await t.test('the server ends one that takes longer than its timeout', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', { config: { graph: { timeout: 100 } } as object }, async (request) => {
      await transactionOf(request).run(create, { key: 'slow' })
      await transactionOf(request).run('UNWIND range(1, 10000000000) AS x RETURN count(x)')
    })
    const reply = await app.inject('/')
    t.equal(reply.statusCode, 500)
    t.match(reply.json(), { code: /^Neo\.ClientError\.Transaction\.TransactionTimedOut/ })
    t.equal(await count(observer, 'slow'), 0)
  })

  await t.test('what the handler ends by itself', async (t) => {
    const { app, stats, logged } = await graphApp(t, neo4jTransactions(driver))
    app.get('/commit', async (request) => {
      await transactionOf(request).run(create, { key: 'own commit' })
      await transactionOf(request).commit()
    })
    app.get('/rollback', async (request) => {
      const transaction = await transactionOf(request)
      await transaction.run(create, { key: 'own rollback' })
      await transaction.rollback()
      return 'a preview'
    })
    app.get('/rollback-at-once', async (request) => {
      await transactionOf(request).run(create, { key: 'own rollback' })
      await transactionOf(request).rollback()
      return 'a preview'
    })
    app.get('/commit-and-throw', async (request) => {
      const transaction = await transactionOf(request)
      await transaction.run(create, { key: 'kept all the same' })
      await transaction.commit()
      throw new Error('too late')
    })
    app.get('/scope', async (request) => {
      await transactionOf(request).run(create, { key: 'by the scope' })
      await scopeOf(request).commit()
      throw new Error('too late for that one')
    })
    t.equal((await app.inject('/commit')).statusCode, 200)
    t.equal(await count(observer, 'own commit'), 1)
    t.match(stats(), { committed: 1, rolledBack: 0 })

    t.match(await app.inject('/rollback'), { statusCode: 200, body: 'a preview' })
    t.match(await app.inject('/rollback-at-once'), { statusCode: 200, body: 'a preview' })
    t.equal(await count(observer, 'own rollback'), 0)
    t.match(stats(), { committed: 1, rolledBack: 2 })

    t.equal((await app.inject('/commit-and-throw')).json<{ message: string }>().message, 'too late')
    t.equal(await count(observer, 'kept all the same'), 1)
    t.ok(logged.some(({ err }) => err?.code === 'FST_SESSION_ALREADY_COMMITTED'), 'that it was kept is logged')

    t.equal((await app.inject('/scope')).json<{ message: string }>().message, 'too late for that one')
    t.equal(await count(observer, 'by the scope'), 1)
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a result that is still being read is never cut off in silence', async (t) => {
    const { app, allClosed } = await graphApp(t, neo4jTransactions(driver, { fetchSize: 10 }))
    const stream = async (request: Parameters<typeof transactionOf>[0]): Promise<Readable> => {
      await transactionOf(request).run(create, { key: request.url })
      const result = transactionOf(request).run('UNWIND range(1, 500) AS x RETURN x')
      const rows = result[Symbol.asyncIterator]()
      await rows.next()
      return Readable.from((async function * () {
        for (let next = await rows.next(); next.done !== true; next = await rows.next()) yield `${next.value.get('x')}\n`
      })())
    }
    app.get('/before-headers', (request) => stream(request))
    app.get('/after-headers', { config: { graph: { commit: 'onResponse' } } as object }, (request) => stream(request))
    app.get('/subscribed', async (request) => {
      const result = transactionOf(request).run('UNWIND range(1, 500) AS x RETURN x')
      return new Promise((resolve) => result.subscribe({ onNext: () => resolve('the first is enough') }))
    })
    app.get('/read-later', async (request) => {
      const result = transactionOf(request).run('UNWIND range(1, 500) AS x RETURN x')
      return Readable.from((async function * () { for await (const row of result) yield `${row.get('x')}\n` })())
    })

    const cut = await app.inject('/before-headers')
    t.match(cut.json(), { statusCode: 500, code: 'FST_SESSION_COMMIT', message: 'The changes were not saved.' })
    t.equal(await count(observer, '/before-headers'), 0)

    const whole = await app.inject('/after-headers')
    t.equal(whole.statusCode, 200)
    t.equal(whole.body.trimEnd().split('\n').at(-1), '500')
    await allClosed()
    t.equal(await count(observer, '/after-headers'), 1)

    t.match((await app.inject('/subscribed')).json(), { statusCode: 500, code: 'FST_SESSION_COMMIT' })
    t.equal((await app.inject('/read-later')).statusCode, 500)
    await assertNothingOpen(t, driver, observer)
  })
}
