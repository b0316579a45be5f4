import type { FastifyRequest } from 'fastify'
import type { Driver } from 'neo4j-driver'
import { once } from 'node:events'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, count, driverForTest, openTransactions } from '../../support/neo4j/driver.js'
import { exchange } from '../../support/lifecycle/client.js'

/** Takes minutes, unless it is interrupted. */
const endless = 'CREATE (:Kept {key: $key}) WITH 1 AS one UNWIND range(1, 100000000000) AS x RETURN count(x)'

/** A client that leaves, a timeout and the end of the app end the query that still runs on the server. */
export async function interrupt (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 3 })
  const kinds = [
    { kind: 'session', provider: neo4jSessions(driver), used: sessionOf },
    { kind: 'transaction', provider: neo4jTransactions(driver), used: transactionOf },
  ]

  for (const { kind, provider, used } of kinds) {
    const runs = (key: string): boolean => running.some(({ currentQuery, metaData }) => currentQuery === endless && (kind === 'session' || metaData['requestId'] === key))
    let running: Awaited<ReturnType<typeof openTransactions>> = []
    const until = async (key: string, state: boolean): Promise<void> => {
      do running = await openTransactions(observer)
      while (runs(key) !== state)
    }

    const play = async (t: Test, key: string, server: object, strike: (app: Awaited<ReturnType<typeof graphApp>>['app'], origin: string) => Promise<void>): Promise<void> => {
      const { app, stats } = await graphApp(t, provider, {}, { genReqId: () => key, ...server })
      const failed = barrier()
      const handler = async (request: FastifyRequest): Promise<void> => {
        try {
          await used(request).run(endless, { key })
        } finally {
          failed.open()
        }
      }
      app.get('/', handler)
      app.post('/', handler)
      const origin = await app.listen({ port: 0, host: '127.0.0.1' })
      await strike(app, origin)
      const since = performance.now()
      await failed.opened
      await until(key, false)
      t.comment(`gone from the server ${Math.round(performance.now() - since)} milliseconds later`)
      await app.close()
      t.match(stats(), { open: 0, committed: 0, rolledBack: 1 })
      t.equal(await count(observer, key), 0)
      await assertNothingOpen(t, driver, observer)
    }

    for (const method of ['GET', 'POST']) {
      await t.test(`${kind}: the client leaves, ${method}`, (t) => play(t, `${kind} ${method}`, {}, async (_app, origin) => {
        const { leave } = exchange(origin, { method, headers: { 'content-type': 'application/json' } }, method === 'POST' ? '{}' : undefined)
        await until(`${kind} ${method}`, true)
        leave()
      }))
    }

    await t.test(`${kind}: handlerTimeout`, (t) => play(t, `${kind} timeout`, { handlerTimeout: 500 }, async (_app, origin) => {
      t.equal((await exchange(origin).received).status, 503)
    }))

    await t.test(`${kind}: app.close(), connections forced`, (t) => play(t, `${kind} close`, { forceCloseConnections: true }, async (app, origin) => {
      exchange(origin)
      await until(`${kind} close`, true)
      await app.close()
    }))

    await t.test(`${kind}: a client that leaves while the request waits for a connection`, async (t) => {
      const { app, stats } = await graphApp(t, provider)
      const held = [1, 2, 3].map(() => driver.session())
      for (const session of held) await session.beginTransaction()
      const waits = barrier()
      app.get('/', async (request, reply) => {
        const result = used(request).run('CREATE (:Kept {key: $key})', { key: `${kind} waiting` })
        reply.raw.once('close', waits.open)
        await result
      })
      const { leave, request } = exchange(await app.listen({ port: 0, host: '127.0.0.1' }))
      await once(request, 'socket')
      while (stats().open === 0) await new Promise(setImmediate)
      leave()
      await waits.opened
      for (const session of held) await session.close()
      await app.close()
      t.match(stats(), { open: 0, opened: 1 })
      t.equal(await count(observer, `${kind} waiting`), 0, 'what was not begun is not done')
      await assertNothingOpen(t, driver, observer)
    })
  }
}
