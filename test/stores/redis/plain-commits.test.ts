import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { getSession, redisStore, tokenSessions, type CompleteTokenProvider, type TokenSession } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'

interface Stage {
  readonly users: CompleteTokenProvider<Record<string, unknown>>
  /** The keys and other arguments of each script that was run since the last look. */
  scripts (): Promise<string[][]>
}

async function stage (t: Test): Promise<Stage | undefined> {
  const server = await redisForTest(t)
  if (!server) return undefined
  const client = new Redis(server.url)
  const prefix = redisPrefix(t, client)
  const users = tokenSessions<Record<string, unknown>>({ store: redisStore(client, { prefix, timeout: 30_000 }), ttl: 100 })
  const watcher = client.duplicate()
  const monitor = await watcher.monitor()
  t.teardown(async () => {
    await users.close()
    monitor.disconnect()
    watcher.disconnect()
  })
  // The server knows the script from here on.
  await getSession(users, null, (session) => { session.increment('n') }, { token: (await users.create()).token })
  const seen: string[][] = []
  let mark: { text: string, open (): void } | undefined
  monitor.on('monitor', (_time: string, args: string[]) => {
    if (args[1] === mark?.text) mark?.open()
    else if (/^eval/i.test(args[0] ?? '') && args[3]?.startsWith(prefix)) seen.push(args.slice(3))
  })
  return {
    users,
    async scripts () {
      const reached = barrier()
      mark = { text: `mark ${Math.random()}`, open: reached.open }
      await client.echo(mark.text)
      await reached.opened
      return seen.splice(0)
    },
  }
}

const plain: Record<string, [work: (session: TokenSession) => unknown, data: object]> = {
  set: [(session) => { session.set('user', 'bob') }, { user: 'bob', n: 1 }],
  'set of two keys': [(session) => { session.set('user', 'bob'); session.set('a', { b: [1] }) }, { user: 'bob', n: 1, a: { b: [1] } }],
  delete: [(session) => { session.delete('n') }, { user: 'ada' }],
  increment: [(session) => session.increment('n', 5), { user: 'ada', n: 6 }],
  'increment of a new key': [(session) => session.increment('m'), { user: 'ada', n: 1, m: 1 }],
  'all of it, with the expiry': [(session) => { session.set('a', 1); session.delete('user'); session.increment('n'); session.touch() }, { a: 1, n: 2 }],
  'the expiry alone': [(session) => { session.touch() }, { user: 'ada', n: 1 }],
}

t.test('a plain commit: one script that names one key and the description that was read', async (t) => {
  const set = await stage(t)
  if (!set) return
  const { users, scripts } = set
  for (const [name, [work, data]] of Object.entries(plain)) {
    const { token } = await users.create({ data: { user: 'ada', n: 1 }, ttl: 50 })
    await scripts()
    await getSession(users, null, work, { token })
    const [run, ...more] = await scripts()
    t.match(run?.[1], /^1 \d+ \d+ 50 = 0 = = +$/, name)
    t.strictSame(more, [])
    t.strictSame((await users.load(token))?.data(), data)
  }
})

t.test('a second commit of a session knows what the first has written', async (t) => {
  const set = await stage(t)
  if (!set) return
  const { users, scripts } = set
  const { token } = await users.create({ data: { n: 1 } })
  await scripts()
  await getSession(users, null, async (session) => {
    for (let i = 0; i < 3; i++) {
      session.increment('n')
      session.touch()
      await session.commit()
    }
  }, { token })
  t.equal((await scripts()).length, 3)
  t.equal((await users.load(token))?.get('n'), 4)
})

t.test('a session whose description has changed since it was read is committed by the other script', async (t) => {
  const set = await stage(t)
  if (!set) return
  const { users, scripts } = set
  const changes: Record<string, (token: string) => unknown> = {
    'its expiry': (token) => getSession(users, null, (session) => { session.touch() }, { token }),
    'its idle time': (token) => getSession(users, null, (session) => { session.expire(70) }, { token }),
    'its subject': (token) => getSession(users, null, (session) => { session.subject = 'ada' }, { token }),
    'that it is watched': (token) => users.subscribe(token, () => {}),
  }
  for (const [name, change] of Object.entries(changes)) {
    const { token } = await users.create({ data: { n: 1 } })
    await getSession(users, null, async (session) => {
      await change(token)
      await scripts()
      session.increment('n')
      session.set('user', 'ada')
      await session.commit()
    }, { token })
    t.ok((await scripts()).length >= 2, name)
    t.strictSame((await users.load(token))?.data(), { n: 2, user: 'ada' })
  }
})

t.test('an increment of what is no number changes nothing', async (t) => {
  const set = await stage(t)
  if (!set) return
  const { users } = set
  const { token } = await users.create({ data: { n: 1, big: Number.MAX_SAFE_INTEGER } })
  for (const key of ['n', 'big']) {
    await t.rejects(getSession(users, null, async (session) => {
      await getSession(users, null, (other) => { if (key === 'n') other.set('n', 'word') }, { token })
      session.set('a', 1)
      session.increment(key)
    }, { token }), { code: 'FST_SESSION_NOT_A_NUMBER' })
    t.strictSame((await users.load(token))?.data(), { n: 'word', big: Number.MAX_SAFE_INTEGER })
  }
})
