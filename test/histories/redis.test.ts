import t from 'tap'
import { historyCount, ignoreWarnings } from '../support/histories/count.js'
import { findFaultsBetweenProcesses } from '../support/histories/two-processes.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

ignoreWarnings()
t.test(`${historyCount} histories on Redis, between two processes, obey the laws of a session`, async (t) => {
  const server = await withServer(t, startRedis)
  if (server === undefined) return
  const { faults, met } = await findFaultsBetweenProcesses(server.url, historyCount)
  t.strictSame(faults, [])
  t.ok(met > historyCount / 2, `in ${met} of them requests of both processes have met`)
})

t.test(`${historyCount} histories on Redis, between two processes with a cache each, obey the laws of a session`, async (t) => {
  const server = await withServer(t, startRedis)
  if (server === undefined) return
  const { faults, met, hits } = await findFaultsBetweenProcesses(server.url, historyCount, { maxAge: 1000 })
  t.strictSame(faults, [])
  t.ok(met > historyCount / 2, `in ${met} of them requests of both processes have met`)
  t.ok(hits > historyCount / 10, `${hits} reads were answered by the cache`)
})
