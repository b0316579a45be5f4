import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions, type CompleteTokenProvider, type SessionData } from '../../lib/index.js'
import { runCommand } from '../support/cli.js'
import { startRedis, startSentinel } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const socket = join(t.testdir(), 's.sock')
const server = await withServer(t, () => startRedis({ args: ['--unixsocket', socket, '--requirepass', 'open sesame'] }))
if (server) {
  const clients = [0, 2].map((db) => new Redis({ port: server.port, host: '127.0.0.1', password: 'open sesame', db }))
  t.teardown(() => { for (const client of clients) client.disconnect() })
  const [zero, two] = clients.map((client) => tokenSessions({ store: redisStore(client) })) as [CompleteTokenProvider<SessionData>, CompleteTokenProvider<SessionData>]
  await zero.create()
  for (let i = 0; i < 2; i++) await two.create()
  const at = (place: string): string => `redis://:open%20sesame@${place}`
  const sessions = async (url: string, ...more: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCommand(['info', '--json', '--redis', url, ...more])
    return code === 0 ? (JSON.parse(stdout) as { sessions: number }).sessions : stderr
  }

  await t.test('the database that the URL names, and no other', async (t) => {
    const here = `127.0.0.1:${server.port}`
    for (const [path, count] of [['', 1], ['/', 1], ['/0', 1], ['/2', 2], ['/?db=2', 2], ['?db=0&family=4', 1], ['/3', 0]] as const) t.equal(await sessions(at(here) + path), count, path)
    for (const command of [['end-all', '--yes'], ['list'], ['info'], ['doctor'], ['restore', '-'], ['save', '-']]) {
      const run = await runCommand([...command, '--redis', `${at(here)}/99`], { stdin: '{}' })
      t.match(run, { code: 1, stdout: '', stderr: /^error: FST_SESSION_STORE_UNAVAILABLE: .*DB index is out of range\)\n$/ }, command.join(' '))
    }
    t.equal((await zero.infoAll()).sessions, 1, 'nothing was ended')
  })

  await t.test('a Unix socket', async (t) => {
    const url = `redis+unix://:open%20sesame@localhost${socket}`
    t.equal(await sessions(url), 1)
    t.equal(await sessions(`${url}?db=2`), 2)
    t.match(await sessions(`unix://${socket}`), /NOAUTH/)
    t.match(await sessions(`unix://${socket}.not`), /ENOENT/)
  })

  await t.test('Sentinel: the master that it knows by a name, with the user and the database of the URL', async (t) => {
    const sentinel = await withServer(t, () => startSentinel('mine', server.port))
    if (!sentinel) return
    const known = ['--sentinel', `127.0.0.1:1,127.0.0.1:${sentinel.port}`, '--master', 'mine']
    t.equal(await sessions(at('nowhere.invalid'), ...known), 1)
    t.equal(await sessions(`${at('nowhere.invalid')}/2`, ...known), 2)
    t.match(await sessions(at('nowhere.invalid'), ...known.slice(0, -1), 'another'), /^error: FST_SESSION_STORE_UNAVAILABLE: /)
    t.match(await runCommand(['end-all', '--redis', at('nowhere.invalid'), ...known]), { code: 2 })
  })

  await t.test('an empty prefix: the others are named', async (t) => {
    t.match(await runCommand(['list', '--prefix', 'shop:', '--redis', `${at(`127.0.0.1:${server.port}`)}/2`]), {
      code: 0, stdout: '', stderr: 'There are no sessions under the prefix "shop:", but under "session:" (2).\n',
    })
  })
}
