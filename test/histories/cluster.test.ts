import t from 'tap'
import { historyCount, ignoreWarnings } from '../support/histories/count.js'
import { findFaultsBetweenProcesses } from '../support/histories/two-processes.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { withServer } from '../support/servers/require.js'

ignoreWarnings()
t.test(`${historyCount} histories on a Redis Cluster, between two processes, obey the laws of a session`, async (t) => {
  const server = await withServer(t, startRedisCluster)
  if (server === undefined) return
  const { faults, met } = await findFaultsBetweenProcesses(server.startupNodes, historyCount)
  t.strictSame(faults, [])
  t.ok(met > historyCount / 2, `in ${met} of them requests of both processes have met`)
})
