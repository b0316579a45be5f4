import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RedisClient } from '../../../lib/index.js'
import { agesOf, cacheStage, isCached, ioredis } from '../../support/cache-stage.js'
import { nodeRedisSentinel } from '../../support/node-redis.js'
import { startRedisSentinel, type RedisSentinel } from '../../support/servers/redis-sentinel.js'
import { withServer } from '../../support/servers/require.js'
import { tokenApp, Visitor } from '../../support/token-app.js'

t.setTimeout(120_000)

const maxAge = 1000

type Connect = (t: Test, servers: RedisSentinel) => RedisClient | Promise<RedisClient>

const packages: Record<string, Connect> = { ioredis: throughSentinel, 'node-redis': nodeRedisSentinel }

function throughSentinel (t: Test, { sentinels, name }: RedisSentinel): Redis {
  const client = new Redis({ sentinels, name, retryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

async function start (t: Test): Promise<RedisSentinel | undefined> {
  const servers = await withServer(t, startRedisSentinel)
  if (!servers) return undefined
  const look = ioredis(t, servers.replica.url)
  while (!(await look.info('replication')).includes('master_link_status:up')) await delay(20)
  return servers
}

async function readsNothingOld (t: Test, connect: Connect): Promise<void> {
  const servers = await start(t)
  if (!servers) return
  const other = throughSentinel(t, servers)
  const place = await cacheStage(t, await connect(t, servers), other, { maxAge })
  let isOver = false
  let hasReplica = true
  const running = agesOf(place, () => isOver, async () => !hasReplica || await other.wait(1, 1000) > 0)
  await delay(1000)
  await servers.master.kill()
  hasReplica = false
  await isPromoted(t, servers)
  await delay(2000)
  isOver = true
  const ages = await running
  t.comment(`${ages.reads} reads, ${ages.hits} from the cache, ${ages.writes} writes, the oldest read ${ages.oldest.toFixed()} ms old`)
  t.ok(ages.oldest < maxAge)
  t.ok(ages.hits > 100 && ages.writes > 100)
  await isCached(place)
}

/** Resolves once the replica is the master. */
async function isPromoted (t: Test, { replica }: RedisSentinel): Promise<void> {
  const client = ioredis(t, replica.url)
  while (!(await client.info('replication')).includes('role:master')) await delay(20)
}

async function readsThroughout (t: Test, connect: Connect): Promise<void> {
  const servers = await start(t)
  if (!servers) return
  const { store } = await cacheStage(t, await connect(t, servers), throughSentinel(t, servers), { staleIfError: 30 }, 500)
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/login', async (request) => { (await request.session).set('user', 'ada'); return 'in' })
    app.get('/read', async (request) => ({ user: (await request.session).get('user') }))
    app.get('/write', async (request) => ({ n: (await request.session).increment('n') }))
  })
  const visitors = Array.from({ length: 20 }, () => new Visitor(app))
  for (const visitor of visitors) await visitor.get('/login')
  for (const visitor of visitors) await visitor.get('/read')
  await delay(200)

  const answers: Array<{ status: number, took: number }> = []
  const state = { isOver: false }
  const running = Promise.all(visitors.map(async (visitor) => {
    while (!state.isOver) {
      const began = performance.now()
      const reply = await visitor.get('/read')
      answers.push({ status: reply.json<{ user?: string }>().user === 'ada' ? 200 : reply.statusCode, took: performance.now() - began })
      await delay(5)
    }
  }))
  await delay(500)
  const began = performance.now()
  await servers.master.kill()
  const written = await new Visitor(app).get('/write')
  t.equal(written.statusCode, 503, 'what is written fails as ever')
  await isPromoted(t, servers)
  const outage = performance.now() - began
  await delay(1000)
  state.isOver = true
  await running
  const took = answers.map(({ took }) => took).sort((a, b) => a - b)
  t.comment(`an outage of ${outage.toFixed()} ms: ${answers.length} reads, p50 ${took[took.length >> 1]?.toFixed(1)} ms, p99 ${took[Math.floor(took.length * 0.99)]?.toFixed(1)} ms, ${store.counts?.()['stale']} of them stale`)
  t.strictSame(answers.filter(({ status }) => status !== 200), [])
}

for (const [name, connect] of Object.entries(packages)) {
  t.test(`${name}: Sentinel makes the replica the master: no read is older than maxAge`, (t) => readsNothingOld(t, connect))
  t.test(`${name}: with staleIfError a failover costs reading routes no error`, (t) => readsThroughout(t, connect))
}
