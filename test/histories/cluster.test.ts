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

const cachedCount = Math.ceil(historyCount / 4)

t.test(`${cachedCount} histories on a Redis Cluster, between two processes with a cache each, obey the laws of a session`, async (t) => {
  const server = await withServer(t, startRedisCluster)
  if (server === undefined) return
  const { faults, met, hits } = await findFaultsBetweenProcesses(server.startupNodes, cachedCount, { maxAge: 1000 })
  t.strictSame(faults, [])
  t.ok(met > cachedCount / 2, `in ${met} of them requests of both processes have met`)
  t.ok(hits > cachedCount / 10, `${hits} reads were answered by the cache`)
})
