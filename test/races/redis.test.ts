import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore } from '../../lib/index.js'
import { raceLaws } from '../support/race-laws.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const server = await withServer(t, startRedis)
if (server) {
  const client = new Redis(server.url, { enableAutoPipelining: true })
  t.teardown(() => { client.disconnect() })
  await raceLaws(t, redisStore(client, { timeout: 30_000 }))
}
