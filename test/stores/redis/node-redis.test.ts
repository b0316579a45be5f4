import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { createClient, createClientPool, createCluster, createSentinel, RESP_TYPES } from 'redis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type RedisClient } from '../../../lib/index.js'
import { emitted } from '../../support/emitted.js'
import { by, nodeRedis, throughSentinel } from '../../support/node-redis.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { startRedis } from '../../support/servers/redis.js'
import { redisForTest, withServer } from '../../support/servers/require.js'

/** A proxy that keeps what is sent through it, a chunk for each write. */
async function recordingProxy (t: Test, target: number): Promise<{ url: string, chunks: string[] }> {
  const chunks: string[] = []
  const proxy = createServer((client) => {
    const server = connect(target, '127.0.0.1')
    for (const socket of [client, server]) socket.on('error', () => {}).once('close', () => { client.destroy(); server.destroy() })
    client.on('data', (chunk) => { chunks.push(chunk.toString()); server.write(chunk) })
    server.pipe(client)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  return { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`, chunks }
}

t.test('what is no client, or one that cannot be used, is refused by name', async (t) => {
  const pool = createClientPool({ url: 'redis://127.0.0.1:1' })
  const version4 = { sendCommand () {}, duplicate () {}, connect () {} }
  const version58 = { ...version4, withTypeMapping () {} }
  for (const not of [pool, version4, version58, {}, null, 'redis://localhost']) {
    t.throws(() => redisStore(not as never as RedisClient), { code: 'FST_SESSION_OPTION', message: /redisStore\(\).*an ioredis client.*node-redis 5.9 or newer/ })
  }
  const early = Object.assign(createSentinel({ name: 'x', sentinelRootNodes: [] }), { duplicate: undefined }) as never as RedisClient
  t.doesNotThrow(() => redisStore(early), 'createSentinel() of node-redis 5.9')
  t.throws(() => redisStore(createCluster({ rootNodes: [] }), { prefix: 'a{}:' }), { code: 'FST_SESSION_OPTION', message: /hash tag/ })
  t.throws(() => redisStore(createCluster({ rootNodes: [], keyPrefix: '{' })), { code: 'FST_SESSION_OPTION', message: /hash tag/ })
})

t.test('a client that is not connected: nothing was sent, and nothing is of unknown outcome', async (t) => {
  const users = tokenSessions({ store: redisStore(createClient({ url: 'redis://127.0.0.1:1' }), { timeout: 20_000 }) })
  await t.rejects(users.create(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: 'The client is closed' } })
  for (const client of [createCluster({ rootNodes: [] }), createSentinel({ name: 'x', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] })]) {
    const users = tokenSessions({ store: redisStore(client, { timeout: 20_000 }) })
    await t.rejects(users.create(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: 'The client is closed' } })
  }
})

t.test('without an offline queue a write during an outage is refused at once', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await nodeRedis(t, server.url, { disableOfflineQueue: true })
  const users = tokenSessions({ store: redisStore(client, { timeout: 20_000 }) })
  const lost = emitted(client, 'reconnecting')
  await server.kill()
  await lost
  await t.rejects(users.create(), { code: 'FST_SESSION_STORE_UNAVAILABLE', cause: { message: 'The client is offline' } })
})

t.test('a write that waits for a connection longer than its call may take is not sent later', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await nodeRedis(t, server.url)
  const store = redisStore(client, { timeout: 50 })
  const lost = emitted(client, 'reconnecting')
  await server.kill()
  await lost
  await t.rejects(tokenSessions({ store }).create(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
  const ready = emitted(client, 'ready')
  await server.restart()
  await ready
  await client.ping()
  t.equal(await client.dbSize(), 0)
})

const server = await redisForTest(t)
if (server) {
  const { url } = server
  const admin = new Redis(url)
  const prefix = redisPrefix(t, admin)

  for (const [name, connect] of Object.entries<(t: Test, proxy: { url: string }) => Promise<RedisClient>>({
    'a single server': (t, proxy) => nodeRedis(t, proxy.url),
    Sentinel: (t, proxy) => throughSentinel(t, url, by(proxy, server)),
  })) {
    await t.test(`the commands of one turn go out in one write: ${name}`, async (t) => {
      const { chunks, ...proxy } = await recordingProxy(t, Number(new URL(url).port))
      const users = tokenSessions({ store: redisStore(await connect(t, proxy), { prefix, timeout: 30_000 }) })
      const tokens = await Promise.all(Array.from({ length: 50 }, async (_, n) => (await users.create({ data: { n } })).token))
      chunks.length = 0
      const sessions = await Promise.all(tokens.map((token) => users.load(token)))
      t.strictSame(sessions.map((session) => session?.get('n')), tokens.map((_, n) => n))
      t.strictSame(chunks.map((chunk) => chunk.match(/HGETALL/g)?.length), [50])
    })
  }

  await t.test('the types that the application has chosen for its replies, a client-side cache and a prefix of keys', async (t) => {
    const clients: Record<string, RedisClient> = {
      'Buffers, by the client': await nodeRedis(t, url, { commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.MAP]: Map } } }),
      'Buffers, by a proxy': (await nodeRedis(t, url)).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String }),
      'client-side cache': await nodeRedis(t, url, { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } }),
      keyPrefix: await nodeRedis(t, url, { keyPrefix: `${prefix}of the client:` }),
      'Sentinel and Buffers, by the client': await throughSentinel(t, url, { commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.MAP]: Map } } }),
      'Sentinel and Buffers, by a proxy': (await throughSentinel(t, url)).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String }),
      'Sentinel and client-side cache': await throughSentinel(t, url, { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } }),
      'Sentinel and keyPrefix': await throughSentinel(t, url, { keyPrefix: `${prefix}of the client:` }),
    }
    for (const [name, client] of Object.entries(clients)) {
      const hasPrefix = name.endsWith('keyPrefix')
      const own = hasPrefix ? 'own:' : `${prefix}${name}:`
      const users = tokenSessions<{ n: number }>({ store: redisStore(client, { prefix: own }), secret: 'x'.repeat(32) })
      const truth = tokenSessions<{ n: number }>({ store: redisStore(admin, { prefix: hasPrefix ? `${prefix}of the client:own:` : own }) })
      const session = await users.create({ data: { n: 1 }, subject: 'ada' })
      session.increment('n')
      await session.commit()
      t.equal((await users.load(session.token))?.get('n'), 2, name)
      const elsewhere = await truth.load(session.token)
      elsewhere?.set('n', 7)
      await elsewhere?.commit()
      t.equal((await users.load(session.token))?.get('n'), 7, `${name}: what another client wrote is read`)
      t.match(await users.infoAll(), { sessions: 1, damaged: 0 })
      t.equal((await users.info(session.token))?.keys, 1)
      const updated = new Promise((resolve) => { users.subscribe(session.token, resolve).catch(resolve).then(async () => { elsewhere?.increment('n'); await elsewhere?.commit() }, resolve) })
      t.match(await updated, { type: 'changed', keys: ['n'] })
      t.equal(await users.endAll({ subject: 'ada' }), 1)
      await users.close()
    }
  })
}
