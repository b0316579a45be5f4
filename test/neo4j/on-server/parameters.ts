import type { FastifyRequest } from 'fastify'
import neo4j, { type Driver } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'

type Run = (query: string, parameters: object) => PromiseLike<{ records: Array<{ get (name: string): unknown }> }>

/** Parameters that the driver cannot send are refused before half of the message is in the connection. */
export async function parameters (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 1, connectionAcquisitionTimeout: 2000 })
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const [{ node } = { node: undefined }] = (await observer.executeQuery('CREATE (node:Kept {key: "a node"}) RETURN node')).records.map((record) => record.toObject() as { node: unknown })
  const refused: Record<string, unknown> = {
    'a function': () => {},
    'a symbol': [Symbol('x')],
    'a function in a set': new Set([{ deep: () => {} }]),
    'a circular object': circular,
    'a client\'s brackets': JSON.parse('['.repeat(5000) + ']'.repeat(5000)),
    'a node': [node],
  }
  const runs: Record<string, (request: FastifyRequest) => Run> = {
    'session.run': (request) => (...query) => sessionOf(request).run(...query),
    executeWrite: (request) => (...query) => sessionOf(request).executeWrite((transaction) => transaction.run(...query)),
    'a transaction in a session': (request) => async (...query) => {
      const transaction = await sessionOf(request).beginTransaction()
      try {
        return await transaction.run(...query)
      } finally {
        await transaction.close()
      }
    },
    'transaction.run': (request) => (...query) => transactionOf(request).run(...query),
    'awaited transaction.run': (request) => async (...query) => (await transactionOf(request)).run(...query),
    'transaction.run of a query object': (request) => (text, parameters) => transactionOf(request).run({ text, parameters } as unknown as string),
  }

  for (const [kind, runOf] of Object.entries(runs)) {
    await t.test(kind, async (t) => {
      const provider = kind.includes('transaction.run') ? neo4jTransactions(driver) : neo4jSessions(driver)
      const { app, allClosed } = await graphApp(t, provider)
      let value: unknown
      app.get('/', async (request) => {
        const { records } = await runOf(request)('RETURN $value AS value', { value })
        return { value: records[0]?.get('value') }
      })
      for (const [name, bad] of Object.entries(refused)) {
        value = bad
        t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_PARAMETER' }, name)
        value = name
        t.strictSame((await app.inject('/')).json(), { value: name }, 'the next request on that connection works')
      }
      value = [1, { list: [[null, true], new Map([['a', 1]])], date: neo4j.types.Date.fromStandardDate(new Date(0)), bytes: new Int8Array(2) }, neo4j.int(3), 4n]
      t.equal((await app.inject('/')).statusCode, 200, 'what the driver can send')
      value = (function * () { yield 1 })()
      t.strictSame((await app.inject('/')).json(), { value: [1] }, 'an iterable that can be read once')
      await allClosed()
      await assertNothingOpen(t, driver, observer)
    })
  }

  await t.test('nothing of the transaction is kept', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request) => {
      await transactionOf(request).run(create, { key: 'unpackable' })
      ;[1].forEach((): void => { transactionOf(request).run('RETURN $value', { value: () => {} }) })
      return 'ok'
    })
    t.match((await app.inject('/')).json(), { code: 'FST_SESSION_PARAMETER' })
    t.equal(await count(observer, 'unpackable'), 0)
  })
}
