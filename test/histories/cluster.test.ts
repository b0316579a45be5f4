import t from 'tap'
import { historyCount, ignoreWarnings } from '../support/histories/count.js'
import { obeyLaws } from '../support/histories/obey.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'

const cachedCount = Math.ceil(historyCount / 4)

ignoreWarnings()
t.test(`${historyCount} histories on a Redis Cluster, between two processes, obey the laws of a session`, (t) =>
  obeyLaws(t, startRedisCluster, ({ startupNodes }) => startupNodes, historyCount))

t.test(`${cachedCount} histories on a Redis Cluster, between two processes with a cache each, obey the laws of a session`, (t) =>
  obeyLaws(t, startRedisCluster, ({ startupNodes }) => startupNodes, cachedCount, 1000))
