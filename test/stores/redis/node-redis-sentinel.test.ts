import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { createSentinel } from 'redis'
import t, { type Test } from 'tap'
import { cached, redisStore, tokenSessions, type SessionUpdate } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { appWithLog } from '../../support/booted-app.js'
import { by, nodeRedisSentinel, throughSentinel } from '../../support/node-redis.js'
import { holdingProxy } from '../../support/redis-proxy.js'
import { startRedis, startSentinel } from '../../support/servers/redis.js'
import { startRedisSentinel } from '../../support/servers/redis-sentinel.js'
import { withServer } from '../../support/servers/require.js'

t.setTimeout(120_000)

/** A client of ioredis that goes straight to a server. */
function direct (t: Test, { url }: { url: string }): Redis {
  const client = new Redis(url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

t.test('sessions wait for no command of the application', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const proxy = await holdingProxy(t, server.port)
  const client = await throughSentinel(t, server.url, by(proxy, server))
  const users = tokenSessions({ store: redisStore(client, { timeout: 30_000 }) })
  const { token } = await users.create({ data: { n: 1 } })
  const admin = direct(t, server)
  proxy.hold('all')
  await admin.config('RESETSTAT')
  const held = [client.get('a'), client.get('b')]
  const sessions = Array.from({ length: 20 }, () => users.load(token))
  while (!/cmdstat_hgetall:calls=20,/.test(await admin.info('commandstats'))) await delay(5)
  proxy.release()
  t.strictSame((await Promise.all(sessions)).map((session) => session?.get('n')), Array(20).fill(1))
  await Promise.all(held)
})

t.test('a lease that the application does not give back: a call ends within its deadline, and nothing was sent', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await throughSentinel(t, server.url)
  const users = tokenSessions<{ n: number }>({ store: redisStore(client, { timeout: 100 }) })
  const session = await users.create({ data: { n: 1 } })
  const lease = await client.acquire()
  session.increment('n')
  await t.rejects(session.commit(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: 'no master: none was found within 90 milliseconds' } })
  await lease.release()
  t.equal((await users.load(session.token))?.get('n'), 1)
  await session.commit()
  t.equal((await users.load(session.token))?.get('n'), 2)
})

t.test('a connection that is reserved for it: leases of the application hold nothing up', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await throughSentinel(t, server.url, { reserveClient: true, masterPoolSize: 2 })
  const users = tokenSessions<{ n: number }>({ store: redisStore(client) })
  const lease = await client.acquire()
  const { token } = await users.create({ data: { n: 1 } })
  t.equal((await users.load(token))?.get('n'), 1)
  await lease.release()
})

t.test('a user who may not run INFO', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  await direct(t, server).call('ACL', 'SETUSER', 'ada', 'on', '>secret', '~*', '&*', '+@all', '-info')
  const client = await throughSentinel(t, server.url, { nodeClientOptions: { username: 'ada', password: 'secret' } })
  const users = tokenSessions<{ n: number }>({ store: redisStore(client) })
  const { token } = await users.create({ data: { n: 1 } })
  t.equal((await users.load(token))?.get('n'), 1)
})

/** True for the error of a call of which nothing was sent. */
function isMasterless (error: unknown): boolean {
  const { code, cause } = Object(error) as { code?: string, cause?: Error }
  return code === 'FST_SESSION_STORE_UNAVAILABLE' && cause?.message.startsWith('no master: ') === true
}

t.test('a master that is away: a call ends within its deadline, and nothing is sent later', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await throughSentinel(t, server.url)
  const users = tokenSessions({ store: redisStore(client, { timeout: 100 }) })
  await users.create()
  await server.kill()
  // Until the client has noticed, a command may be sent over the lost connection.
  let error: unknown
  for (let tries = 0; tries < 100 && !isMasterless(error); tries++) error = await users.create().catch((error: unknown) => error)
  t.ok(isMasterless(error), String(error))
  await server.restart()
  await client.ping()
  t.equal(await client.dbSize(), 0)
  t.match(await users.ping({ timeout: 5000 }), { ok: true })
})

