import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { runCommand, type Run } from '../support/cli.js'
import { fakeClock } from '../support/clock.js'
import { startRedis } from '../support/servers/redis.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { withServer } from '../support/servers/require.js'

interface Finding { check: string, ok: boolean, detail: string }

const findings = ({ stdout }: Run): Finding[] => stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Finding)
const wrong = (run: Run): Finding[] => findings(run).filter(({ ok }) => !ok)

/** The commands that the store needs, as docs/redis.md lists them. */
const needed = ('hgetall hget hset hdel hkeys hlen exists unlink rename pexpire pexpireat persist pttl scan zadd zrem zscan zrange zremrangebyscore publish subscribe unsubscribe').split(' ')

const [server, cluster] = [await withServer(t, startRedis), await withServer(t, startRedisCluster)]
if (server) {
  const admin = new Redis(server.url)
  t.teardown(() => { admin.disconnect() })
  const doctor = (url = server.url, ...more: string[]) => runCommand(['doctor', '--json', '--redis', url, ...more])

  await t.test('all is well: 0, and what there is', async (t) => {
    for (const prefix of ['session:', 'shop:', 'shop:', 'b{races}:']) await tokenSessions({ store: redisStore(admin, { prefix }) }).create({ subject: 'ada', deleteSession: false, data: { a: 1 } })
    await admin.set('session:{x1}is no id', '')
    const run = await doctor()
    t.match(run, { code: 0, stderr: '' })
    t.same(findings(run).map(({ check, ok }) => [check, ok]), ['access', 'cache', 'cluster', 'server', 'memory', 'clock', 'sessions'].map((check) => [check, true]))
    t.equal(findings(run).at(-1)?.detail, '"shop:" (2), "b{races}:" (1), "session:" (1)')
    t.match(await runCommand(['doctor', '--redis', server.url]), { code: 0, stdout: /^ok {5}access {4}this user .*\nok {5}cache {5}this user .*\nok {5}cluster {3}no\nok {5}server {4}Redis \d[^]*\nok {5}sessions {2}"shop:" \(2\), / })
    await admin.flushall()
  })

  await t.test('access: each command that the user lacks is named, and keys and channels of the prefix', async (t) => {
    const as = async (...rights: string[]): Promise<Run> => {
      const username = randomUUID()
      await admin.call('ACL', 'SETUSER', username, 'reset', 'on', '>secret', ...rights)
      return doctor(server.url.replace('://', `://${username}:secret@`), '--prefix', 'shop:')
    }
    t.match(await as('~shop:*', '&shop:*', '+@all'), { code: 0 })
    for (const command of needed) {
      const run = await as('~*', '&*', '+@all', `-${command}`)
      t.equal(run.code, 1, command)
      t.same(findings(run)[0], { check: 'access', ok: false, detail: `this user may not run: ${command}` })
    }
    t.match(wrong(await as('~session:*', '&*', '+@all')), [{ check: 'access', detail: /hgetall.* zadd/ }])
    t.match(wrong(await as('~shop:*', '&session:*', '+@all')), [{ check: 'access', detail: /: publish subscribe$/ }])
    const app = await as('~shop:*', '&shop:*', ...['evalsha', 'eval', 'time', ...needed].map((command) => `+${command}`))
    t.match(app, { code: 0, stderr: '' }, "the app's own user, who has the store's commands alone")
    t.match(findings(app).filter(({ detail }) => /may not run info/.test(detail)).map(({ check }) => check), ['server', 'memory'])
    t.match(wrong(await as('~*', '&*', '+@all', '-eval', '-evalsha')), [{ check: 'access', detail: /evalsha eval/ }])
  })

  await t.test('cache: told for this user, and nothing is wrong without one', async (t) => {
    const cacheOf = async (...rights: string[]): Promise<string | undefined> => {
      const username = randomUUID()
      await admin.call('ACL', 'SETUSER', username, 'reset', 'on', '>secret', '~*', '+@all', ...rights)
      const run = await doctor(server.url.replace('://', `://${username}:secret@`))
      t.equal(run.code, 0)
      return findings(run).find(({ check }) => check === 'cache')?.detail
    }
    t.equal(await cacheOf('&*'), 'this user may use cached()')
    t.equal(await cacheOf('&*', '-client', '+client|id'), 'not with this user, who may not use: client|tracking')
    t.equal(await cacheOf('resetchannels', '&session:*', '-ping'), 'not with this user, who may not use: ping the channel __redis__:invalidate')
  })

  await t.test('memory: a policy that drops sessions is wrong, where there is a limit', async (t) => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    t.match(await doctor(), { code: 0 })
    await admin.config('SET', 'maxmemory', '100mb')
    const run = await doctor()
    t.equal(run.code, 1)
    t.match(wrong(run), [{ check: 'memory', detail: /^maxmemory 104857600 bytes, allkeys-lru: .*noeviction/ }])
    await admin.config('SET', 'maxmemory-policy', 'noeviction')
    t.match(await doctor(), { code: 0 })
  })

  await t.test('clock: a difference is told', async (t) => {
    fakeClock(t, ['Date'])(60_000)
    const run = await doctor()
    t.equal(run.code, 1)
    t.match(wrong(run), [{ check: 'clock', detail: /^(59|60)\d{3} milliseconds behind this machine/ }])
  })
}

if (cluster) {
  await t.test('a cluster: each master is looked at', async (t) => {
    const run = await runCommand(['doctor', '--json', '--cluster', '--redis', cluster.nodes[0]!.url])
    t.match(run, { code: 0, stderr: '' })
    t.equal(findings(run).filter(({ check }) => check === 'server').length, 3)
    t.match(findings(run), [{ check: 'access' }, { check: 'cache' }, { check: 'cluster', detail: '3 masters' }])
    t.match(await runCommand(['doctor', '--json', '--redis', cluster.nodes[0]!.url]), { code: 1, stdout: '', stderr: /--cluster\)\n$/ })
  })
}
