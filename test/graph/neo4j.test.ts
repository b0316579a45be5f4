import t from 'tap'
import { driverForTest, query } from '../support/graph/graph.js'
import { OwnServer } from '../support/servers/own-server.js'
import { neo4jForTest } from '../support/servers/require.js'
import { bookmarks } from './neo4j/bookmarks.js'
import { errors } from './neo4j/errors.js'
import { calls } from './neo4j/get-transaction.js'
import { interrupt } from './neo4j/interrupt.js'
import { lifecycle } from './neo4j/lifecycle.js'
import { mix } from './neo4j/mix.js'
import { neogma } from './neo4j/neogma.js'
import { restart } from './neo4j/restart.js'
import { transactions } from './neo4j/transactions.js'

// Milliseconds: a minute or so on a machine that does nothing else, and it seldom does.
t.setTimeout(600_000)

// One server for all that needs a real one: a JVM takes its time and its memory. The parts count the server's
// transactions, and so come one after the other.
t.test('on a real Neo4j', async (t) => {
  const server = await neo4jForTest(t)
  if (!server) return
  const observer = driverForTest(t, server.url)
  const clean = () => query(observer, 'MATCH (n:Kept|Mixed|Restarted) CALL { WITH n DETACH DELETE n } IN TRANSACTIONS OF 1000 ROWS')
  await query(observer, 'CREATE INDEX kept IF NOT EXISTS FOR (n:Kept) ON (n.key)')
  await clean()
  t.teardown(clean)

  for (const part of [lifecycle, transactions, calls, errors, interrupt, neogma, bookmarks, mix]) {
    await t.test(part.name, (t) => part(t, server.url, observer))
  }
  await t.test('restart', async (t) => {
    if (server instanceof OwnServer) await restart(t, server, observer)
    else t.pass('needs a server of its own', { skip: 'NEO4J_URL names one that is not for killing' })
  })
})
