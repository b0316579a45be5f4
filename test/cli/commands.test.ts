import { randomBytes } from 'node:crypto'
import { on } from 'node:events'
import { watch } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { runCommand, runProcess, type RunOptions } from '../support/cli.js'
import { recordOf } from '../support/records.js'
import { stallingProxy } from '../support/redis-proxy.js'
import { redisForTest } from '../support/servers/require.js'

const secret = 'the secret of an app that delivers pizza'
const data = 'what nobody but its app may see'

/** Makes an id that begins like an option. */
const idLike = (head: string) => head + randomBytes(33).toString('base64url').slice(0, 43 - head.length)

const redis = await redisForTest(t)

if (redis) {
  const client = new Redis(redis.url)
  const prefixes: string[] = []
  t.teardown(async () => {
    for (const prefix of prefixes) for (const key of await client.keys(`${prefix}*`)) await client.unlink(key)
    client.disconnect()
  })

  /** Makes a provider under a prefix of its own, and the command on its sessions. */
  async function setUp () {
    const prefix = `cli-${randomBytes(8).toString('hex')}:`
    prefixes.push(prefix)
    const store = redisStore(client, { prefix, timeout: 30_000 })
    const users = tokenSessions<Record<string, string>>({ store, secret })
    const told: string[] = []
    const tokens: string[] = []
    const run = async (args: string[], options: RunOptions = {}) => {
      const ended = await runCommand([...args, '--prefix', prefix, '--redis', redis!.url], { ...options, env: { APP_SECRET: secret, ...options.env } })
      told.push(ended.stdout, ended.stderr)
      return ended
    }
    const create = async (options: Parameters<typeof users.create>[0] = {}) => {
      const session = await users.create({ data: { key: data }, ...options })
      tokens.push(session.token)
      return session.token
    }
    /** Asserts that no output has a token, data or a secret in it. */
    const isDiscreet = (t: { notOk (value: unknown, message: string): unknown }) => {
      for (const text of [...tokens, data, secret]) t.notOk(told.some((output) => output.includes(text)), `never prints ${text.slice(0, 4)}…`)
    }
    return { prefix, store, users, create, run, isDiscreet, told }
  }

  const lines = (text: string) => text.trimEnd().split('\n')

  await Promise.all([
    t.test('list', async (t) => {
      const { create, run, isDiscreet } = await setUp()
      const empty = await run(['list', '--json'])
      t.match(empty, { code: 0, stdout: '', stderr: /^There are no sessions under the prefix "cli-\w+:", (nor|but) under .*\.\n$/ })
      t.same(await run(['list', '--json', '--subject', 'nobody']), { code: 0, stdout: '', stderr: '' })
      await create({ name: 'order 7', shared: true, subject: 'ada', label: 'Firefox\x1b[2J on Linux' })
      await create({ name: 'tab', subject: 'bob', ttl: null, deleteSession: false })
      await create({ name: 'tab', subject: 'cid\x1b[2J\u202e\n', ttl: 60 })
      const [all, table, ofAda, named] = await Promise.all([
        run(['list', '--json']), run(['list']), run(['list', '--json', '--subject', 'ada']), run(['list', '--json', '--name', 'tab']),
      ])
      t.match(all, { code: 0, stderr: '' })
      const sessions = lines(all.stdout).map((line) => JSON.parse(line) as Record<string, unknown>)
      t.match(sessions.find(({ subject }) => subject === 'ada'), {
        id: /^[\w-]{43}$/, name: 'order 7', shared: true, label: 'Firefox\x1b[2J on Linux', createdAt: /^\d{4}-/, lastUsedAt: /^\d{4}-/, expiresAt: /^\d{4}-/, timeLeft: Number, keys: 1, deleteSession: true,
      })
      t.match(sessions.find(({ subject }) => subject === 'bob'), { name: 'tab', shared: false, expiresAt: null, timeLeft: null, ttl: null, keys: 1, deleteSession: false })
      t.notOk('ttl' in sessions.find(({ subject }) => subject === 'ada')!, 'the app has it')
      t.ok(sessions.some(({ subject }) => subject === 'cid\x1b[2J\u202e\n'))
      t.equal(sessions.length, 3)
      t.equal(table.code, 0)
      t.equal(lines(table.stdout).length, 4)
      t.match(table.stdout, /^ID .* LAST USED .* TTL .* LABEL .* NAME\n/)
      for (const ttl of [/ 60 .* tab$/m, / - .*bob +- +tab$/m, / app's .*"order 7"$/m]) t.match(table.stdout, ttl)
      t.match(table.stdout, '"order 7"')
      for (const { stdout } of [all, table]) t.notOk(/\p{C}/u.test(stdout.replaceAll('\n', '')), 'nothing in a name gets at the terminal')
      t.equal(lines(ofAda.stdout).length, 1)
      t.equal(lines(named.stdout).length, 2)
      t.match(await run(['list', '--name', '']), { code: 2, stdout: '', stderr: /^error: FST_SESSION_NAME: .*\n$/ })
      isDiscreet(t)
    }),

    t.test('info', async (t) => {
      const { create, store, users, run, isDiscreet } = await setUp()
      const token = await create({ subject: 'ada', ttl: 100, maxAge: null })
      await create({ name: 'order 7', shared: true })
      const { id } = (await users.info(token))!
      const record = (await recordOf(store, id))!
      const hard = ['-V', '-h', '--', '-y'].map(idLike)
      for (const id of hard) await store.create(id, record)
      const named = ['--name', 'order 7', '--secret-env']
      const [byToken, byId, byName, rotated, text, totals, ...byHardId] = await Promise.all([
        run(['info', '-', '--json'], { stdin: `${token}\n` }),
        run(['info', '--id', id, '--json']),
        run(['info', ...named, 'APP_SECRET', '--json']),
        run(['info', ...named, 'NEW_SECRET', '--secret-env', 'APP_SECRET', '--json'], { env: { NEW_SECRET: 'x'.repeat(32) } }),
        run(['info', '--id', id]),
        run(['info', '--json']),
        ...hard.map((id) => run(['info', '--json', '--id', id])),
      ])
      t.match(JSON.parse(byToken.stdout), { id, subject: 'ada', name: null, shared: false, keys: 1, ttl: 100, maxAge: null, deleteSession: true })
      t.match(JSON.parse(byId.stdout), { id, ttl: 100 })
      t.match(JSON.parse(byName.stdout), { name: 'order 7', shared: true })
      t.notOk('ttl' in JSON.parse(byName.stdout), 'what the app says for all sessions is not known')
      t.match(JSON.parse(rotated.stdout), { name: 'order 7' })
      t.match(text.stdout, /^id +[\w-]{43}\n[^]*\nsubject +ada\n/)
      t.same(JSON.parse(totals.stdout), { sessions: 6, keys: 6, expiring: 6, shared: 1, damaged: 0 })
      for (const [i, { code, stdout }] of byHardId.entries()) {
        t.equal(code, 0)
        t.equal(JSON.parse(stdout).id, hard[i])
      }
      isDiscreet(t)
    }),

    t.test('list and info: damaged sessions are left out, and told of on standard error', async (t) => {
      const { prefix, create, users, run, isDiscreet } = await setUp()
      const ids = await Promise.all(Array.from({ length: 7 }, async () => (await users.info(await create()))!.id))
      const damage = async (id: string) => client.hset((await client.keys(`${prefix}*${id}`))[0]!, '', 'gibberish')
      await damage(ids[0]!)
      const problem = { code: 1, stderr: `error: FST_SESSION_RECORD: 1 session(s) cannot be read, and were skipped: ${ids[0]}\n` }
      const [list, table] = [await run(['list', '--json']), await run(['list'])]
      t.match(list, problem)
      t.equal(lines(list.stdout).length, 6)
      t.match(table, problem)
      t.match(await run(['list', '--json', '--name', 'nobody']), { ...problem, stdout: '' })
      t.match(await run(['info', '--json']), { code: 1, stdout: '{"sessions":6,"keys":6,"expiring":6,"shared":0,"damaged":1}\n', stderr: /^error: FST_SESSION_RECORD: 1 .*\n$/ })
      t.match(await run(['info', '--id', ids[0]!]), { code: 1, stdout: '', stderr: /^error: FST_SESSION_RECORD: .*\n$/ })
      for (const id of ids.slice(1)) await damage(id)
      t.match(await run(['list', '--json']), { code: 1, stdout: '', stderr: /: 7 session\(s\) [^:]*: ([\w-]{43} ){5}…\n$/ })
      t.match(await run(['end', '--id', ids[0]!, '--yes', '--json']), { code: 0, stdout: '{"ended":1}\n' })
      t.match(await run(['end-all', '--yes', '--json']), { code: 0, stdout: '{"ended":6}\n' })
      isDiscreet(t)
    }),

    t.test('save: a signal stops it, and leaves no half file behind', async (t) => {
      const { prefix, create } = await setUp()
      await create()
      for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
        const folder = t.testdir({ 'saved.jsonl': 'from before' })
        const proxy = await stallingProxy(t, Number(new URL(redis!.url).port || 6379), 'hgetall')
        const watcher = watch(folder)
        const changes = on(watcher, 'change')
        const when = (async () => {
          await proxy.stalled
          for (let there = await readdir(folder); !there.some((name) => /^saved\.jsonl\.\w+\.partial$/.test(name)); there = await readdir(folder)) await changes.next()
        })()
        const run = await runProcess(['save', join(folder, 'saved.jsonl'), '--json', '--prefix', prefix], { env: { REDIS_URL: proxy.url }, interrupt: { signal, when } })
        watcher.close()
        t.match(run, { code, stdout: '', stderr: 'Interrupted: nothing was saved.\n' })
        t.same(await readdir(folder), ['saved.jsonl'])
        t.equal(await readFile(join(folder, 'saved.jsonl'), 'utf8'), 'from before')
      }
    }),

    t.test('as processes of their own', async (t) => {
      const { prefix, create, users } = await setUp()
      const token = await create({ subject: 'ada' })
      await Promise.all(Array.from({ length: 3000 }, () => users.create()))
      const env = { REDIS_URL: redis.url }
      const [all, one] = await Promise.all([
        runProcess(['list', '--json', '--prefix', prefix], { env }),
        runProcess(['info', '-', '--json', '--prefix', prefix], { env, stdin: `${token}\n` }),
      ])
      t.match(all, { code: 0, stderr: '' })
      t.equal(lines(all.stdout).length, 3001)
      t.match(one, { code: 0, stderr: '', stdout: /"subject":"ada"/ })
      t.match(await runProcess(['end', '-', '--yes', '--json', '--prefix', prefix], { env, stdin: token }), { code: 0, stdout: '{"ended":1}\n', stderr: '' })
      t.match(await runProcess(['end', '-', '--yes', '--prefix', prefix], { env, stdin: token }), { code: 3, stdout: '' })
    }),

    t.test('there is no such session: 3', async (t) => {
      const { create, run, isDiscreet } = await setUp()
      await create()
      const runs = await Promise.all([
        run(['info', '--id', idLike('a')]), run(['info', '-'], { stdin: idLike('a') }), run(['info', '--name', 'order 8', '--secret-env', 'APP_SECRET', '--json']),
        run(['end', '--id', idLike('a'), '--yes']), run(['end', '-', '--yes', '--token-kind', 'uint64'], { stdin: '18446744073709551615' }),
      ])
      for (const ended of runs) t.match(ended, { code: 3, stdout: '', stderr: /^There is no session: .*\n$/ })
      isDiscreet(t)
    }),

    t.test('end', async (t) => {
      const { create, users, run, isDiscreet } = await setUp()
      const [first, second] = [await create(), await create()]
      await create({ name: 'order 7', shared: true })
      const { id } = (await users.info(second))!
      t.match(await run(['end', '-', '--yes', '--json'], { stdin: first }), { code: 0, stdout: '{"ended":1}\n', stderr: '' })
      t.equal(await users.info(first), undefined)
      t.equal((await users.infoAll()).sessions, 2, 'the others stay')
      t.match(await run(['end', '--id', id, '-y']), { code: 0 })
      t.match(await run(['end', '--name', 'order 7', '--secret-env', 'APP_SECRET', '-y']), { code: 0 })
      t.equal((await users.infoAll()).sessions, 0)
      isDiscreet(t)
    }),

    t.test('end-all', async (t) => {
      const { create, users, run, isDiscreet } = await setUp()
      await Promise.all(['ada', 'ada', 'bob'].map((subject) => create({ subject })))
      t.match(await run(['end-all', '--subject', 'ada', '--yes', '--json']), { code: 0, stdout: '{"ended":2}\n', stderr: '' })
      t.equal((await users.infoAll()).sessions, 1)
      t.match(await run(['end-all', '--yes', '--json']), { code: 0, stdout: '{"ended":1}\n' })
      t.match(await run(['end-all', '--yes']), { code: 0, stdout: 'ended  0\n' })
      isDiscreet(t)
    }),

    t.test('a session that is larger than the default maxSize is restored: the limit is the app\'s', async (t) => {
      const { run } = await setUp()
      const file = join(t.testdir(), 'large')
      const large = tokenSessions<Record<string, string>>({ store: redisStore(client, { prefix: prefixes.at(-1), timeout: 30_000 }), maxSize: null })
      const { token } = await large.create({ data: { text: 'x'.repeat(2 ** 20 + 1) } })
      t.match(await run(['save', file]), { code: 0 })
      await large.endAll()
      t.match(await run(['restore', file, '--json']), { code: 0, stdout: /^\{"restored":1,/ })
      t.equal((await large.load(token))?.get('text')?.length, 2 ** 20 + 1)
    }),

    t.test('save and restore', async (t) => {
      const { create, users, run, isDiscreet, told } = await setUp()
      const tokens = [await create({ subject: 'ada' }), await create()]
      const [file, damaged] = ['saved.jsonl', 'damaged.jsonl'].map((name) => join(t.testdirName, name)) as [string, string]
      t.testdir()
      t.match(await run(['save', file, '--json']), { code: 0, stdout: '{"sessions":2,"damaged":0}\n', stderr: '' })
      const saved = await readFile(file, 'utf8')
      t.ok(saved.includes(data))
      t.match(await run(['end-all', '--yes']), { code: 0 })
      t.match(await run(['restore', file, '--json']), { code: 0, stdout: '{"restored":2,"replaced":0,"skipped":0,"expired":0,"damaged":0}\n' })
      t.equal((await users.load(tokens[0]!))?.get('key'), data)
      t.equal((await users.exists(tokens)).count, 2)
      await writeFile(damaged, lines(saved).map((line, i) => i === 1 ? '{' : line).join('\n'))
      const [conflict, skipped, replaced, refused, piped, missing, torn, half] = await Promise.all([
        run(['restore', file, '--json']),
        run(['restore', file, '--on-conflict', 'skip', '--json']),
        run(['restore', '-', '--on-conflict', 'replace', '--yes', '--json'], { stdin: saved }),
        run(['restore', file, '--on-conflict', 'replace']),
        run(['restore', '-', '--json'], { stdin: '{}\n' }),
        run(['restore', `${file}.not`]),
        run(['restore', damaged, '--on-conflict', 'skip']),
        run(['restore', damaged, '--on-conflict', 'skip', '--skip-damaged', '--json']),
      ])
      t.match(conflict, { code: 1, stdout: '{"restored":0,"replaced":0,"skipped":0,"expired":0,"damaged":0}\n', stderr: /^error: FST_SESSION_RESTORE_CONFLICT: .* Restore with --on-conflict skip or --on-conflict replace\.\n$/ })
      t.match(skipped, { code: 0, stdout: '{"restored":0,"replaced":0,"skipped":2,"expired":0,"damaged":0}\n' })
      t.match(replaced, { code: 0, stdout: '{"restored":0,"replaced":2,"skipped":0,"expired":0,"damaged":0}\n' })
      t.match(refused, { code: 2, stdout: '', stderr: /^error: .*--yes\n$/ })
      t.match(piped, { code: 1, stderr: /^error: FST_SESSION_RESTORE_VERSION: .*\n$/ })
      t.match(missing, { code: 1, stderr: /^error: ENOENT: .*\n$/ })
      t.match(torn, { code: 1, stderr: /^error: FST_SESSION_RESTORE_LINE: Line 2 .* Restore with --skip-damaged to omit such lines\.\n$/ })
      t.match(half, { code: 0, stdout: '{"restored":0,"replaced":0,"skipped":1,"expired":0,"damaged":1}\n' })
      isDiscreet(t)
      const stream = await run(['save', '-', '--json'])
      t.equal(stream.stderr, '{"sessions":2,"damaged":0}\n')
      t.same(lines(stream.stdout).slice(1).sort(), lines(saved).slice(1).sort())
      t.equal(told.at(-2), stream.stdout)
    }),
  ])
}
