import type { Driver, Session } from 'neo4j-driver'
import { ModelFactory, Neogma } from 'neogma'
import type { Test } from 'tap'
import { getSession, neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count } from '../../support/neo4j/driver.js'

/** Neogma's models take the session of the request, and of `getSession()`. */
export async function neogma (t: Test, url: string, observer: Driver): Promise<void> {
  const neogma = new Neogma({ url, username: 'neo4j', password: '' })
  t.teardown(() => neogma.driver.close())
  const Kept = ModelFactory<{ key: string }>({ label: 'Kept', schema: { key: { type: 'string', required: true } }, primaryKeyField: 'key' }, neogma)
  const keysLike = async (start: string, session: Session): Promise<string[]> => {
    const found = await Kept.findMany({ session })
    return found.map(({ key }) => key).filter((key) => key.startsWith(start)).sort()
  }

  await t.test('its default database is passed on', async (t) => {
    const elsewhere = new Neogma({ url, username: 'neo4j', password: '', database: 'nowhere' })
    t.teardown(() => elsewhere.driver.close())
    t.equal(await getSession(neo4jSessions(elsewhere.driver), null, async (session) => (await session.run('RETURN 1')).records.length), 1, 'the driver does not know it')
    await t.rejects(getSession(neo4jSessions(elsewhere.driver, { database: elsewhere.database }), null, (session) => session.run('RETURN 1')),
      { code: 'Neo.ClientError.Database.DatabaseNotFound' })
  })

  await t.test('models in the session of the request, and plain Cypher beside them', async (t) => {
    const { app } = await graphApp(t, neo4jSessions(neogma.driver))
    app.get('/', async (request) => {
      const session = sessionOf(request)
      await Kept.createMany([{ key: 'neogma 1' }, { key: 'neogma 2' }], { session })
      await session.run('CREATE (:Kept {key: $key})', { key: 'neogma 3' })
      return keysLike('neogma ', session)
    })
    t.strictSame((await app.inject('/')).json(), ['neogma 1', 'neogma 2', 'neogma 3'])
    await assertNothingOpen(t, neogma.driver, observer)
  })

  await t.test('models in the transaction of the request: all or nothing', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(neogma.driver))
    app.get('/:key', async (request) => {
      const { key } = request.params as { key: string }
      await Kept.createOne({ key }, { session: transactionOf(request) })
      await Kept.createOne({ key }, { session: await transactionOf(request) })
      if (key === 'fails') throw new Error('half-way')
      return neogma.getTransaction(transactionOf(request), async (joined) => (await Kept.findMany({ where: { key }, session: joined })).length)
    })
    t.equal((await app.inject('/works')).body, '2')
    t.equal((await app.inject('/fails')).statusCode, 500)
    t.strictSame([await count(observer, 'works'), await count(observer, 'fails')], [2, 0])
    await assertNothingOpen(t, neogma.driver, observer)
  })

  await t.test('nested helpers join, written the Neogma way', async (t) => {
    const graph = neo4jSessions(neogma.driver)
    const sessions = new Set<Session>()
    const one = (existing?: Session | null): Promise<string> => getSession(graph, existing, async (session) => {
      sessions.add(session)
      return (await Kept.createOne({ key: `nested ${sessions.size}` }, { session })).key
    })
    const two = (existing?: Session | null): Promise<string[]> => getSession(graph, existing, async (session) => {
      sessions.add(session)
      await one(session)
      return keysLike('nested ', session)
    })
    t.strictSame(await two(), ['nested 1'])
    t.equal(sessions.size, 1)
    t.equal(await one(), 'nested 2')
    await assertNothingOpen(t, neogma.driver, observer)
  })
}
