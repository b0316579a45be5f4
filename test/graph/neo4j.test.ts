import t from 'tap'
import { driverForTest, query } from '../support/graph/graph.js'
import { neo4jForTest } from '../support/servers/require.js'
import { errors } from './neo4j/errors.js'
import { calls } from './neo4j/get-transaction.js'
import { interrupt } from './neo4j/interrupt.js'
import { lifecycle } from './neo4j/lifecycle.js'
import { neogma } from './neo4j/neogma.js'
import { transactions } from './neo4j/transactions.js'

// One server for all that needs a real one: a JVM takes its time and its memory. The parts count the server's
// transactions, and so come one after the other.
t.test('on a real Neo4j', async (t) => {
  const server = await neo4jForTest(t)
  if (!server) return
  const observer = driverForTest(t, server.url)
  await query(observer, 'CREATE INDEX kept IF NOT EXISTS FOR (n:Kept) ON (n.key)')
  t.teardown(() => query(observer, 'MATCH (n:Kept) DETACH DELETE n'))

  for (const part of [lifecycle, transactions, calls, errors, interrupt, neogma]) {
    await t.test(part.name, (t) => part(t, server.url, observer))
  }
})
