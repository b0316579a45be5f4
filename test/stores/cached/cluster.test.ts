import { Cluster, Redis } from 'ioredis'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { slotOf, type RedisClient } from '../../../lib/index.js'
import { agesOf, cacheStage, isCached, setTo, until, type Ages } from '../../support/cache-stage.js'
import { nodeRedisCluster } from '../../support/node-redis.js'
import { record } from '../../support/records.js'
import { freePort } from '../../support/servers/free-port.js'
import { startRedis } from '../../support/servers/redis.js'
import { startRedisCluster, type RedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

t.setTimeout(300_000)

const maxAge = 1000

function ioredisCluster (t: Test, { startupNodes }: RedisCluster): Cluster {
  const client = new Cluster([...startupNodes], { clusterRetryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

function admin (t: Test, { url }: { url: string }): Redis {
  const client = new Redis(url, { retryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

const packages: Record<string, (t: Test, cluster: RedisCluster) => RedisClient | Promise<RedisClient>> = {
  ioredis: ioredisCluster,
  'node-redis': (t, { startupNodes }) => nodeRedisCluster(t, startupNodes),
}

/** Makes a replica the master. A failover is given up where its master is busy for too long, so it is asked for again. */
async function takeOver (replica: Redis): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    await replica.call('CLUSTER', 'FAILOVER').catch(() => {}) // it is the master by now, or not a replica yet
    for (let i = 0; i < 100; i++) {
      if ((await replica.info('replication')).includes('role:master')) return
      await delay(20)
    }
  }
  throw new Error('the replica does not take over')
}

function areNotOld (t: Test, ages: Ages): void {
  t.comment(`${ages.reads} reads, ${ages.hits} from the cache, ${ages.writes} writes, the oldest read ${ages.oldest.toFixed()} ms old`)
  t.ok(ages.oldest < maxAge, `the oldest read was ${ages.oldest.toFixed()} ms old`)
  t.ok(ages.hits > 100 && ages.writes > 100)
}

for (const [name, connect] of Object.entries(packages)) {
  t.test(name, async (t) => {
    await t.test('changes on all masters are heard', async (t) => {
      const cluster = await withServer(t, startRedisCluster)
      if (!cluster) return
      const place = await cacheStage(t, await connect(t, cluster), ioredisCluster(t, cluster), { maxAge: 60_000 })
      const ids = Array.from({ length: 60 }, () => randomBytes(32).toString('base64url'))
      for (const id of ids) {
        await place.other.create(id, record({ fields: new Map([['n', '1']]) }))
        await isCached(place, id)
      }
      for (const id of ids) {
        await place.other.commit(id, setTo('2'))
        t.ok(await until(place.store, '2', id) < 1000)
      }
      // One more for a read that was on the way.
      t.ok(place.count('invalidations') >= 60)
    })

    await t.test('a replica takes over, and back: no read is older than maxAge', async (t) => {
      const cluster = await withServer(t, () => startRedisCluster({ withReplicas: true }))
      if (!cluster) return
      const place = await cacheStage(t, await connect(t, cluster), ioredisCluster(t, cluster), { maxAge })
      const slot = Number(await admin(t, cluster.nodes[0]!).call('CLUSTER', 'KEYSLOT', `{${slotOf('ab')}}`))
      const owner = Math.floor(slot * 3 / 16_384)
      let isOver = false
      const running = agesOf(place, () => isOver)
      for (const server of [cluster.replicas[owner]!, cluster.nodes[owner]!]) {
        const next = admin(t, server)
        await delay(1000)
        await takeOver(next)
      }
      await delay(2000)
      isOver = true
      areNotOld(t, await running)
      await isCached(place)
    })

    await t.test('a slot moves to a master that had none: no read is older than maxAge', async (t) => {
      const cluster = await withServer(t, startRedisCluster)
      if (!cluster) return
      const place = await cacheStage(t, await connect(t, cluster), ioredisCluster(t, cluster), { maxAge })
      const bus = await freePort()
      const added = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'] })
      t.teardown(() => added.stop())
      const [to, ...old] = [added, ...cluster.nodes].map((server) => admin(t, server)) as [Redis, ...Redis[]]
      await old[0]!.call('CLUSTER', 'MEET', '127.0.0.1', added.port, bus)
      const toId = String(await to.call('CLUSTER', 'MYID'))
      for (const node of old) while (!String(await node.call('CLUSTER', 'NODES')).includes(toId)) await delay(20)
      while (!String(await to.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(20)

      const slot = Number(await to.call('CLUSTER', 'KEYSLOT', `{${slotOf('ab')}}`))
      const from = old[Math.floor(slot * 3 / 16_384)] as Redis
      let isOver = false
      const running = agesOf(place, () => isOver)
      await delay(1000)
      await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await from.call('CLUSTER', 'MYID')))
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
      await delay(500)
      for (const key of await from.call('CLUSTER', 'GETKEYSINSLOT', slot, 100) as string[]) await from.call('MIGRATE', '127.0.0.1', added.port, key, 0, 5000)
      await delay(1500)
      for (const node of [to, from, ...old.filter((node) => node !== from)]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
      await delay(2500)
      isOver = true
      areNotOld(t, await running)
      await isCached(place)
      await place.other.commit('ab', setTo('moved'))
      t.ok(await until(place.store, 'moved') < 1000)
    })
  })
}
