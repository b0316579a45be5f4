import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Run {
  /** The next line of the standard output; `undefined` at its end. */
  line (): Promise<string | undefined>
  signal (name: NodeJS.Signals): void
  /** Resolves at the end of the process. */
  readonly over: Promise<{ code: number | null, errors: string }>
}

/** `npm run demo` without its installation and its build. */
function run (t: Test, args: string[], env: NodeJS.ProcessEnv): Run {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/run.ts', ...args], {
    cwd: root, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text })
  const lines = readLines(child.stdout)
  const over = once(child, 'close').then(([code]) => ({ code: code as number | null, errors }))
  return {
    line: async () => (await lines.next()).value,
    signal: (name) => child.kill(name),
    over,
  }
}

async function * readLines (stream: NodeJS.ReadableStream): AsyncGenerator<string, undefined> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    yield * parts
  }
  if (rest !== '') yield rest
  return undefined
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`it prints one line, answers there, and ends in order at ${signal}`, async (t) => {
    const demo = run(t, [], { PORT: '0' })
    const line = await demo.line()
    t.match(line, /^basket on the embedded store: http:\/\/127\.0\.0\.1:\d+$/)
    const url = line?.split(': ')[1] ?? ''
    t.match(await (await fetch(url)).text(), '<title>The Corner Window</title>')
    demo.signal(signal)
    t.equal(await demo.line(), undefined, 'one line and no other')
    t.strictSame(await demo.over, { code: 0, errors: '' })
    await t.rejects(fetch(url), 'it listens no more')
  })
}

t.test('an example is named by its folder', async (t) => {
  const demo = run(t, ['basket'], { PORT: '0', HOST: '127.0.0.1' })
  t.match(await demo.line(), /^basket on /)
})

t.test('on the Redis that REDIS_URL names', async (t) => {
  const redis = await withServer(t, startRedis)
  if (!redis) return
  const demo = run(t, [], { PORT: '0', REDIS_URL: redis.url })
  const line = await demo.line() ?? ''
  t.ok(line.startsWith(`basket on Redis at ${redis.url}: http://127.0.0.1:`), line)
  const answer = await fetch(`${line.slice(line.lastIndexOf('http'))}/api/basket/lines`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"product":"figs"}',
  })
  t.match(await answer.json(), { total: 540 })
  demo.signal('SIGTERM')
  t.strictSame(await demo.over, { code: 0, errors: '' })
})

t.test('what it cannot do it says in one line, with exit code 1', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const busy = String((server.address() as AddressInfo).port)

  const cases: [args: string[], env: NodeJS.ProcessEnv, errors: RegExp][] = [
    [[], { PORT: busy }, new RegExp(`^Port ${busy} of 127\\.0\\.0\\.1 is in use: choose another with PORT\\.\\n$`)],
    [[], { PORT: 'http' }, /^PORT must be a whole number from 0 to 65535; got "http"\.\n$/],
    [[], { PORT: '65536' }, /^PORT must be a whole number from 0 to 65535; got "65536"\.\n$/],
    [[], { PORT: '-1' }, /^PORT must be a whole number from 0 to 65535; got "-1"\.\n$/],
    [[], { PORT: '0', HOST: '203.0.113.1' }, /^HOST must be an address of this machine; got "203\.0\.113\.1"\.\n$/],
    [['bakset'], {}, /^There is no example "bakset"\. There are: basket[\w, -]*\.\n$/],
    [['../examples/basket'], {}, /^There is no example "\.\.\/examples\/basket"\. There are: /],
    [['shared'], {}, /^There is no example "shared"\./],
    [[], { PORT: '0', REDIS_URL: `redis://me:secret@127.0.0.1:${await closedPort()}` }, /^No Redis answers at redis:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED .*\n$/],
  ]
  for (const [args, env, expected] of cases) {
    const demo = run(t, args, env)
    const { code, errors } = await demo.over
    t.equal(code, 1, JSON.stringify([args, env]))
    t.match(errors, expected)
    t.equal(await demo.line(), undefined, 'nothing on the standard output')
  }
})

async function closedPort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
