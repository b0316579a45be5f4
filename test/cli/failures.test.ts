import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { runCommand, runProcess } from '../support/cli.js'
import { freePort } from '../support/servers/free-port.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const id = 'x'.repeat(43)

await Promise.all([
  t.test('wrong usage: 2, one line, before anything is asked of Redis', async (t) => {
    const wrong: Array<[RegExp, ...string[]]> = [
      [/unknown command/, 'lits'],
      [/unknown option/, 'list', '--jsno'],
      [/argument missing/, 'list', '--subject'],
      [/--timeout/, 'list', '--timeout', '1.5'],
      [/--timeout/, 'list', '--timeout', '0'],
      [/--redis/, 'list', '--redis', 'http://user:password@127.0.0.1'],
      ...[
        'redis://127.0.0.1/prod', 'redis://127.0.0.1/-1', 'redis://127.0.0.1/1.5', 'redis://127.0.0.1/1/2', 'redis://127.0.0.1/?db=x', 'redis://127.0.0.1/?password=secret', 'redis://%zz@127.0.0.1',
        'redis+unix://', 'unix:///tmp/s.sock?db=-1', '/tmp/s.sock', 'redis://', '',
      ].map((url): [RegExp, ...string[]] => [/--redis/, 'list', '--redis', url]),
      [/--redis/, 'list', '--cluster', '--redis', 'redis://127.0.0.1/1'],
      [/--cluster/, 'list', '--cluster', '--redis', 'redis+unix:///tmp/s.sock'],
      [/--master/, 'list', '--sentinel', '127.0.0.1'],
      [/--sentinel/, 'list', '--master', 'mine'],
      [/--sentinel/, 'list', '--master', 'mine', '--sentinel', 'a:b'],
      [/--sentinel/, 'list', '--master', 'mine', '--sentinel', ''],
      [/prefix/, 'list', '--prefix', ''],
      [/name a session/, 'end', '--yes'],
      [/name one session/, 'info', '-', '--id', id],
      [/--id/, 'info', '--id', `${id}:data`],
      [/must not be on the command line/, 'info', id],
      [/no token/, 'info', '-'],
      [/--secret-env/, 'info', '--name', 'order 7'],
      [/no environment variable "NO_SECRET"/, 'info', '--name', 'order 7', '--secret-env', 'NO_SECRET'],
      [/secret/, 'info', '--name', 'order 7', '--secret-env', 'SHORT_SECRET'],
      [/--yes/, 'end', '--id', id],
      [/--yes/, 'end-all'],
      [/--yes/, 'restore', '-', '--on-conflict', 'replace'],
      [/choices/, 'restore', '-', '--on-conflict', 'merge'],
      [/missing required argument/, 'save'],
    ]
    await Promise.all(wrong.map(async ([problem, command, ...args]) => {
      const { code, stdout, stderr } = await runCommand([command as string, '--redis', 'redis://127.0.0.1:1', ...args], { env: { SHORT_SECRET: 'too-short' } })
      t.equal(code, 2, [command, ...args].join(' '))
      t.equal(stdout, '')
      t.match(stderr, problem)
      t.match(stderr, /^error: .*\n$/)
      t.notMatch(stderr, /password|too-short|x{43}/)
    }))
    t.match(await runProcess(['end-all'], { env: { REDIS_URL: 'redis://127.0.0.1:1' } }), { code: 2, stdout: '', stderr: /^error: .*\n$/ })
  }),

  t.test('help and version: 0', async (t) => {
    const [help, ofEnd, version] = await Promise.all([runCommand(['--help']), runCommand(['end', '--help']), runCommand(['--version'])])
    t.match(help, { code: 0, stderr: '', stdout: /list[^]*info[^]*end[^]*end-all[^]*save[^]*restore/ })
    t.match(ofEnd, { code: 0, stdout: /--yes[^]*--redis[^]*REDIS_URL/ })
    t.match(version, { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
  }),

  t.test('a pipe that nobody reads is no error', async (t) => {
    t.match(await runProcess(['--help'], { unread: 'stdout' }), { code: 0, stderr: '' })
    t.match(await runProcess(['--nonsense'], { unread: 'stderr' }), { code: 2, stdout: '' })
  }),

  t.test('Redis is down: 1, one line, at once', async (t) => {
    const port = await freePort()
    await Promise.all([[], ['--cluster']].map(async (more) => {
      const { code, stdout, stderr } = await runProcess(['list', '--redis', `redis://user:password@127.0.0.1:${port}`, ...more])
      t.equal(code, 1)
      t.equal(stdout, '')
      t.match(stderr, /^error: FST_SESSION_STORE_UNAVAILABLE: .*(ECONNREFUSED|None of startup nodes).*\n$/)
      t.notMatch(stderr, 'password')
    }))
  }),

  t.test('a Redis that never answers: 1, within --timeout', async (t) => {
    const sockets: Socket[] = []
    const server = createServer((socket) => { sockets.push(socket) }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
    await Promise.all([['info'], ['end-all', '--yes'], ['list', '--cluster']].map(async (args) => {
      const { code, stderr } = await runProcess([...args, '--redis', url, '--timeout', '200'])
      t.equal(code, 1, args.join(' '))
      t.match(stderr, /^error: FST_SESSION_STORE_UNAVAILABLE: .*\n$/)
    }))
  }),

  t.test('a wrong password, a node of a cluster', async (t) => {
    const [closed, node] = await Promise.all([
      withServer(t, () => startRedis({ args: ['--requirepass', 'open sesame'] })),
      withServer(t, () => startRedis({ args: ['--cluster-enabled', 'yes'] })),
    ])
    if (!closed || !node) return
    const withPassword = (password: string) => closed.url.replace('://', `://:${password}@`)
    const [right, wrong, none, alone] = await Promise.all([
      runCommand(['info', '--redis', withPassword('open%20sesame')]),
      runCommand(['info', '--redis', withPassword('close%20sesame')]),
      runProcess(['info'], { env: { REDIS_URL: closed.url } }),
      runCommand(['end-all', '--yes', '--redis', node.url, '--timeout', '20000']),
    ])
    t.match(right, { code: 0 })
    t.match(wrong, { code: 1, stdout: '', stderr: /^error: FST_SESSION_STORE_UNAVAILABLE: .*\n$/ })
    t.match(none, { code: 1, stdout: '', stderr: /^error: FST_SESSION_STORE_UNAVAILABLE: .*NOAUTH.*\n$/ })
    t.match(alone, { code: 1, stdout: '', stderr: /--cluster\)\n$/ }, 'which has but a part of the sessions')
    t.notOk([wrong, none].some(({ stderr }) => stderr.includes('sesame')))
  }),
])
