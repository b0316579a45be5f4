import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../../lib/index.js'
import { redisForTest } from '../../support/servers/require.js'

const hour = 3_600_000

/** Runs work on a machine whose clock is fast by so many milliseconds. */
async function fastBy<T> (ms: number, work: () => Promise<T>): Promise<T> {
  const now = Date.now
  Date.now = () => now() + ms
  try {
    return await work()
  } finally {
    Date.now = now
  }
}

t.test('clocks that differ', async (t) => {
  const redis = await redisForTest(t)
  if (!redis) return
  const client = new Redis(redis.url)
  t.teardown(() => { client.disconnect() })
  const store = redisStore(client, { prefix: 'clocks:', timeout: 30_000 })
  const users = tokenSessions({ store, ttl: 30 })
  const index = 'clocks:subject:{ada}'

  await t.test('the entry of a session that was made on a fast machine lasts as long as the session', async (t) => {
    const { token } = await fastBy(hour, () => users.create({ subject: 'ada' }))
    const session = await users.load(token)
    session?.expire(500)
    await session?.commit()
    const [key] = await client.keys('clocks:{??}*')
    const entry = Number((await client.zrange(index, '0', '0', 'WITHSCORES'))[1]) - Date.now()
    t.ok(entry > await client.pttl(key as string), 'it outlasts its session')
    t.equal(await users.endAll({ subject: 'ada' }), 1)
  })

  await t.test('a fast machine leaves an entry alone whose session is about to be written', async (t) => {
    const [seconds, microseconds] = await client.time()
    const at = (ms: number): string => String(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000) + ms).padStart(13, '0')
    const fresh = `some-id${at(-1000)}aaaa`
    const old = `some-id${at(-2 * hour)}bbbb`
    await client.zadd(index, '+inf', fresh, '+inf', old)
    await fastBy(2 * hour, async () => {
      for await (const info of users.list({ subject: 'ada' })) t.fail(`lists ${info.id}`)
    })
    t.strictSame(await client.zrange(index, '0', '-1'), [fresh], 'one that is old by the clock of the server is removed')
  })
})
