import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Redis } from 'ioredis'
import t from 'tap'
import { run } from '../../lib/cli/program.js'
import { redisStore, tokenSessions } from '../../lib/index.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

/** Escape sequence that clears the line of the progress. */
const clearLine = '\r\x1b[K'

const redis = await withServer(t, startRedis)

if (redis) {
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const users = tokenSessions({ store: redisStore(client, { timeout: 30_000 }) })

  /** Runs the command on a terminal, and types one of the lines at each question. */
  async function atTerminal (args: string[], typed: string[]) {
    const terminal = () => Object.assign(new PassThrough(), { isTTY: true })
    const [stdin, stdout, stderr] = [terminal(), terminal(), terminal()]
    const lines = [...typed]
    stderr.on('data', (chunk: Buffer) => {
      if (/(Token: |\[y\/N\] )/.test(String(chunk)) && lines.length > 0) setImmediate(() => stdin.write(`${lines.shift()}\n`))
    })
    const out = text(stdout)
    let told = ''
    stderr.on('data', (chunk: Buffer) => { told += String(chunk) })
    const code = await run([...args, '--redis', redis!.url], { stdin, stdout, stderr, env: {} })
    stdout.end()
    return { code, stdout: await out, stderr: told }
  }

  await t.test('what destroys is asked for first: only a yes does it', async (t) => {
    await users.create()
    for (const answer of ['', 'n', 'yesterday']) {
      const { code, stdout, stderr } = await atTerminal(['end-all'], [answer])
      t.equal(code, 1)
      t.equal(stdout, '')
      t.match(stderr, /End ALL sessions, in 127\.0\.0\.1:\d+ under the prefix "session:"\? \[y\/N\] /)
      t.match(stderr, 'Nothing was done.')
      t.equal((await users.infoAll()).sessions, 1)
    }
    t.match(await atTerminal(['end-all', '--json'], ['y']), { code: 0, stdout: '{"ended":1}\n' })
    t.equal((await users.infoAll()).sessions, 0)
  })

  await t.test('a token is asked for, and not shown', async (t) => {
    const { token } = await users.create()
    const { code, stderr } = await atTerminal(['end', '-'], [token, 'yes'])
    t.equal(code, 0)
    t.notMatch(stderr, token)
    t.equal(await users.info(token), undefined)
  })

  await t.test('long work tells how far it is, on the terminal alone', async (t) => {
    await Promise.all(Array.from({ length: 1500 }, () => users.create()))
    const saved = await atTerminal(['save', `${t.testdir()}/saved.jsonl`, '--json'], [])
    t.match(saved, { code: 0, stdout: '{"sessions":1500,"damaged":0}\n', stderr: /\d+ saved/ })
    t.ok(saved.stderr.endsWith(clearLine))
    const totals = await atTerminal(['info', '--json'], [])
    t.match(totals, { code: 0, stdout: /"sessions":1500/, stderr: /1000 sessions/ })
    t.ok(totals.stderr.endsWith(clearLine))
    t.match(await atTerminal(['end-all', '--yes', '--json'], []), { code: 0, stdout: '{"ended":1500}\n', stderr: /\d+ ended/ })
  })

  await t.test('data is not saved to a terminal', async (t) => {
    t.match(await atTerminal(['save', '-'], []), { code: 2, stdout: '', stderr: /^error: .*\n$/ })
  })
}
