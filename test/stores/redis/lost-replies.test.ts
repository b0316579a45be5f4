import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type CompleteTokenProvider, type SessionData, type RedisClient, type TokenSession } from '../../../lib/index.js'
import { cuttingProxy } from '../../support/redis-proxy.js'
import { emitted } from '../../support/emitted.js'
import { by, nodeRedis, throughSentinel } from '../../support/node-redis.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'

type Users = CompleteTokenProvider<SessionData>
interface Stage { readonly users: Users, readonly truth: Users, cutNext (): void }

/** @param url of the server, or of a proxy before it */
type Connect = (t: Test, url: string, server: { url: string }) => Promise<RedisClient>

const ioredis = (options: object): Connect => async (t, url) => {
  const client = new Redis(url, { retryStrategy: () => 10, ...options })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await emitted(client, 'ready')
  return client
}
const clients: Record<string, Connect> = {
  ioredis: ioredis({}),
  'ioredis that forgets': ioredis({ autoResendUnfulfilledCommands: false }),
  'ioredis that forgets, with auto-pipelining': ioredis({ autoResendUnfulfilledCommands: false, enableAutoPipelining: true }),
  'node-redis': (t, url) => nodeRedis(t, url),
  'node-redis without an offline queue': (t, url) => nodeRedis(t, url, { disableOfflineQueue: true, RESP: 2 }),
  'node-redis, Sentinel': (t, url, server) => throughSentinel(t, server.url, by({ url }, server)),
}

/** Those that do not send again by themselves. */
const forgetful = ['ioredis that forgets', 'node-redis', 'node-redis, Sentinel'] as const

/** Sessions that are used through a connection that can lose a reply, and the same ones over a sound connection. */
async function stage (t: Test, connect: Connect, timeout = 20_000): Promise<Stage | undefined> {
  const server = await withServer(t, startRedis)
  if (!server) return undefined
  const proxy = await cuttingProxy(t, server.port)
  const client = await connect(t, proxy.url, server)
  const direct = await ioredis({})(t, server.url, server)
  return { users: tokenSessions({ store: redisStore(client, { timeout }) }), truth: tokenSessions({ store: redisStore(direct) }), cutNext: proxy.cutNext }
}

for (const [client, connect] of Object.entries(clients)) {
  await t.test(`${client}: a commit whose reply is lost is asked for again, and applied once`, async (t) => {
    const set = await stage(t, connect)
    if (!set) return
    const { users, truth, cutNext } = set
    const works: Record<string, [work: (session: TokenSession) => unknown, expected: object]> = {
      increment: [(session) => session.increment('n'), { n: 2 }],
      'increment, of two keys': [(session) => { session.increment('n'); session.increment('m', 5) }, { n: 2, m: 5 }],
      update: [(session) => session.update('n', (n) => Number(n) * 10), { n: 10 }],
      append: [(session) => { session.append('list', 'a') }, { list: ['a'] }],
      'set and delete': [(session) => { session.set('a', 1); session.delete('n') }, { a: 1, n: undefined }],
      subject: [(session) => { session.subject = 'ada' }, { n: 1 }],
      renew: [(session) => { session.renew(); session.increment('n') }, { n: 2 }],
      'renew, of nothing else': [(session) => { session.renew() }, { n: 1 }],
      regenerate: [(session) => { session.regenerate(['n']); session.increment('n') }, { n: 2 }],
    }
    for (const [name, [work, expected]] of Object.entries(works)) {
      await users.endAll()
      const session = await users.create({ data: { n: 1 }, subject: 'bob' })
      work(session)
      cutNext()
      await session.commit()
      t.match((await truth.load(session.token))?.data(), expected, name)
      session.increment('n')
      await session.commit()
      t.equal((await truth.load(session.token))?.get('n'), Number(session.get('n')), `${name}: what was answered is what is stored`)
      t.equal((await truth.infoAll()).sessions, 1, `${name}: there is one session`)
      t.equal(await users.endAll({ subject: session.subject ?? 'nobody' }), session.subject === undefined ? 0 : 1, `${name}: the index has it`)
    }
    await users.endAll()
    const { token } = await users.create({ data: { code: '123' } })
    const [first, second] = [await users.load(token), await users.load(token)]
    cutNext()
    t.equal(await first?.claim('code'), '123', 'claim')
    t.equal(await second?.claim('code'), undefined)
    cutNext()
    await users.end(token)
    t.equal(await truth.load(token), undefined, 'end')
    cutNext()
    t.equal((await users.create({ data: { n: 1 } })).get('n'), 1, 'create')
    t.equal((await truth.infoAll()).sessions, 1, 'create: there is one session')
  })
}

for (const client of forgetful) {
  t.test(`${client}: connections that are lost again and again, under load: nothing that was acknowledged is lost, nothing is applied twice`, async (t) => {
    const set = await stage(t, clients[client] as Connect, 60_000)
    if (!set) return
    const { users, truth, cutNext } = set
    const { token } = await users.create({ data: { n: 0, sum: 0, list: [] } })
    const visitors = 20
    const rounds = 15
    await Promise.all(Array.from({ length: visitors }, async (_, visitor) => {
      const own = await users.create({ data: { n: 0 } })
      for (let round = 0; round < rounds; round++) {
        if ((visitor + round * 7) % 11 === 0) cutNext()
        const session = await users.load(token) as TokenSession
        session.increment('n')
        if (round % 3 === 0) session.append('list', `${visitor}/${round}`)
        else session.update('sum', (sum) => Number(sum) + 1)
        own.increment('n')
        if (round % 4 === 0) own.renew()
        await Promise.all([session.commit(), own.commit()])
      }
      t.equal((await truth.load(own.token))?.get('n'), rounds)
    }))
    const { n, sum, list } = (await truth.load(token))?.data() as { n: number, sum: number, list: string[] }
    t.strictSame([n, sum + list.length, new Set(list).size], [visitors * rounds, visitors * rounds, list.length])
  })
}

for (const [client, connect] of Object.entries(clients)) {
  t.test(`${client}: a server that hangs for longer than a call may take: the outcome is unknown`, async (t) => {
    const server = await withServer(t, startRedis)
    if (!server) return
    const store = redisStore(await connect(t, server.url, server), { timeout: 200 })
    const session = await tokenSessions({ store }).create({ data: { n: 1 } })
    server.pause()
    session.increment('n')
    await t.rejects(session.commit(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
  })
}
