import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { cached, redisStore, type CachedOptions, type CommitResult, type RedisClient } from '../../../lib/index.js'
import { cacheStage, ioredis, isCached, n, setTo, until, type CacheStage } from '../../support/cache-stage.js'
import { holdingProxy } from '../../support/redis-proxy.js'
import { nodeRedis } from '../../support/node-redis.js'
import { change, record } from '../../support/records.js'
import type { OwnServer } from '../../support/servers/own-server.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'
import { tokenApp, Visitor } from '../../support/token-app.js'

/** Milliseconds that a call of the store may take. */
const timeout = 2000

type Connect = (t: Test, url: string) => Promise<RedisClient>

const packages: Record<string, Connect> = { ioredis: async (t, url) => ioredis(t, url), 'node-redis': nodeRedis }

async function stage (t: Test, server: OwnServer, client: RedisClient, options?: CachedOptions): Promise<CacheStage & { readonly admin: Redis }> {
  const admin = ioredis(t, server.url)
  return { ...await cacheStage(t, client, admin, options), admin }
}

for (const [name, connect] of Object.entries(packages)) {
  t.test(name, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    t.beforeEach(async () => {
      const cleaner = new Redis(server.url)
      await cleaner.flushall()
      cleaner.disconnect()
    })

    await t.test('a read of a kept session sends nothing', async (t) => {
      const { store, admin, count } = await stage(t, server, await connect(t, server.url), { maxAge: 60_000 })
      const before = await admin.info('commandstats')
      const hits = count('hits')
      for (let i = 0; i < 1000; i++) t.ok(!(store.load('ab') instanceof Promise))
      t.equal(count('hits'), hits + 1000)
      const sent = (stats: string): string[] => stats.split('\r\n').filter((line) => !/^cmdstat_info|^#/.test(line)).map((line) => line.replace(/,.*/, ''))
      t.strictSame(sent(await admin.info('commandstats')), sent(before))
    })

    await t.test('whatever changes a session is heard', async (t) => {
      const place = await stage(t, server, await connect(t, server.url), { maxAge: 60_000 })
      const { store, other, admin, count } = place
      await other.commit('ab', setTo('2'))
      const took = await until(store, '2')
      t.comment(`another process's commit is seen after ${took.toFixed(1)} ms`)
      t.ok(took < 1000)
      t.equal(count('invalidations'), 1)

      await isCached(place)
      await other.renew('ab', 'ac', change())
      while ((await store.load('ab') as { successor?: string } | undefined)?.successor !== 'ac') await new Promise(setImmediate)
      await isCached(place, 'ac')
      await other.end('ac')
      await until(store, undefined, 'ac')

      await other.create('ad', record({ fields: new Map([['n', '4']]) }))
      await isCached(place, 'ad')
      await admin.unlink('session:{a0}ad')
      await until(store, undefined, 'ad')

      await other.create('ad', record({ fields: new Map([['n', '5']]) }))
      await isCached(place, 'ad')
      await admin.pexpire('session:{a0}ad', 20)
      await until(store, undefined, 'ad')

      await other.create('ad', record({ fields: new Map([['n', '6']]), deleteSession: false }))
      await isCached(place, 'ad')
      await other.commit('ad', setTo('7'))
      await until(store, '7', 'ad')

      await isCached(place, 'ad')
      await admin.flushall()
      await until(store, undefined, 'ad')
    })

    await t.test('an own write is seen by the next read, and by other caches', async (t) => {
      const { store, count } = await stage(t, server, await connect(t, server.url), { maxAge: 60_000 })
      const second = await stage(t, server, await connect(t, server.url), { maxAge: 60_000 })
      for (let i = 0; i < 50; i++) {
        const writer = i % 2 === 0 ? store : second.store
        const result = await writer.commit('ab', change({ increment: new Map([['n', 1]]) })) as Extract<CommitResult, { status: 'committed' }>
        const sum = String(result.increments[0])
        t.equal(await n(writer), sum)
        await until(writer === store ? second.store : store, sum)
      }
      t.ok(count('hits') > 25)
    })

    await t.test('prefixes of the client and of the store', async (t) => {
      const prefix = 'shöp*[a]:'
      const client = name === 'ioredis' ? new Redis(server.url, { keyPrefix: 'app?{1}' }) : await nodeRedis(t, server.url, { keyPrefix: 'app?{1}' })
      if (client instanceof Redis) t.teardown(() => { client.disconnect() })
      const [store, other] = [cached(redisStore(client, { prefix }), { maxAge: 60_000 }), redisStore(client, { prefix })]
      t.teardown(() => store.close())
      await other.create('ab', record({ fields: new Map([['n', '1']]) }))
      await isCached({ store, count: (name) => store.counts?.()[name] ?? 0 })
      await other.commit('ab', setTo('2'))
      t.ok(await until(store, '2') < 1000)
    })

    for (const held of ['feed', 'all'] as const) {
      await t.test(`the network drops packets of ${held === 'feed' ? 'the connection that hears of changes' : 'all connections'}: no read is older than maxAge`, async (t) => {
        const proxy = await holdingProxy(t, server.port)
        const maxAge = 400
        const place = await stage(t, server, await connect(t, proxy.url), { maxAge })
        const { store, other, count } = place
        proxy.hold(held)
        await other.commit('ab', setTo('2'))
        const written = performance.now()
        let oldest = 0
        const end = written + 3 * maxAge
        while (performance.now() < end) {
          const asked = performance.now()
          const hits = count('hits')
          const found = store.load('ab')
          if (count('hits') > hits) oldest = Math.max(oldest, (found as { fields: Map<string, string> }).fields.get('n') === '1' ? asked - written : 0)
          else if (held === 'feed') t.equal((await (found as Promise<{ fields: Map<string, string> }>)).fields.get('n'), '2')
          else (found as Promise<unknown>).catch(() => {})
          await delay(1)
        }
        t.ok(oldest > 0 && oldest < maxAge, `the oldest was ${oldest.toFixed()} ms old`)
        proxy.release()
        await until(store, '2')
        await isCached(place)
      })
    }

    await t.test('Redis hangs: no read is older than maxAge', async (t) => {
      const own = await startRedis()
      t.teardown(() => own.stop())
      const maxAge = 400
      const place = await stage(t, own, await connect(t, own.url), { maxAge })
      const { store, count } = place
      own.pause()
      const paused = performance.now()
      let last = 0
      while (performance.now() < paused + 3 * maxAge) {
        const [hits, asked] = [count('hits'), performance.now()]
        const found = store.load('ab')
        if (count('hits') > hits) last = asked - paused
        else (found as Promise<unknown>).catch(() => {})
        await delay(1)
      }
      t.ok(last < maxAge, `the last read from the cache was after ${last.toFixed()} ms`)
      own.resume()
      await isCached(place)
    })

    await t.test('a connection is lost: nothing that was missed meanwhile is read', async (t) => {
      const place = await stage(t, server, await connect(t, server.url), { maxAge: 60_000 })
      const { store, other, admin } = place
      for (const flag of [/ flags=\S*t/, / cmd=hgetall /]) {
        for (let i = 0; i < 5; i++) {
          const clients = String(await admin.call('CLIENT', 'LIST')).split('\n')
          const lost = clients.filter((line) => flag.test(line)).map((line) => /id=(\d+)/.exec(line)?.[1] as string)
          t.ok(lost.length > 0, `connections ${String(flag)}`)
          const before = String(i)
          await other.commit('ab', setTo(before))
          await until(store, before)
          await isCached(place)
          // In one step: from the loss on the change cannot be heard.
          await Promise.all([...lost.map((id) => admin.call('CLIENT', 'KILL', 'ID', id)), other.commit('ab', setTo(`${i}, then`))])
          const took = await until(store, `${i}, then`)
          t.ok(took < 2000, `seen after ${took.toFixed()} ms`)
          await isCached(place)
        }
      }
    })

    await t.test('the client comes to another server, while the connection that hears of changes stays: what it says counts', async (t) => {
      const next = await startRedis()
      t.teardown(() => next.stop())
      const proxy = await holdingProxy(t, server.port)
      const place = await stage(t, server, await connect(t, proxy.url), { maxAge: 60_000 })
      const later = redisStore(ioredis(t, next.url))
      await later.create('ab', record({ fields: new Map([['n', 'of the other server']]) }))
      proxy.turnTo(next.port)
      const clients = String(await place.admin.call('CLIENT', 'LIST')).split('\n')
      for (const line of clients.filter((line) => line.includes(' cmd=hgetall '))) await place.admin.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line)?.[1] as string)
      t.ok(await until(place.store, 'of the other server') < 2000)
      await isCached(place)
      await later.commit('ab', setTo('2'))
      t.ok(await until(place.store, '2') < 1000)
    })

    await t.test('Redis is restarted: its sessions of before are not read', async (t) => {
      const own = await startRedis()
      t.teardown(() => own.stop())
      const place = await stage(t, own, await connect(t, own.url), { maxAge: 60_000 })
      await own.restart()
      await until({ ...place.store, load: async (id) => { try { return await place.store.load(id) } catch { return record() } } }, undefined)
      await place.other.create('ab', record({ fields: new Map([['n', '3']]) }))
      await isCached(place)
      t.equal(await n(place.store), '3')
    })

    await t.test('what cannot be heard is never believed: the canary is not', async (t) => {
      const proxy = await holdingProxy(t, server.port)
      proxy.hold('messages')
      const client = await connect(t, proxy.url)
      const store = cached(redisStore(client, { timeout: 300 }))
      t.teardown(() => store.close())
      const log: string[] = []
      await store.checkAtBoot?.({ info () {}, error () {}, warn: (...args: unknown[]) => { log.push(String(args.at(-1))) } })
      t.strictSame(log, ['changes of sessions are not received: until they are, all sessions are read from the server'])
      await store.create('ab', record())
      for (let i = 0; i < 10; i++) await store.load('ab')
      t.match(store.counts?.(), { hits: 0, misses: 0, bypasses: 10 })
      proxy.release()
      await isCached({ store, count: (name) => store.counts?.()[name] ?? 0 })
    })
  })
}

