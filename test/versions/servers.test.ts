import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore } from '../../lib/index.js'
import { cacheStage, setTo, until } from '../support/cache-stage.js'
import { fakeClock } from '../support/clock.js'
import { conformsOnRedis } from '../support/conformance.js'
import { redisPrefix } from '../support/redis-prefix.js'
import { redisProgram, startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

// Redis 7.0, the lowest version, is the one that all other tests of the store run on: Debian 12 has it.
for (const version of ['Redis 8', 'Valkey 9'] as const) {
  t.test(`the Redis store conforms on ${version}`, async (t) => {
    const server = await withServer(t, async () => startRedis({ program: redisProgram(version) }))
    if (!server) return
    const client = new Redis(server.url)
    const prefix = redisPrefix(t, client)
    const told: string[] = []
    const tell = (line: string): void => { told.push(line) }
    await redisStore(client).checkAtBoot?.({ info: tell, warn: tell, error: tell })
    t.match(told, [`sessions are kept in ${version}.`])
    const { store, other } = await cacheStage(t, client, client, { maxAge: 60_000 })
    await other.commit('ab', setTo('2'))
    t.ok(await until(store, '2') < 1000, 'it tells a cache of changes')
    await store.close()
    await conformsOnRedis(t, client, prefix, fakeClock(t, ['Date']))
  })
}
