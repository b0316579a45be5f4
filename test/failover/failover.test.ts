import { Cluster, Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { Load } from '../support/load.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { startRedisSentinel } from '../support/servers/redis-sentinel.js'
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

/** Commits while a server is replaced by its replica, and compares the sessions with what the clients were told. */
async function failOver (t: Test, connect: () => Redis | Cluster, probeKey: string, { begin, lossless }: Outage): Promise<void> {
  const [client, bare] = [connectFor(t, connect), connectFor(t, connect)]
  await Promise.all([client, bare].map((each) => each.get('connected')))
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
  t.strictSame(await load.differences(redisStore(connectFor(t, connect), { timeout: 30_000 }), lossless ? Infinity : began - replicationLag), [])

  const heard = new Promise<void>((resolve) => { told = resolve })
  const again = await users.load(followed.token)
  again?.increment('n')
  await again?.commit()
  await heard
  await subscription?.close()
  await users.close()
}

function connectFor (t: Test, connect: () => Redis | Cluster): Redis | Cluster {
  const client = connect()
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

t.test('Sentinel: the master is killed under load', async (t) => {
  const servers = await withServer(t, startRedisSentinel)
  if (!servers) return
  const { sentinels, name, master, replica } = servers
  const look = new Redis(replica.url)
  t.teardown(() => { look.disconnect() })
  while (!(await look.info('replication')).includes('master_link_status:up')) await delay(probeEvery)
  await failOver(t, () => new Redis({ sentinels, name, retryStrategy: () => 50 }), 'probe', { begin: () => master.kill(), lossless: false })
})

for (const [title, lossless] of [['the master is killed', false], ['a replica takes over', true]] as const) {
  t.test(`a cluster with replicas: ${title} under load`, async (t) => {
    const cluster = await withServer(t, () => startRedisCluster({ withReplicas: true }))
    if (!cluster) return
    const [first, replica] = [cluster.nodes[0], cluster.replicas[0]]
    const direct = new Redis((replica as { url: string }).url)
    t.teardown(() => { direct.disconnect() })
    const begin = lossless ? () => direct.call('CLUSTER', 'FAILOVER') : async () => first?.kill()
    // A key of the first node, which has the lowest third of the slots.
    let n = 0
    while (Number(await direct.call('CLUSTER', 'KEYSLOT', `probe:${n}`)) > 5000) n++
    await failOver(t, () => new Cluster([...cluster.startupNodes], { clusterRetryStrategy: () => 50 }), `probe:${n}`, { begin, lossless })
  })
}
