import type { Driver, Session, Transaction } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { assertNothingOpen, count, driverForTest, openTransactions, query } from '../../support/neo4j/driver.js'
import type { Harness } from '../../support/lifecycle/harness.js'
import { runLifecycle } from '../../support/lifecycle/run.js'

const create = 'CREATE (:Kept {key: $key})'

/** Every row of the lifecycle, for sessions and for transactions, checked on the server. */
export async function lifecycle (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 5 })
  const shared = {
    workWithin: 300,
    exists: async (key: string) => await count(observer, key) > 0,
    assertNothingOpen: (t: Test) => assertNothingOpen(t, driver, observer),
  }

  for (const commit of ['onSend', 'onResponse'] as const) {
    const sessions: Harness<Session> = {
      ...shared,
      name: `sessions, commit: ${commit}`,
      provider: neo4jSessions(driver),
      commit,
      keeps: 'at-once',
      work: async (session, key) => { await session.run(create, { key }) },
    }
    const transactions: Harness<Transaction> = {
      ...shared,
      name: `transactions, commit: ${commit}`,
      provider: neo4jTransactions(driver),
      commit,
      work: async (transaction, key) => { await transaction.run(create, { key }) },
      spoil: async (transaction, key) => {
        await transaction.run(`${create} WITH 1 AS one RETURN $key`, { key })
        for (const { transactionId } of await openTransactions(observer)) {
          await query(observer, 'TERMINATE TRANSACTION $transactionId', { transactionId })
        }
      },
    }
    await t.test(sessions.name, (t) => runLifecycle(t, sessions))
    await t.test(transactions.name, (t) => runLifecycle(t, transactions))
  }
}
