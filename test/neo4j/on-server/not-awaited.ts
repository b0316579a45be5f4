import type { FastifyRequest } from 'fastify'
import { Neo4jError, type Driver, type Session } from 'neo4j-driver'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { exchange } from '../../support/lifecycle/client.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest } from '../../support/neo4j/driver.js'

const create = 'CREATE (:Kept {key: $key})'
/** Takes long enough to be under way when the handler is done. */
const slow = `UNWIND range(1, 200000) AS x WITH count(x) AS n ${create}`

/** Work that the handler does not wait for is waited for at the end, or is an error. */
export async function notAwaited (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 3 })

  await t.test('work that succeeds is kept', async (t) => {
    const { app, stats } = await graphApp(t, neo4jSessions(driver))
    let collected = 0
    const forgotten: Record<string, (session: Session, key: string) => unknown> = {
      run: (session, key) => session.run(slow, { key }),
      caught: (session, key) => session.run(slow, { key }).catch(() => {}),
      collected: (session, key) => session.run(`${slow} WITH 1 AS one UNWIND range(1, 5000) AS x RETURN x`, { key }).then(({ records }) => { collected = records.length }),
      executeWrite: (session, key) => session.executeWrite((transaction) => transaction.run(slow, { key })),
      executeRead: (session, key) => session.executeRead(async () => session.lastBookmarks()).then(() => session.run(create, { key })),
      ownCommit: async (session, key) => {
        const transaction = await session.beginTransaction()
        await transaction.run(create, { key })
        transaction.commit()
      },
    }
    app.get('/:kind', async (request) => {
      const { kind } = request.params as { kind: string }
      const work = forgotten[kind]?.(sessionOf(request), `forgotten ${kind}`)
      if (kind === 'ownCommit') await work
      return 'ok'
    })
    for (const kind of Object.keys(forgotten)) {
      t.equal((await app.inject(`/${kind}`)).statusCode, 200, kind)
      t.equal(await count(observer, `forgotten ${kind}`), 1, `${kind} is kept`)
    }
    t.equal(collected, 5000, 'who collects the records gets them all')
    await app.getGraph(null, (session) => { session.run(slow, { key: 'forgotten in a job' }).catch(() => {}) })
    t.equal(await count(observer, 'forgotten in a job'), 1, 'a job')
    t.match(stats(), { committed: 7, rolledBack: 0 })
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a query that fails makes the reply an error', async (t) => {
    const { app, logged } = await graphApp(t, neo4jSessions(driver))
    app.get('/fails', async (request) => {
      sessionOf(request).run('THIS IS NO CYPHER')
      return 'ok'
    })
    app.get('/second', async (request) => {
      sessionOf(request).run(slow, { key: 'forgotten first' })
      sessionOf(request).run(create, { key: 'forgotten second' })
      return 'ok'
    })
    app.get('/caught', async (request) => {
      sessionOf(request).run('THIS IS NO CYPHER').catch(() => {})
      return 'ok'
    })
    t.match((await app.inject('/fails')).json(), { statusCode: 500, code: 'Neo.ClientError.Statement.SyntaxError' })
    t.match((await app.inject('/second')).json(), { statusCode: 500, message: /ongoing work|directly on a session with an open transaction/ }, 'two at once in one session')
    t.equal(logged.filter(({ level }) => level >= 50).length, 2, 'each is logged')
    t.equal((await app.inject('/caught')).statusCode, 200, 'an error that the app catches is its own')
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('a result that is streamed into the reply is not waited for', async (t) => {
    const { app } = await graphApp(t, neo4jSessions(driver))
    app.get('/', (request, reply) => reply.send(Readable.from(numbers(request))))
    async function * numbers (request: FastifyRequest): AsyncGenerator<string> {
      for await (const record of sessionOf(request).run('UNWIND range(1, 3000) AS n RETURN n')) yield `${record.get('n')},`
    }
    t.equal((await app.inject('/')).body.split(',').length, 3001)
  })

  await t.test('a transaction that the handler leaves open is told of', async (t) => {
    const { app, logged, allClosed } = await graphApp(t, neo4jSessions(driver))
    app.get('/open', async (request) => {
      await (await sessionOf(request).beginTransaction()).run(create, { key: 'left open' })
      return 'ok'
    })
    app.get('/committed', async (request) => {
      const transaction = await sessionOf(request).beginTransaction()
      await transaction.run('RETURN 1')
      await transaction.commit()
      return 'ok'
    })
    for (const path of ['/committed', '/open']) await app.inject(path)
    await allClosed()
    t.equal(await count(observer, 'left open'), 0)
    t.match(logged.filter(({ level }) => level === 40), [{ msg: /a transaction that GET \/open began in request.graph was never committed/ }])
  })

  await t.test('a failure before the commit is sent is no unknown outcome', async (t) => {
    const { app } = await graphApp(t, neo4jTransactions(driver))
    app.get('/', async (request) => {
      await transactionOf(request).run(create, { key: 'failed before' })
      transactionOf(request).run('RETURN 1 / 0')
      return 'ok'
    })
    t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_COMMIT', message: 'The changes were not saved.' })
    t.equal(await count(observer, 'failed before'), 0)
    await assertNothingOpen(t, driver, observer)
  })

  await t.test('work that waits to be done again is told that its session is closed', async (t) => {
    const play = async (server: object, strike: (app: Awaited<ReturnType<typeof graphApp>>['app'], origin: string, waiting: Promise<void>) => Promise<void>): Promise<unknown> => {
      const { app, stats } = await graphApp(t, neo4jSessions(driver), {}, server)
      const failed = barrier()
      let end = (_error: unknown): void => {}
      const ended = new Promise<unknown>((resolve) => { end = resolve })
      const work = async (session: Session): Promise<void> => {
        try {
          await session.executeWrite(async () => {
            setImmediate(failed.open)
            throw new Neo4jError('try again', 'Neo.TransientError.Transaction.DeadlockDetected', '50N42', '')
          })
        } catch (error) {
          end(error)
          throw error
        }
      }
      app.get('/', (request) => work(sessionOf(request)))
      await strike(app, await app.listen({ port: 0, host: '127.0.0.1' }), failed.opened)
      const error = await ended
      await app.close()
      t.match(stats(), { open: 0, committed: 0 })
      await assertNothingOpen(t, driver, observer)
      return error
    }
    const closed = { code: 'FST_SESSION_CLOSED' }

    t.match(await play({}, async (_app, origin, waiting) => {
      const { leave, request } = exchange(origin)
      await once(request, 'socket')
      await waiting
      leave()
    }), closed, 'the client leaves')
    t.match(await play({ handlerTimeout: 300 }, async (_app, origin) => {
      t.equal((await exchange(origin).received).status, 503)
    }), closed, 'handlerTimeout')
    t.match(await play({ forceCloseConnections: true }, async (app, origin, waiting) => {
      exchange(origin)
      await waiting
      await app.close()
    }), closed, 'app.close()')
  })
}
