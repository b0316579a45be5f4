import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type RedisClient, type TokenSession } from '../../../lib/index.js'
import { nodeRedisCluster } from '../../support/node-redis.js'
import { startRedisCluster, type RedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

type Data = { n?: number }

const ioredis = (enableAutoPipelining: boolean) => (t: Test, { startupNodes }: RedisCluster): Cluster => {
  const client = new Cluster([...startupNodes], { enableAutoPipelining })
  t.teardown(() => { client.disconnect() })
  return client
}

const clients: Record<string, (t: Test, cluster: RedisCluster) => RedisClient | Promise<RedisClient>> = {
  ioredis: ioredis(false),
  'ioredis with auto-pipelining': ioredis(true),
  'node-redis': (t, { startupNodes }) => nodeRedisCluster(t, startupNodes),
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`while a slot moves, ${name}`, async (t) => {
    const cluster = await withServer(t, () => startRedisCluster({ masters: 2 }))
    if (!cluster) return
    const [from, to] = cluster.nodes.map((node) => new Redis(node.url)) as [Redis, Redis]
    t.teardown(() => { for (const each of [from, to]) each.disconnect() })
    const client = await connect(t, cluster)
    const users = tokenSessions<Data>({ store: redisStore(client, { timeout: 30_000 }), secret: 'x'.repeat(32) })
    const [fromId, toId] = [await from.call('CLUSTER', 'MYID'), await to.call('CLUSTER', 'MYID')] as [string, string]

    /** A session in the slots of the first node, and its keys. */
    async function sessionOnFirst (options: { deleteSession?: boolean } = {}): Promise<{ session: TokenSession<Data>, keys: string[], slot: number }> {
      for (;;) {
        const session = await users.create({ data: { n: 1 }, ...options })
        const keys = await from.keys('session:{*')
        if (keys.length > 0) return { session, keys, slot: Number(await from.call('CLUSTER', 'KEYSLOT', keys[0] as string)) }
        await users.end(session.token)
      }
    }
    const begin = async (slot: number): Promise<void> => {
      await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    }
    const move = async (keys: string[]): Promise<void> => {
      for (const key of keys) await from.call('MIGRATE', '127.0.0.1', (cluster.nodes[1] as { port: number }).port, key, 0, 5000)
    }
    const stop = async (slot: number): Promise<void> => {
      await from.call('CLUSTER', 'SETSLOT', slot, 'STABLE')
      await to.call('CLUSTER', 'SETSLOT', slot, 'STABLE')
      await to.flushall()
      await from.flushall()
    }

    await t.test('a session is read, written, followed and ended on both sides', async (t) => {
      const { session, keys, slot } = await sessionOnFirst()
      await begin(slot)
      const add = async (n: number): Promise<void> => {
        const again = await users.load(session.token)
        t.equal(again?.get('n'), n)
        again?.increment('n')
        await again?.commit()
      }
      await add(1)
      await move(keys)
      await add(2)
      t.equal((await users.info(session.token))?.keys, 1)
      const told: unknown[] = []
      const subscription = await users.subscribe(session.token, (update) => { told.push(update) })
      t.ok(subscription)
      await subscription?.close()
      t.equal(await users.end(session.token), true)
      t.equal(await users.load(session.token), undefined)
      await stop(slot)
    })

    await t.test('a session that outlives its data, once both its keys are on one side', async (t) => {
      const { session, keys, slot } = await sessionOnFirst({ deleteSession: false })
      t.equal(keys.length, 2)
      await begin(slot)
      session.increment('n')
      await session.commit()
      await move(keys)
      session.increment('n')
      await session.commit()
      t.equal((await users.load(session.token))?.get('n'), 3)
      t.equal((await users.info(session.token))?.keys, 1)
      t.equal(await users.end(session.token), true)
      t.strictSame([await from.keys('*'), await to.keys('*')], [[], []])
      await stop(slot)
    })
  })
}
