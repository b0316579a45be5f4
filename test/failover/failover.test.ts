import { Cluster, Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type RedisClient } from '../../lib/index.js'
import { Load } from '../support/load.js'
import { nodeRedisCluster, nodeRedisSentinel } from '../support/node-redis.js'
import { startRedisCluster, type RedisCluster } from '../support/servers/redis-cluster.js'
import { startRedisSentinel, type RedisSentinel } from '../support/servers/redis-sentinel.js'
import { withServer } from '../support/servers/require.js'

t.setTimeout(300_000)

const clients = 50
/** Milliseconds that a call of the store may take. */
const timeout = 1000
/** Milliseconds before the end of a server from which on its replica may lack what it has acknowledged. */
const replicationLag = 50
/** Milliseconds in which a client of its own, without the library, tries again. */
const probeEvery = 20

interface Outage {
  /** Begins it, and resolves when the server is gone. */
  readonly begin: () => Promise<unknown>
  /** True where what was acknowledged is kept throughout. */
  readonly lossless: boolean
}

/** A client, as the store and as the test itself use it. */
type Client = RedisClient & { set (key: string, value: string): Promise<unknown> }
type Connect<Servers> = (t: Test, servers: Servers) => Client | Promise<Client>

const packages: Record<string, { readonly sentinel: Connect<RedisSentinel>, readonly cluster: Connect<RedisCluster> }> = {
  ioredis: {
    sentinel: (t, { sentinels, name }) => closedAfter(t, new Redis({ sentinels, name, retryStrategy: () => 50 })),
    cluster: (t, { startupNodes }) => closedAfter(t, new Cluster([...startupNodes], { clusterRetryStrategy: () => 50 })),
  },
  'node-redis': {
    sentinel: nodeRedisSentinel,
    cluster: (t, { startupNodes }) => nodeRedisCluster(t, startupNodes),
  },
}

function closedAfter (t: Test, client: Redis | Cluster): Redis | Cluster {
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

/** Commits while a server is replaced by its replica, and compares the sessions with what the clients were told. */
async function failOver (t: Test, connect: () => Client | Promise<Client>, probeKey: string, { begin, lossless }: Outage): Promise<void> {
  const [client, bare] = await Promise.all([connect(), connect()])
  await Promise.all([client, bare].map((each) => each.set('connected', '1')))
  const store = redisStore(client, { timeout })
  const users = tokenSessions<{ n: number, last?: number }>({ store })
  const load = new Load(users, 7)
  await load.begin(clients)
  const followed = await users.create({ data: { n: 0 } })
  let told: (() => void) | undefined
  const subscription = await users.subscribe(followed.token, () => { told?.() })

  const state = { isOver: false }
  const running = load.run(() => state.isOver)
  while (load.commits < 2000) await delay(probeEvery)
  const began = performance.now()
  await begin()
  let bareAt = 0
  while (bareAt === 0) {
    await delay(probeEvery)
    await Promise.race([bare.set(probeKey, '1').then(() => { bareAt = performance.now() }, () => {}), delay(timeout)])
  }
  const { commits } = load
  while (!load.hasServedAllSince(bareAt) && performance.now() < bareAt + 10_000) await delay(probeEvery)
  const behind = performance.now() - bareAt
  while (load.commits < commits + 2000) await delay(probeEvery)
  state.isOver = true
  await running

  t.comment(`${load.commits} commits, ${JSON.stringify(Object.fromEntries(load.codes))}, slowest ${load.slowest.toFixed()} ms, the outage of a bare client ${(bareAt - began).toFixed()} ms, all served again ${behind.toFixed()} ms later`)
  t.strictSame(load.unnamed, [], 'no other errors than those that are named for it')
  t.ok(load.slowest < 2 * timeout + 5000, 'a reading and a commit within the deadline of each')
  t.ok(load.hasServedAllSince(bareAt), 'all are served again')
  t.strictSame(await load.differences(redisStore(await connect(), { timeout: 30_000 }), lossless ? Infinity : began - replicationLag), [])

  const heard = new Promise<void>((resolve) => { told = resolve })
  const again = await users.load(followed.token)
  again?.increment('n')
  await again?.commit()
  await heard
  await subscription?.close()
  await users.close()
}

for (const [name, { sentinel, cluster }] of Object.entries(packages)) {
  t.test(`${name}, Sentinel: the master is killed under load`, async (t) => {
    const servers = await withServer(t, startRedisSentinel)
    if (!servers) return
    const { master, replica } = servers
    const look = closedAfter(t, new Redis(replica.url))
    while (!(await look.info('replication')).includes('master_link_status:up')) await delay(probeEvery)
    await failOver(t, () => sentinel(t, servers), 'probe', { begin: () => master.kill(), lossless: false })
  })

  for (const [title, lossless] of [['the master is killed', false], ['a replica takes over', true]] as const) {
    t.test(`${name}, a cluster with replicas: ${title} under load`, async (t) => {
      const servers = await withServer(t, () => startRedisCluster({ withReplicas: true }))
      if (!servers) return
      const [first, replica] = [servers.nodes[0], servers.replicas[0]]
      const direct = closedAfter(t, new Redis((replica as { url: string }).url))
      const begin = lossless ? () => direct.call('CLUSTER', 'FAILOVER') : async () => first?.kill()
      // A key of the first node, which has the lowest third of the slots.
      let n = 0
      while (Number(await direct.call('CLUSTER', 'KEYSLOT', `probe:${n}`)) > 5000) n++
      await failOver(t, () => cluster(t, servers), `probe:${n}`, { begin, lossless })
    })
  }
}