t.test('a master that comes back as a replica is not read: an ended session would be', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await throughSentinel(t, server.url, { replicaPoolSize: 1 })
  const users = tokenSessions<{ n: number }>({ store: redisStore(client, { timeout: 500 }) })
  const { token } = await users.create({ data: { n: 1 } })
  const admin = direct(t, server)

  await t.test('its connections are closed, as Sentinel does it', async (t) => {
    await admin.call('REPLICAOF', '127.0.0.1', '1')
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal')
    for (let i = 0; i < 20; i++) await t.rejects(users.load(token), { code: 'FST_SESSION_STORE_UNAVAILABLE' })
    await admin.call('REPLICAOF', 'NO', 'ONE')
    t.equal((await users.load(token))?.get('n'), 1)
  })

  await t.test('its connections stay: it is noticed at the first write', async (t) => {
    await admin.call('REPLICAOF', '127.0.0.1', '1')
    await t.rejects(users.create(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: /READONLY/ } })
    await t.rejects(users.load(token), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: /READONLY/ } })
    await admin.call('REPLICAOF', 'NO', 'ONE')
    t.equal((await users.load(token))?.get('n'), 1)
  })
})

t.test('a failover that leaves the old master alive: what follows a session follows it to the new one, and so does a cache', async (t) => {
  const servers = await withServer(t, startRedisSentinel)
  if (!servers) return
  const { master, replica, sentinels: [sentinel], name } = servers
  const next = direct(t, replica)
  while (!(await next.info('replication')).includes('master_link_status:up')) await delay(20)
  const client = await nodeRedisSentinel(t, servers)
  const store = cached(redisStore(client), { maxAge: 60_000 })
  const users = tokenSessions<{ n: number }>({ store })
  const { token } = await users.create({ data: { n: 1 } })
  const isCached = async (): Promise<void> => { for (const hits = store.counts?.()['hits']; store.counts?.()['hits'] === hits; await delay(1)) await users.load(token) }
  await isCached()
  const updates: SessionUpdate[] = []
  const heard = barrier()
  await users.subscribe(token, (update) => {
    updates.push(update)
    if (update.type === 'changed' && update.keys?.includes('n')) heard.open()
  })
  await direct(t, master).call('WAIT', 1, 0) // until the replica has the session
  const ask = direct(t, { url: `redis://127.0.0.1:${sentinel?.port}` })
  while (await ask.call('SENTINEL', 'FAILOVER', name).catch(() => undefined) !== 'OK') await delay(100) // it has not seen the replica yet
  while (client.getMasterNode()?.port !== replica.port) await delay(5)
  const elsewhere = tokenSessions<{ n: number }>({ store: redisStore(next) })
  while ((await next.pubsub('CHANNELS', 'session:*') as string[]).length === 0) await delay(5)
  t.match(await direct(t, master).info('replication'), 'role:master', 'which has closed no connection yet: Sentinel makes it a replica later')
  const session = await elsewhere.load(token)
  session?.increment('n')
  await session?.commit()
  await heard.opened
  while ((await users.load(token))?.get('n') !== 2) await delay(1)
  await isCached()
  session?.increment('n')
  await session?.commit()
  while ((await users.load(token))?.get('n') !== 3) await delay(1)
  await users.close()
})

t.test('a client that is connected after the boot: the log tells of the server then', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const sentinel = await withServer(t, () => startSentinel('mine', server.port))
  if (!sentinel) return
  const client = createSentinel({ name: 'mine', sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }] })
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  const { boot, messages, next } = appWithLog(t, redisStore(client))
  await boot()
  t.match(messages, [/does not describe itself: The client is closed/])
  const told = next(/sessions are kept in/)
  await client.connect()
  await told
  t.equal(messages.length, 2)
})
