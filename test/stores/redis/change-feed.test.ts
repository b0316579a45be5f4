import { mock } from 'node:test'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type CompleteTokenProvider, type RedisClient, type SessionData, type SessionUpdate, type StoreEvent } from '../../../lib/index.js'
import { ChangeFeed } from '../../../lib/stores/redis/change-feed.js'
import { RedisCommands } from '../../../lib/stores/redis/commands.js'
import { redisStoreOptions } from '../../../lib/stores/redis/options.js'
import { barrier } from '../../support/barrier.js'
import { nodeRedis, throughSentinel } from '../../support/node-redis.js'
import { record } from '../../support/records.js'
import { scaled } from '../../support/scale.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'

const secret = 'the secret of an app that delivers pizza'

// The timers of subscriptions do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** More than a call takes arguments. */
const manyChannels = 130_000

/** What any client may publish on the channel of a session. */
const garbage = [
  '', 'garbage', '5', 'null', '[]', '{}', '[1,2,3]', '["changed","never","a"]', '["changed"]', '["changed","-",5]', '["changed","-1"]', '["changed","1e9"]', '["later"]', '{"0":"ended"}',
  '["ended', '"ended"', '[["ended"]]', '['.repeat(100_000), '\ud800', '["__proto__"]',
]

const clients: Record<string, (t: Test, url: string, database?: number) => RedisClient | Promise<RedisClient>> = {
  ioredis (t, url, db = 0) {
    const client = new Redis(url, { db })
    t.teardown(() => { client.disconnect() })
    return client
  },
  'node-redis, protocol 2': (t, url, database = 0) => nodeRedis(t, url, { database, RESP: 2 }),
  'node-redis, protocol 3': (t, url, database = 0) => nodeRedis(t, url, { database, RESP: 3 }),
  'node-redis, Sentinel': (t, url, database = 0) => throughSentinel(t, url, { nodeClientOptions: { database } }),
}

for (const [name, connect] of Object.entries(clients)) await t.test(name, (t) => holdsWith(t, connect, scaled(name === 'ioredis' ? 10_000 : 2500, manyChannels)))

