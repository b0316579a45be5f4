import { Redis } from 'ioredis'
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { assertNoOpenSessions, errors, memoryStore, redisStore, tokenSessions, type SessionRecord, type SessionStore } from '../../lib/index.js'
import { bytes, checkPrototypes, inputCount, mutated } from '../support/fuzz/laws.js'
import { Random } from '../support/random.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp } from '../support/token-app.js'

/** Requests at a time. */
const width = 50
const half = inputCount / 2
const token = (seed: number): string => createHash('sha256').update(String(seed)).digest('base64url')
const idOf = (token: string): string => createHash('sha256').update(token).digest('base64url')

/** The text of a value as a damaged store may have it. */
function anyText (random: Random): string {
  return random.pick([
    () => mutated(random, '{"a":[1,2,{"b":"c"}],"n":5}'), () => bytes(random, 20), () => '{"__proto__":{"polluted":true}}', () => '['.repeat(random.below(5000)),
    () => '-', () => '', () => '"\\ud800"', () => 'null', () => 'undefined', () => '"text"', () => '7',
  ])()
}

function anyKey (random: Random): string {
  return random.pick(['a', 'n', '__proto__', 'constructor', 'toString', '\u0000', bytes(random, 5) || 'b'])
}

/** Requests that read and write damaged sessions: each is answered, if with an error then one that has a name. */
async function answersAll (t: Test, store: SessionStore, count: number, damage: (seed: number, random: Random) => unknown): Promise<void> {
  // The last is of the commit after a handler that has failed already: the reply keeps the status of the first error.
  const named = ['FST_SESSION_RECORD', 'FST_SESSION_STORE_UNAVAILABLE', 'FST_SESSION_GONE']
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/read', async (request) => (await request.session).data())
    app.get('/write', async (request) => {
      const session = await request.session
      session.set('a', 1)
      session.update('b', (value) => value)
      session.delete('n')
      return session.size
    })
    app.get('/renew', async (request) => {
      const session = await request.session
      if (!session.shared) session.renew()
      session.expire(60)
    })
    app.get('/regenerate', async (request) => {
      const session = await request.session
      if (!session.shared) session.regenerate(['a', '__proto__'])
    })
    app.get('/anonymous', { config: { session: { onStoreError: 'anonymous' } } }, async (request) => (await request.session).data())
    app.get('/end', async (request) => { (await request.session).end() })
  })
  const problems: string[] = []
  const codes = new Map<string, number>()
  let next = 0
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count && problems.length === 0) {
      const seed = next++
      const random = new Random(seed)
      await damage(seed, random)
      const url = random.pick(['/read', '/read', '/write', '/renew', '/regenerate', '/anonymous', '/end'])
      const reply = await app.inject({ url, headers: { cookie: `session=${token(seed)}` } })
      const code = reply.statusCode === 200 ? '200' : String((reply.json() as { code?: string }).code)
      codes.set(code, (codes.get(code) ?? 0) + 1)
      const isNamed = reply.statusCode === 200 || (reply.statusCode === 409 && code.startsWith('FST_SESSION_')) || (reply.statusCode === 503 && named.includes(code))
      if (!isNamed || (url === '/anonymous' && reply.statusCode !== 200)) problems.push(`seed ${seed}: ${url}: ${reply.statusCode} ${reply.body}`)
    }
  }))
  t.strictSame(problems, [])
  t.ok((codes.get('200') ?? 0) > count / 20 && (codes.get('FST_SESSION_RECORD') ?? 0) > count / 20, JSON.stringify([...codes]))
  checkPrototypes(t)
  await assertNoOpenSessions(app)
}

t.test(`${half} damaged records of a store of one's own`, async (t) => {
  const damaged = new Set<string>()
  const memory = memoryStore({ maxSessions: 1_000_000 })
  const store = new SpyStore(memory)
  store.load = async (id) => {
    if (damaged.has(id)) throw new errors.RecordError('it is damaged')
    return memory.load(id)
  }
  await answersAll(t, store, half, async (seed, random) => {
    const id = idOf(token(seed))
    if (random.onceIn(10)) damaged.add(id)
    const now = Date.now()
    const number = (): number => random.pick([now, now + 60_000, 0, 1, Number.MAX_SAFE_INTEGER])
    const record: SessionRecord = {
      fields: new Map(Array.from({ length: random.below(4) }, () => [anyKey(random), anyText(random)])),
      createdAt: number(),
      expiresAt: random.pick([null, now + 60_000, Number.MAX_SAFE_INTEGER]),
      ttl: random.pick([undefined, null, 1, 2 ** 31]),
      maxAge: random.pick([undefined, null, 1, 2 ** 31]),
      deleteSession: random.onceIn(2),
      dataSince: number(),
      dataVersion: random.pick([undefined, undefined, 1, 12]),
      usedAt: number(),
      name: random.pick([undefined, 'name', bytes(random, 9)]),
      label: random.pick([undefined, 'label', bytes(random, 9)]),
      generation: random.pick([undefined, 'g']),
      subject: random.pick([undefined, 'ada', bytes(random, 9)]),
    }
    await memory.create(id, record)
  })
})

t.test(`${half} damaged records in Redis`, async (t) => {
  const server = await withServer(t, startRedis)
  if (server === undefined) return
  const client = new Redis(server.url, { enableAutoPipelining: true })
  t.teardown(() => { client.disconnect() })
  const store = redisStore(client, { timeout: 30_000 })
  const users = tokenSessions({ store })
  const { token: whole } = await users.create({ subject: 'ada', name: 'name', data: { a: 1, n: 5 } })
  const [, prefix = ''] = /^(session:)/.exec((await client.keys('session:{*'))[0] as string) ?? []
  const description = await client.hget(`${prefix}${keyOf(whole)}`, '') as string
  await answersAll(t, store, half, async (seed, random) => {
    const key = `${prefix}${keyOf(token(seed))}`
    const kind = random.below(20)
    if (kind === 0) return client.set(key, 'text')
    if (kind === 1) return client.rpush(key, 'text')
    const texts = Object.fromEntries(Array.from({ length: random.below(4) }, () => [anyKey(random), anyText(random)]))
    const described = random.pick([description, mutated(random, description), mutated(random, description), bytes(random, 40), `renewed ${bytes(random, 50)}`, mutated(random, 'regenerated x')])
    return client.hset(key, new Map([...Object.entries(texts), ...kind === 2 ? [] : [['', described] as [string, string]], ['b', '1']]))
  })
})

function keyOf (token: string): string {
  const id = idOf(token)
  return `{${id.charAt(0)}${id.charCodeAt(1) & 3}}${id}`
}
