import { randomBytes } from 'node:crypto'
import { Cluster } from 'ioredis'
import t from 'tap'
import { redisStore } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'
import { record } from '../../support/records.js'
import { passTime } from '../../support/redis-time.js'
import { startRedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

const cluster = await withServer(t, startRedisCluster)
if (cluster) {
  const tick = fakeClock(t, ['Date'])
  const client = new Cluster([...cluster.startupNodes], { enableAutoPipelining: true })
  t.teardown(() => { client.disconnect() })
  await conforms(t, {
    abilities: ['list', 'subjects', 'restore', 'watch'],
    create: () => redisStore(client, { timeout: 30_000 }),
    async advance (ms) {
      tick(ms)
      await passTime(client.nodes('master'), 'session:', ms)
    },
    async damage (_store, id) {
      const found = await Promise.all(client.nodes('master').map((node) => node.keys(`session:*${id.slice(2)}`)))
      for (const key of found.flat()) await client.hset(key, '', '2 of a later version')
    },
  })

  await t.test('the sessions are spread over all masters', async (t) => {
    const store = redisStore(client, { timeout: 30_000, prefix: 'spread:' })
    await Promise.all(Array.from({ length: 600 }, () => store.create(randomBytes(32).toString('base64url'), record())))
    const keys = await Promise.all(client.nodes('master').map((node) => node.keys('spread:*')))
    // The mean is 200, and 256 slots spread a little unevenly: fewer than half of the mean is a fault, not chance.
    t.ok(keys.length === 3 && keys.every(({ length }) => length > 100), `sessions on each master: ${keys.map(({ length }) => length).join(', ')}`)
  })
}
