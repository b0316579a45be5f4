import type { Driver, Session, Transaction } from 'neo4j-driver'
import type { Test } from 'tap'
import { getSession, getTransaction, neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { graphApp, sessionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest, openTransactions } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'
const failure = new Error('the callback failed')

/** Every row of the tables of `getSession()` and `getTransaction()`, in an app and outside of it. */
export async function calls (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url)
  const sessions = neo4jSessions(driver)
  const transactions = neo4jTransactions(driver)
  const { app, stats } = await graphApp(t, sessions)

  const kinds = [
    {
      where: 'in an app',
      session: app.getGraph as <R>(existing: Session | null, callback: (session: Session) => Promise<R>) => Promise<R>,
      transaction: app.getGraphTransaction as <R>(existing: Session | Transaction | null, callback: (transaction: Transaction) => Promise<R>) => Promise<R>,
    },
    {
      where: 'outside of Fastify',
      session: <R>(existing: Session | null, callback: (session: Session) => Promise<R>) => getSession(sessions, existing, callback),
      transaction: <R>(existing: Session | Transaction | null, callback: (transaction: Transaction) => Promise<R>) => getTransaction(sessions, existing, callback),
    },
    {
      where: 'outside of Fastify, of transactions',
      session: undefined,
      transaction: <R>(existing: Session | Transaction | null, callback: (transaction: Transaction) => Promise<R>) => getTransaction(transactions, existing, callback),
    },
  ]

  for (const { where, session: getSession, transaction: getTransaction } of kinds) {
    if (getSession !== undefined) {
      await t.test(`getSession() ${where}`, async (t) => {
        let inner: Session | undefined
        const value = await getSession(null, async (session) => {
          inner = session
          return getSession(session, async (joined) => {
            t.equal(joined, session, 'the inner call joins')
            await joined.run('RETURN 1')
            return 'value'
          })
        })
        t.equal(value, 'value')
        await t.rejects(async () => { await inner?.run('RETURN 1') }, { message: /closed session/ }, 'it was closed')
        await t.rejects(getSession(null, async () => { throw failure }), failure)
        const own = driver.session()
        await t.rejects(getSession(own, async () => { throw failure }), failure)
        t.ok(await own.run('RETURN 1'), 'a session that was joined stays open')
        await own.close()
        await assertNothingOpen(t, driver, observer)
      })
    }

    await t.test(`getTransaction() ${where}`, async (t) => {
      const key = (name: string): string => `${where}: ${name}`
      const work = (name: string, fails = false) => async (transaction: Transaction): Promise<string> => {
        await transaction.run(create, { key: key(name) })
        if (fails) throw failure
        return name
      }

      t.equal(await getTransaction(null, work('both')), 'both')
      await t.rejects(getTransaction(null, work('both failed', true)), failure)

      const session = driver.session()
      t.equal(await getTransaction(session, work('in a session')), 'in a session')
      await t.rejects(getTransaction(session, work('in a session failed', true)), failure)
      t.ok(await session.run('RETURN 1'), 'the given session stays open')

      const transaction = await session.beginTransaction()
      t.equal(await getTransaction(transaction, work('joined')), 'joined')
      await t.rejects(getTransaction(transaction, work('joined failed', true)), failure)
      t.equal(transaction.isOpen(), true, 'it was neither committed nor rolled back')
      t.equal(await count(observer, key('joined')), 0)
      await t.rejects(getTransaction(session, work('second')), { code: 'FST_SESSION_OPEN', cause: { message: /ongoing work|with an open transaction/ } }, 'one transaction at a time in a session')
      await transaction.commit()

      const managed = await session.executeWrite((managed) => getTransaction(managed as unknown as Transaction, work('managed')))
      t.equal(managed, 'managed', 'one that the driver manages is joined too')
      await session.close()

      const nested = await getTransaction(null, (outer) => getTransaction(outer, (inner) => getTransaction(inner, work('nested'))))
      t.equal(nested, 'nested')

      for (const name of ['both', 'in a session', 'joined', 'joined failed', 'managed', 'nested']) t.equal(await count(observer, key(name)), 1, name)
      for (const name of ['both failed', 'in a session failed', 'second']) t.equal(await count(observer, key(name)), 0, name)
      t.equal(stats().open, 0)
      await assertNothingOpen(t, driver, observer)
    })
  }

  await t.test('its options reach the server', async (t) => {
    await app.getGraphTransaction(null, async () => {
      t.match((await openTransactions(observer)).map(({ metaData }) => metaData), [{ job: 'nightly', route: 'app.getGraphTransaction()' }])
    }, { metadata: { job: 'nightly' }, database: 'neo4j' })
    await t.rejects(app.getGraphTransaction(null, (transaction) => transaction.run('UNWIND range(1, 10000000000) AS x RETURN count(x)').then(() => {}), { timeout: 50 }),
      { code: /TransactionTimedOut/ })
    await t.rejects(app.getGraph(null, (session) => session.run(create, { key: 'read only' }).then(() => {}), { accessMode: 'READ' }),
      { message: /read access mode/ })
  })

  await t.test('a transaction in the session of a request', async (t) => {
    const { app, stats } = await graphApp(t, sessions)
    app.get('/', async (request) => {
      const session = sessionOf(request)
      await app.getGraphTransaction(session, async (transaction) => { await transaction.run(create, { key: 'in the request' }) })
      await t.rejects(app.getGraphTransaction(session, async (transaction) => {
        await transaction.run(create, { key: 'not in the request' })
        throw failure
      }), failure)
      const { records } = await session.run('MATCH (n:Kept {key: $key}) RETURN n.key AS key', { key: 'in the request' })
      return records.map((record) => record.get('key') as string)
    })
    t.strictSame((await app.inject('/')).json(), ['in the request'])
    t.equal(await count(observer, 'not in the request'), 0)
    t.match(stats(), { open: 0, opened: 3, committed: 2, rolledBack: 1 })
    await assertNothingOpen(t, driver, observer)
  })
}
