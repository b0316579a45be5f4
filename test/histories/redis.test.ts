import t from 'tap'
import { historyCount, ignoreWarnings } from '../support/histories/count.js'
import { obeyLaws } from '../support/histories/obey.js'
import { startRedis } from '../support/servers/redis.js'

ignoreWarnings()
t.test(`${historyCount} histories on Redis, between two processes, obey the laws of a session`, (t) =>
  obeyLaws(t, startRedis, ({ url }) => url, historyCount))

t.test(`${historyCount} histories on Redis, between two processes with a cache each, obey the laws of a session`, (t) =>
  obeyLaws(t, startRedis, ({ url }) => url, historyCount, 1000))
