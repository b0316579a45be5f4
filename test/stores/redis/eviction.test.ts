import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type CompleteTokenManager, type SessionData } from '../../../lib/index.js'
import { bootedApp } from '../../support/booted-app.js'
import { startRedis } from '../../support/servers/redis.js'
import { startRedisCluster } from '../../support/servers/redis-cluster.js'
import { withServer } from '../../support/servers/require.js'

/** Sessions on a server of their own that evicts, or does not. */
async function sessionsOn (t: Test, policy: string, options: { deleteSession?: boolean } = {}): Promise<{ client: Redis, users: CompleteTokenManager<SessionData> } | undefined> {
  const server = await withServer(t, () => startRedis({ args: ['--maxmemory', '100mb', '--maxmemory-policy', policy] }))
  if (!server) return undefined
  const client = new Redis(server.url)
  t.teardown(() => { client.disconnect() })
  return { client, users: tokenSessions({ store: redisStore(client, { timeout: 30_000 }), secret: 'x'.repeat(32), ...options }) }
}

t.test('the sessions of a subject are found and ended when their index is evicted', async (t) => {
  const { client, users } = await sessionsOn(t, 'volatile-lru') ?? {}
  if (!client || !users) return
  const tokens: string[] = []
  for (let i = 0; i < 3; i++) tokens.push((await users.create({ subject: 'ada' })).token)
  await users.create({ subject: 'bob' })
  await client.unlink('session:subject:{ada}')
  tokens.push((await users.create({ subject: 'ada' })).token) // an index of this one alone
  const listed: string[] = []
  for await (const { id } of users.list({ subject: 'ada' })) listed.push(id)
  t.equal(new Set(listed).size, 4)
  t.equal(listed.length, 4, 'each once')
  t.equal(await users.endAll({ subject: 'ada' }), 4)
  t.equal((await users.exists(tokens)).count, 0)
  t.equal(await users.endAll(), 1)
})

t.test('update() of a subject gives no session to its function twice, also one that is renewed meanwhile', async (t) => {
  const { client, users } = await sessionsOn(t, 'volatile-lru') ?? {}
  if (!client || !users) return
  const { token } = await users.create({ subject: 'ada', data: { visits: 0 } })
  let renewed = token
  t.equal(await users.update({ subject: 'ada' }, async (session) => {
    session.increment('visits')
    const own = await users.load(renewed)
    own?.renew()
    await own?.commit()
    renewed = own?.token as string
  }), 1)
  t.strictSame((await users.load(renewed))?.data(), { visits: 1 })
})

t.test('a user who may not ask whether the server evicts has all sessions looked at', async (t) => {
  const { client, users } = await sessionsOn(t, 'noeviction') ?? {}
  if (!client || !users) return
  await client.acl('SETUSER', 'default', '-info')
  await users.create({ subject: 'ada' })
  await client.unlink('session:subject:{ada}')
  t.equal(await users.endAll({ subject: 'ada' }), 1)
})

t.test('a server that does not evict is asked for the index alone', async (t) => {
  const { client, users } = await sessionsOn(t, 'noeviction') ?? {}
  if (!client || !users) return
  await users.create({ subject: 'ada' })
  t.equal(await users.endAll({ subject: 'ada' }), 1)
  t.notMatch(await client.info('commandstats'), /cmdstat_scan:/)
})

t.test('a new session of a name does not begin with the data of one that was evicted', async (t) => {
  const { client, users } = await sessionsOn(t, 'allkeys-lru', { deleteSession: false }) ?? {}
  if (!client || !users) return
  await users.create({ name: 'order', shared: true, data: { address: 'of the first customer' } })
  for (const key of await client.keys('*')) if (!key.endsWith(':data')) await client.unlink(key)
  await users.create({ name: 'order', shared: true, data: { state: 'baking' } })
  t.strictSame((await users.open('order'))?.data(), { state: 'baking' })
  for (const key of await client.keys('*')) if (!key.endsWith(':data')) await client.unlink(key)
  await users.create({ name: 'order', shared: true })
  t.strictSame((await users.open('order'))?.data(), {}, 'also one that begins without data')
})

for (const [policy, warned] of [['noeviction', false], ['volatile-lru', true]] as const) {
  t.test(`the log tells of the server when the plugin is registered: ${policy}`, async (t) => {
    const { client } = await sessionsOn(t, policy) ?? {}
    if (!client) return
    const { messages } = await bootedApp(t, redisStore(client))
    t.match(messages[0], new RegExp(`^sessions are kept in (Redis|Valkey) \\d+\\.\\d+\\.\\d+, maxmemory-policy ${policy}$`))
    t.match(messages.slice(1), warned ? [/may lose sessions: its server evicts keys/] : [])
  })
}

t.test('a cluster is looked at by a user who may read the keys of the store alone', async (t) => {
  const cluster = await withServer(t, startRedisCluster)
  if (!cluster) return
  for (const { url } of cluster.nodes) {
    const admin = new Redis(url)
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~shop:*', '&shop:*', '+@all')
    admin.disconnect()
  }
  const client = new Cluster([...cluster.startupNodes], { lazyConnect: true, redisOptions: { username: 'app', password: 'secret' } })
  t.teardown(() => { client.disconnect() })
  const { messages } = await bootedApp(t, redisStore(client, { prefix: 'shop:', timeout: 30_000 }))
  t.match(messages, [/^sessions are kept in (Redis|Valkey) [\d.]+, a cluster of 3 masters, maxmemory-policy noeviction$/])
})

t.test('a server that is away at boot does not stop it, and is looked at once it is there', async (t) => {
  const server = await withServer(t, () => startRedis())
  if (!server) return
  await server.kill()
  const client = new Redis(server.url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  const { messages, next } = await bootedApp(t, redisStore(client, { timeout: 200 }))
  t.match(messages, [/^the server of the session store does not describe itself: /])
  const told = next(/^sessions are kept in /)
  await server.restart()
  await told
})
