import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Cluster } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { runCommand, runProcess, type RunOptions } from '../support/cli.js'
import { startRedisCluster } from '../support/servers/redis-cluster.js'
import { withServer } from '../support/servers/require.js'

const secret = 'the secret of an app that delivers pizza'
const sessions = 60

const cluster = await withServer(t, startRedisCluster)

if (cluster) {
  const client = new Cluster([...cluster.startupNodes])
  t.teardown(() => client.disconnect())
  const urls = cluster.nodes.map(({ url }) => url)
  const lines = (text: string) => text.trimEnd().split('\n')

  /** Creates sessions on all nodes, the even ones ada's, and a command that knows a single node. */
  async function setUp (node: number) {
    const prefix = `cli-${randomBytes(8).toString('hex')}:`
    const users = tokenSessions<{ n: number }>({ store: redisStore(client, { prefix, timeout: 30_000 }), secret })
    const tokens = await Promise.all(Array.from({ length: sessions }, async (_, n) =>
      (await users.create({ name: `n${n}`, shared: n === 0, subject: n % 2 === 0 ? 'ada' : 'bob', data: { n } })).token))
    const counts = await Promise.all(client.nodes('master').map(async (master) => (await master.keys(`${prefix}*`)).length))
    const address = ['--cluster', '--redis', urls[node] as string, '--prefix', prefix]
    const run = (args: string[], options?: RunOptions) => runCommand([...args, ...address], { env: { APP_SECRET: secret }, ...options })
    return { users, tokens, counts, address, run }
  }

  await t.test('list and info: of all nodes, whichever is named', async (t) => {
    for (const node of urls.keys()) {
      const { users, tokens, counts, run } = await setUp(node)
      t.equal(counts.length, 3)
      t.notOk(counts.includes(0), 'each node has sessions')
      const [all, ofAda, named, table, totals, byToken, byName, missing] = await Promise.all([
        run(['list', '--json']),
        run(['list', '--json', '--subject', 'ada']),
        run(['list', '--json', '--name', 'n7']),
        run(['list']),
        run(['info', '--json']),
        run(['info', '-', '--json'], { stdin: tokens[7] as string }),
        run(['info', '--name', 'n0', '--secret-env', 'APP_SECRET', '--json']),
        run(['info', '--id', 'x'.repeat(43)]),
      ])
      t.match(all, { code: 0, stderr: '' })
      t.same(lines(all.stdout).map((line) => (JSON.parse(line) as { name: string }).name).sort(), tokens.map((_, n) => `n${n}`).sort())
      t.equal(lines(ofAda.stdout).length, sessions / 2)
      t.equal(lines(named.stdout).length, 1)
      t.equal(lines(table.stdout).length, sessions + 1)
      t.match(JSON.parse(totals.stdout), { sessions, keys: sessions, expiring: sessions, shared: 1 })
      t.match(JSON.parse(byToken.stdout), { name: 'n7', subject: 'bob' })
      t.match(JSON.parse(byName.stdout), { name: 'n0', shared: true })
      const { id } = (await users.info(tokens[8] as string))!
      t.match(JSON.parse((await run(['info', '--id', id, '--json'])).stdout), { id, name: 'n8' })
      t.match(missing, { code: 3, stdout: '' })
    }
  })

  await t.test('end and end-all', async (t) => {
    const { users, tokens, run } = await setUp(1)
    t.match(await run(['end', '-', '--yes', '--json'], { stdin: tokens[1] as string }), { code: 0, stdout: '{"ended":1}\n', stderr: '' })
    t.match(await run(['end', '-', '--yes', '--json'], { stdin: tokens[1] as string }), { code: 3, stdout: '' })
    t.match(await run(['end', '--name', 'n0', '--secret-env', 'APP_SECRET', '--yes']), { code: 0 })
    t.equal((await users.infoAll()).sessions, sessions - 2, 'the others stay')
    t.match(await run(['end-all', '--subject', 'ada', '--yes', '--json']), { code: 0, stdout: `{"ended":${sessions / 2 - 1}}\n`, stderr: '' })
    t.match(await run(['end-all', '--yes', '--json']), { code: 0, stdout: `{"ended":${sessions / 2 - 1}}\n` })
    t.equal((await users.infoAll()).sessions, 0)
  })

  await t.test('save and restore', async (t) => {
    const { users, tokens, run } = await setUp(2)
    const file = join(t.testdir(), 'saved.jsonl')
    const none = { restored: 0, replaced: 0, skipped: 0, expired: 0, damaged: 0 }
    t.match(await run(['save', file, '--json']), { code: 0, stdout: `{"sessions":${sessions},"damaged":0}\n`, stderr: '' })
    t.equal(lines(await readFile(file, 'utf8')).length, sessions + 2)
    await run(['end-all', '--subject', 'ada', '--yes'])
    t.match(await run(['restore', file, '--json']), { code: 1, stderr: /^error: FST_SESSION_RESTORE_CONFLICT: .*\n$/ })
    t.equal((await users.exists(tokens)).count, sessions, 'what could be restored is')
    const [skipped, replaced] = [await run(['restore', file, '--on-conflict', 'skip', '--json']), await run(['restore', file, '--on-conflict', 'replace', '--yes', '--json'])]
    t.same(JSON.parse(skipped.stdout), { ...none, skipped: sessions })
    t.same(JSON.parse(replaced.stdout), { ...none, replaced: sessions })
    t.match(await run(['end-all', '--yes', '--json']), { stdout: `{"ended":${sessions}}\n` })
    t.same(JSON.parse((await run(['restore', '-', '--json'], { stdin: await readFile(file, 'utf8') })).stdout), { ...none, restored: sessions })
    t.equal((await users.load(tokens[9] as string))?.get('n'), 9)
    t.match(await run(['end-all', '--subject', 'bob', '--yes', '--json']), { stdout: `{"ended":${sessions / 2}}\n` }, 'the index is there again')
  })

  await t.test('as processes of their own', async (t) => {
    const { tokens, address } = await setUp(0)
    const list = await runProcess(['list', '--json', ...address])
    t.match(list, { code: 0, stderr: '' })
    t.equal(lines(list.stdout).length, sessions)
    t.match(await runProcess(['end', '-', '--yes', '--json', ...address], { stdin: tokens[0] as string }), { code: 0, stdout: '{"ended":1}\n', stderr: '' })
    t.match(await runProcess(['end-all', '--yes', '--json', ...address]), { code: 0, stdout: `{"ended":${sessions - 1}}\n`, stderr: '' })
  })
}