t.test('a cache that is closed leaves no connection, whenever it is', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const admin = ioredis(t, server.url)
  const client = ioredis(t, server.url)
  await client.ping()
  for (let turns = 0; turns < 40; turns++) {
    const store = cached(redisStore(client))
    const loaded = store.load('ab')
    for (let i = 0; i < turns; i++) await new Promise(setImmediate)
    await store.close()
    await loaded
  }
  const connections = async (): Promise<number> => String(await admin.call('CLIENT', 'LIST')).split('\n').filter((line) => line !== '').length
  const began = performance.now()
  while (await connections() > 2 && performance.now() - began < 2000) await delay(10)
  t.equal(await connections(), 2, 'this one, and the application\'s')
})

t.test('sessionStats() has the counts', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const { app } = await tokenApp(t, { store: cached(redisStore(ioredis(t, server.url))) }, (app) => {
    app.get('/count', async (request) => ({ n: (await request.session).increment('n') }))
  })
  const visitor = new Visitor(app)
  const counts = (): Readonly<Record<string, number>> => app.sessionStats().session.store ?? {}
  while (counts()['hits'] !== 1) await visitor.get('/count')
  t.match(counts(), { misses: Number, bypasses: 0, invalidations: 0, stale: 0 })
})

t.test('the application tracks keys of its own, on the client that it lends', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = ioredis(t, server.url)
  await client.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'session:', 'NOLOOP')
  const place = await stage(t, server, client, { maxAge: 60_000 })
  await place.other.commit('ab', setTo('2'))
  t.ok(await until(place.store, '2') < 1000)
  t.match(await client.call('CLIENT', 'TRACKINGINFO'), ['flags', ['on', 'bcast', 'noloop']])
  await client.call('CLIENT', 'TRACKING', 'OFF')
  await isCached(place)
  await place.other.commit('ab', setTo('3'))
  t.ok(await until(place.store, '3') < 1000)
})

