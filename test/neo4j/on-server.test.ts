import t from 'tap'
import { driverForTest, query } from '../support/neo4j/driver.js'
import { isLong } from '../support/scale.js'
import { OwnServer } from '../support/servers/own-server.js'
import { neo4jForTest } from '../support/servers/require.js'
import { bookmarks } from './on-server/bookmarks.js'
import { errors } from './on-server/errors.js'
import { notAwaited } from './on-server/not-awaited.js'
import { parameters } from './on-server/parameters.js'
import { calls } from './on-server/get-transaction.js'
import { health } from './on-server/health.js'
import { interrupt } from './on-server/interrupt.js'
import { lifecycle } from './on-server/lifecycle.js'
import { mix } from './on-server/mix.js'
import { neogma } from './on-server/neogma.js'
import { restart } from './on-server/restart.js'
import { tenants } from './on-server/tenants.js'
import { parallel } from './on-server/parallel.js'
import { transactions } from './on-server/transactions.js'

// Milliseconds. The tests take about a minute on an idle machine, and many times that on a busy one.
t.setTimeout(600_000)

// `npm run test:long` repeats what has more requests there, and restarts the server.
const parts = isLong ? [mix] : [lifecycle, transactions, tenants, parallel, calls, errors, interrupt, notAwaited, parameters, neogma, bookmarks, health, mix]

// All tests that need a real server share one, since a JVM takes its time and its memory. They run one after the other,
// since they count the server's transactions.
t.test('on a real Neo4j', async (t) => {
  const server = await neo4jForTest(t, { alone: true })
  if (!server) return
  const observer = driverForTest(t, server.url)
  const clean = () => query(observer, 'MATCH (n:Kept|Mixed|Restarted) CALL { WITH n DETACH DELETE n } IN TRANSACTIONS OF 1000 ROWS')
  await query(observer, 'CREATE INDEX kept IF NOT EXISTS FOR (n:Kept) ON (n.key)')
  await clean()
  t.teardown(clean)

  const only = new RegExp(process.env['ONLY'] ?? '')
  for (const part of parts) {
    if (only.test(part.name)) await t.test(part.name, (t) => part(t, server.url, observer))
  }
  if (!isLong || !only.test('restart')) return
  await t.test('restart', async (t) => {
    if (server instanceof OwnServer) await restart(t, server, observer)
    else t.pass('needs a server of its own', { skip: 'NEO4J_URL names one that is not for killing' })
  })
})
