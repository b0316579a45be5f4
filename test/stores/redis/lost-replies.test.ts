import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { getSession, redisStore, tokenSessions, type TokenProvider, type TokenSession } from '../../../lib/index.js'
import { cuttingProxy } from '../../support/cutting-proxy.js'
import { emitted } from '../../support/emitted.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'

type Session = TokenSession<Record<string, unknown>>
interface Stage { readonly users: TokenProvider<Record<string, unknown>>, readonly truth: TokenProvider<Record<string, unknown>>, readonly token: string, cutNext (): void }

/** A session with `n` 1 that is used through a connection that can lose an answer. */
async function stage (t: Test, autoResendUnfulfilledCommands: boolean): Promise<Stage | undefined> {
  const server = await withServer(t, startRedis)
  if (!server) return undefined
  const proxy = await cuttingProxy(t, server.port)
  const [client, direct] = [new Redis(proxy.url, { autoResendUnfulfilledCommands, retryStrategy: () => 10, enableReadyCheck: false }), new Redis(server.url)]
  client.on('error', () => {})
  t.teardown(() => { client.disconnect(); direct.disconnect() })
  await Promise.all([emitted(client, 'ready'), emitted(direct, 'ready')])
  const users = tokenSessions<Record<string, unknown>>({ store: redisStore(client, { timeout: autoResendUnfulfilledCommands ? 10_000 : 500 }) })
  const token = await getSession(users, null, async (session) => {
    session.set('n', 0)
    await session.commit()
    session.set('n', 1)
    await session.commit() // from here on the server knows both scripts
    return session.token
  })
  return { users, truth: tokenSessions({ store: redisStore(direct) }), token, cutNext: proxy.cutNext }
}

/** Commits, loses the reply after the commit was applied, and returns the error's code; `undefined`: no error. */
async function lose ({ users, token, cutNext }: Stage, use: (session: Session) => void, existing = true): Promise<string | undefined> {
  return getSession(users, null, (session) => {
    use(session)
    cutNext()
  }, existing ? { token } : undefined).then(() => undefined, (error: { code: string }) => error.code)
}

const dataOf = ({ truth, token }: Stage): Promise<Record<string, unknown>> => getSession(truth, null, (session) => session.data(), { token })

t.test('a client that does not send again: the outcome is unknown, and nothing is applied twice', async (t) => {
  const set = await stage(t, false)
  if (!set) return
  t.equal(await lose(set, (session) => { session.increment('n') }), 'FST_SESSION_OUTCOME_UNKNOWN')
  t.strictSame(await dataOf(set), { n: 2 })
  t.equal(await lose(set, (session) => { session.update('n', (n) => Number(n) * 10) }), 'FST_SESSION_OUTCOME_UNKNOWN')
  t.strictSame(await dataOf(set), { n: 20 })
  t.equal(await lose(set, (session) => { session.renew() }), 'FST_SESSION_OUTCOME_UNKNOWN')
  t.equal(await lose(set, (session) => { session.set('new', 1) }, false), 'FST_SESSION_OUTCOME_UNKNOWN')
})

// ioredis sends again by default: an increment or an update may then count twice, as the doc of redisStore says.
t.test('a client that sends again: creating, setting, deleting and ending come out right', async (t) => {
  const set = await stage(t, true)
  if (!set) return
  t.equal(await lose(set, (session) => { session.set('a', 1); session.delete('n') }), undefined)
  t.strictSame(await dataOf(set), { a: 1 })
  const { users, cutNext } = set
  const token = await getSession(users, null, async (session) => {
    session.set('new', 1)
    cutNext()
    await session.commit()
    return session.token
  })
  t.strictSame(await dataOf({ ...set, token }), { new: 1 })
  t.equal(await lose(set, (session) => { session.end() }), undefined)
  t.strictSame(await dataOf(set), {})
})