t.test('a Redis user', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const admin = ioredis(t, server.url)
  const rights = ['~session:*', '&session:*', '&__redis__:invalidate', '+@all']
  const clientOf = async (rights: string[]): Promise<Redis> => {
    await admin.call('ACL', 'SETUSER', 'app', 'reset', 'on', '>secret', ...rights)
    const url = new URL(server.url)
    return ioredis(t, `redis://app:secret@${url.host}`)
  }

  for (const lacking of ['-client', '-client|tracking', '-subscribe', 'resetchannels']) {
    await t.test(`with ${lacking} stops the boot; without a boot all sessions are read from Redis`, async (t) => {
      const client = await clientOf([...rights, lacking])
      const store = cached(redisStore(client, { timeout }))
      t.teardown(() => store.close())
      await t.rejects(async () => store.checkAtBoot?.({ info () {}, warn () {}, error () {} }), { code: 'FST_SESSION_STORE_UNSUPPORTED', problem: /CLIENT TRACKING/ })
      await store.create('ab', record())
      for (let i = 0; i < 10; i++) t.ok(await store.load('ab'))
      t.match(store.counts?.(), { hits: 0, bypasses: 10 })
      await store.end('ab')
    })
  }

  await t.test('with the smallest rights is served from the cache', async (t) => {
    const commands = 'evalsha eval hgetall hget hset hdel hlen exists unlink rename pexpire persist pttl time info subscribe client|id client|tracking ping'
    await stage(t, server, await clientOf([...rights.slice(0, -1), '-@all', ...commands.split(' ').map((command) => `+${command}`)]))
    t.pass('it is')
  })
})