async function holdsWith (t: Test, connect: (typeof clients)[string], count: number): Promise<void> {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = await connect(t, server.url)
  const admin = new Redis(server.url)
  t.teardown(() => { admin.disconnect() })

  const channels = async (): Promise<string[]> => (await admin.pubsub('CHANNELS') as string[]).filter((channel) => channel !== '__sentinel__:hello')

  /** Subscribes, and counts the updates. `until` waits for one. */
  async function follow (users: CompleteTokenProvider<SessionData>, name: string) {
    const updates: SessionUpdate[] = []
    let wake = (): void => {}
    const subscription = await users.subscribe({ name }, (update) => {
      updates.push(update)
      wake()
    })
    const until = async (isMeant: (update: SessionUpdate) => boolean): Promise<void> => {
      while (!updates.some(isMeant)) await new Promise<void>((resolve) => { wake = resolve })
    }
    return { subscription: subscription!, updates, until }
  }

  await t.test('garbage on the channel of a session is not taken for an event', async (t) => {
    const store = redisStore(client)
    t.teardown(() => store.close())
    await store.create('abc', record())
    const events: StoreEvent[] = []
    const over = barrier()
    await store.watch('abc', (event) => { events.push(event); if (event.type === 'ended') over.open() })
    const [channel = ''] = await channels()
    t.match(channel, /^session:\{a2\}abc:/, 'it begins with the prefix, as an access list demands')
    for (const text of garbage) t.equal(await admin.publish(channel, text), 1)
    t.equal(await admin.publish(channel, `["changed","-","${'x'.repeat(2 ** 21)}"]`), 1)
    await store.end('abc')
    await over.opened
    t.strictSame(events, [{ type: 'interrupted' }, { type: 'ended', renewed: false }], 'a message that is too long has the session looked at')
  })

  await t.test('an end that is not true is not believed, and more keys than an update names are not named', async (t) => {
    const users = tokenSessions({ store: redisStore(client), secret })
    t.teardown(() => users.close())
    const order = await users.create({ name: 'forged', shared: true })
    const { subscription, updates, until } = await follow(users, 'forged')
    const [channel = ''] = await channels()
    for (let i = 0; i < 100; i++) for (const text of ['["ended"]', '["renewed"]']) await admin.publish(channel, text)
    await admin.publish(channel, JSON.stringify(['changed', '=', ...Array.from({ length: 1001 }, (_, n) => `k${n}`)]))
    await until(({ type }) => type === 'changed')
    t.strictSame(updates, [{ type: 'changed', keys: undefined }])
    order.set('state', 'baking')
    await order.commit()
    await until((update) => update.type === 'changed' && update.keys?.[0] === 'state')
    t.equal(subscription.closed, false)
    await users.end({ name: 'forged' })
    await until(({ type }) => type === 'ended')
    t.strictSame(updates.at(-1), { type: 'ended', renewed: false })
  })

  await t.test('databases of one server: nothing of a session is told to followers of its namesake in another', async (t) => {
    const selected = new Redis(server.url)
    t.teardown(() => { selected.disconnect() })
    await selected.select(2)
    const others = [await connect(t, server.url, 1), selected]
    const here = tokenSessions({ store: redisStore(client), secret })
    t.teardown(() => here.close())
    const mine = await here.create({ name: 'order 17', shared: true, data: { state: 'baking' } })
    const { subscription, updates, until } = await follow(here, 'order 17')
    const file = new PassThrough()
    await here.save(file)
    const saved = await text(file.end())
    for (const [i, other] of others.entries()) {
      const there = tokenSessions({ store: redisStore(other), secret })
      t.teardown(() => there.close())
      await there.restore(Readable.from([Buffer.from(saved)]))
      const theirs = await follow(there, 'order 17')
      const session = (await there.open('order 17'))!
      session.set(`key ${i}`, 1)
      await session.commit()
      await there.end({ name: 'order 17' })
      await theirs.until(({ type }) => type === 'ended')
    }
    mine.set('state', 'on its way')
    await mine.commit()
    await until(({ type }) => type === 'changed')
    t.strictSame(updates, [{ type: 'changed', keys: ['state'] }])
    t.equal(subscription.closed, false)
    await here.endAll()
  })

  await t.test('a lost connection: a session that was restored meanwhile has not ended; one that was created anew has', async (t) => {
    const users = tokenSessions({ store: redisStore(client), secret })
    t.teardown(() => users.close())
    const [restored, anew] = [await users.create({ name: 'restored', shared: true, data: { a: 1 } }), await users.create({ name: 'anew', shared: true })]
    const file = new PassThrough()
    await users.save(file, { tokens: [restored.token] })
    const saved = await text(file.end())
    const [one, two] = [await follow(users, 'restored'), await follow(users, 'anew')]
    restored.set('b', 2)
    await restored.commit()
    await one.until((update) => update.type === 'changed')
    await users.restore(Readable.from([Buffer.from(saved)]), { onConflict: 'replace' })
    await one.until((update) => update.type === 'changed' && update.keys?.includes('a') === true && update.keys.includes('b'))
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await users.restore(Readable.from([Buffer.from(saved)]), { onConflict: 'replace' })
    await users.end(anew.token)
    await users.create({ name: 'anew', shared: true })
    await two.until(({ type }) => type === 'ended')
    await one.until((update) => update.type === 'changed' && update.keys === undefined)
    t.equal(one.subscription.closed, false)
    const again = (await users.open('restored'))!
    again.set('c', 3)
    await again.commit()
    await one.until((update) => update.type === 'changed' && update.keys?.includes('c') === true)
    t.notOk(one.updates.some(({ type }) => type === 'ended'))
    await users.endAll()
  })

  for (const skew of [600_000, -600_000]) {
    await t.test(`a follower whose clock is ${skew} milliseconds off is told of the expiry in time, and asks no more often than another`, async (t) => {
      const users = tokenSessions({ store: redisStore(client), secret, ttl: 1 })
      t.teardown(() => users.close())
      const began = performance.now()
      await users.create({ name: 'brief', shared: true, data: { a: 1 } })
      mock.timers.enable({ apis: ['Date'], now: Date.now() + skew })
      t.teardown(() => mock.timers.reset())
      t.equal((await users.info({ name: 'brief' }))?.timeLeft, 1)
      const { updates, until } = await follow(users, 'brief')
      await admin.config('RESETSTAT')
      await until(({ type }) => type === 'expired')
      const late = performance.now() - began - 1000
      t.ok(late >= 0 && late < 2000, `${late} milliseconds late`)
      t.strictSame(updates, [{ type: 'expired' }])
      const looks = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
      t.ok(looks >= 1 && looks <= 4, `${looks} looks`)
    })
  }

  await t.test(`${count} channels are subscribed to again after a lost connection`, async (t) => {
    const feed = new ChangeFeed(new RedisCommands(redisStoreOptions(client, undefined).connection, 60_000))
    t.teardown(() => feed.close())
    let interrupted = 0
    const all = barrier()
    const stops: Array<() => void> = []
    for (let from = 0; from < count; from += 2500) {
      stops.push(...await Promise.all(Array.from({ length: 2500 }, (_, n) => feed.listen(`many:${from + n}`, ({ type }) => {
        if (type === 'interrupted' && ++interrupted === count) all.open()
      }))))
    }
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await all.opened
    t.equal((await channels()).length, count)
    for (const stop of stops) stop()
    while ((await channels()).length > 0);
    t.pass('none of them is left')
  })
}
