import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { redisStore, type CompleteStore, type SessionRecord, type StoreEvent } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { fakeClock } from '../../support/clock.js'
import { conformsOnRedis } from '../../support/conformance.js'
import { change, record, recordOf } from '../../support/records.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'

/** The smallest ACL under which everything works, for keys with this prefix. */
const smallest = (prefix: string): string[] => [
  'resetkeys', 'resetchannels', '-@all', `~${prefix}*`, `&${prefix}*`,
  ...'evalsha eval hgetall hget hset hdel hkeys hlen exists unlink rename pexpire persist pttl publish subscribe unsubscribe scan time'.split(' ').map((command) => `+${command}`),
  ...'zadd zrem zscan zrange zremrangebyscore pexpireat time'.split(' ').map((command) => `+${command}`),
]

/** What caches and feeds need besides. */
const tracking = ['&__redis__:invalidate', ...'client|id client|tracking ping'.split(' ').map((command) => `+${command}`)]

/** A client whose user has these rights. */
async function userWith (t: Test, admin: Redis, port: number, rights: string[]): Promise<Redis> {
  const username = randomUUID()
  await admin.call('ACL', 'SETUSER', username, 'reset', 'on', '>secret', ...rights)
  const client = new Redis({ port, host: '127.0.0.1', username, password: 'secret', enableReadyCheck: false })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

const server = await withServer(t, startRedis)
if (server) {
  const admin = new Redis(server.url)
  t.teardown(() => { admin.disconnect() })
  const now = Date.now()
  const stored = record({ fields: new Map([['a', '1'], ['b', '1']]), createdAt: now, expiresAt: now + 600_000 })
  const work = change({ set: new Map([['a', '2']]), remove: ['b'], expiresAt: now + 900_000, ttl: 7 })

  await t.test('a user who may not publish: everything is written', async (t) => {
    const client = await userWith(t, admin, server.port, ['~*', '+@all', 'resetchannels'])
    const [store, watching] = [redisStore(client), redisStore(admin)]
    t.teardown(() => watching.close())
    for (const deleteSession of [true, false]) {
      const [id, newId] = deleteSession ? ['ab1', 'ab2'] as const : ['ab3', 'ab4'] as const
      await store.create(id, { ...stored, deleteSession })
      await watching.watch(id, () => {})
      t.match(await store.commit(id, work), { status: 'committed' })
      t.match(await store.renew(id, newId, { ...work, set: new Map([['a', '3']]) }), { status: 'committed' })
      t.strictSame(await store.load(id), { how: 'renewed', successor: newId })
      t.strictSame((await recordOf(store, newId))?.fields, new Map([['a', '3']]))
      await watching.watch(newId, () => {})
      await store.replace(newId, { ...stored, deleteSession })
      t.strictSame((await recordOf(store, newId))?.fields, stored.fields)
      t.equal(await store.end(newId), true)
      t.equal(await store.load(newId), undefined)
    }
  })

  await t.test('a user who may not run one of the commands: a write is done, or nothing of it is', async (t) => {
    const owner = redisStore(admin)
    const steps: Array<(store: CompleteStore, id: string, one: SessionRecord) => Promise<unknown>> = [
      async (store, id, one) => store.create(`${id}new`, one),
      async (store, id) => store.commit(id, work),
      async (store, id) => store.commit(id, { ...work, clear: true, remove: [], expiresAt: null }),
      async (store, id) => store.commit(id, { ...work, ttl: undefined, from: await recordOf(owner, id) }),
      async (store, id) => store.renew(id, `${id}new`, work),
      async (store, id, one) => store.regenerate(id, `${id}new`, one),
      async (store, id, one) => store.replace(id, { ...one, fields: new Map([['c', '1']]) }),
      async (store, id) => store.end(id),
    ]
    for (const command of 'hset hdel hkeys exists unlink rename pexpire persist pttl publish'.split(' ')) {
      const client = await userWith(t, admin, server.port, ['~*', '&*', '+@all', `-${command}`])
      const store = redisStore(client)
      for (const deleteSession of [true, false]) {
        for (const step of steps) {
          const id = `ab${randomUUID()}`
          const one = { ...stored, deleteSession }
          await owner.create(id, one)
          const before = [await owner.load(id), await owner.describe(id)]
          const failed = await step(store, id, one).then(() => false, () => true)
          if (!failed) continue
          const [record, summary] = [await owner.load(id), await owner.describe(id)]
          t.strictSame([record, { ...summary, timeLeft: null }], [before[0], { ...before[1], timeLeft: null }], `without ${command}, ${String(step)}`)
          t.ok((summary?.timeLeft ?? 0) <= (one.expiresAt ?? 0) - one.createdAt, 'its expiry is as it was')
          t.equal(await owner.load(`${id}new`), undefined)
          t.equal((await admin.keys(`session:*${id}new*`)).length, 0)
        }
      }
    }
  })

  await t.test('messages come in the order of the events', async (t) => {
    const store = redisStore(admin)
    t.teardown(() => store.close())
    const events: StoreEvent[] = []
    const over = barrier()
    await store.create('abc', stored)
    await store.watch('abc', (event) => { events.push(event); if (event.type === 'ended') over.open() })
    await store.renew('abc', 'abd', { ...work, remove: [] })
    await over.opened
    t.match(events, [{ type: 'changed', keys: ['a'], timeLeft: Number }, { type: 'ended', renewed: true }])
  })

  await t.test('the smallest ACL', async (t) => {
    const tick = fakeClock(t, ['Date'])
    const prefix = `${randomUUID()}:`
    const client = await userWith(t, admin, server.port, smallest(prefix))
    await conformsOnRedis(t, client, prefix, tick, admin, (store) => store, ['list', 'subjects', 'restore', 'watch', 'lease'])
    const tracker = await userWith(t, admin, server.port, [...smallest(prefix), ...tracking])
    await t.test('and what caches and feeds need', (t) => conformsOnRedis(t, tracker, prefix, tick, admin, (store) => store, ['track', 'lease']))
  })
}
