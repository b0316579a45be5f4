import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import t from 'tap'
import { runDemo, runDemoByNpm } from '../support/demo.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`it prints where it is and three things to try, answers there, and ends in order at ${signal}`, async (t) => {
    const demo = runDemo(t, [], {})
    const line = await demo.line()
    t.match(line, /^basket on the embedded store: http:\/\/127\.0\.0\.1:\d+$/)
    const url = line?.split(': ')[1] ?? ''
    t.match(await (await fetch(url)).text(), '<title>The Corner Window</title>')
    t.match([await demo.line(), await demo.line(), await demo.line()], [/^ {2}1\. \w/, /^ {2}2\. \w/, `  3. In a terminal: curl -i ${url}/api/basket`])
    demo.signal(signal)
    t.equal(await demo.line(), undefined, 'no other line')
    t.strictSame(await demo.over, { code: 0, errors: '' })
    await t.rejects(fetch(url), 'it listens no more')
  })
}

t.test('it ends with the npm that runs it', async (t) => {
  const demo = runDemoByNpm(t, [], {})
  const url = (await demo.line())?.split(': ')[1] ?? ''
  t.equal((await fetch(url)).status, 200)
  demo.signal('SIGTERM')
  await demo.over
  await t.rejects(fetch(url), 'it listens no more')
})

t.test('an example is named by its folder', async (t) => {
  const demo = runDemo(t, ['basket'], { HOST: '127.0.0.1' })
  t.match(await demo.line(), /^basket on /)
})

t.test('where other machines reach it, it says so to a phone', async (t) => {
  const demo = runDemo(t, [], { HOST: '0.0.0.0' })
  const line = await demo.line()
  t.match(line, /^basket on the embedded store: http:\/\/localhost:\d+$/)
  const lines = [await demo.line(), await demo.line(), await demo.line()]
  const [own] = Object.values(networkInterfaces()).flat().filter((found) => found?.family === 'IPv4' && !found.internal)
  if (own === undefined) {
    t.pass('needs a network', { skip: 'this machine is in none' })
    return
  }
  const url = `http://${own.address}:${line?.split(':').at(-1)}`
  t.equal(await demo.line(), `On a phone in this network: ${url}`, lines.join('\n'))
  t.match(await demo.line(), /^[█▀▄ ]{20,}$/, 'a QR code')
  t.strictSame(await (await fetch(`${url}/shared/phone`)).json(), { origin: url })
})

t.test('on the Redis that REDIS_URL names', async (t) => {
  const redis = await withServer(t, startRedis)
  if (!redis) return
  const demo = runDemo(t, [], { REDIS_URL: redis.url })
  const line = await demo.line() ?? ''
  t.ok(line.startsWith(`basket on Redis at ${redis.url}: http://127.0.0.1:`), line)
  const answer = await fetch(`${line.slice(line.lastIndexOf('http'))}/api/basket/lines`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"product":"figs"}',
  })
  t.match(await answer.json(), { total: 540 })
  const [, , third] = [await demo.line(), await demo.line(), await demo.line()]
  const [, list = '', end = ''] = /In a terminal: (?:npx .*?) (list .*?), and then (end .*?): the page/.exec(third ?? '') ?? []
  const run = (args: string) => promisify(execFile)(process.execPath, ['--import=tsx', 'lib/cli/main.ts', ...args.split(' ')])
  const id = (await run(`${list} --json`)).stdout.match(/"id":"([\w-]{43})"/)?.[1] ?? ''
  t.match((await run(end.replace('ID', id))).stdout, /ended\W+1/, 'the commands that it says work')
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
    [[], { HOST: '203.0.113.1' }, /^HOST must be an address of this machine; got "203\.0\.113\.1"\.\n$/],
    [['bakset'], {}, /^There is no example "bakset"\. There are: basket[\w, -]*\.\n$/],
    [['../examples/basket'], {}, /^There is no example "\.\.\/examples\/basket"\. There are: /],
    [['shared'], {}, /^There is no example "shared"\./],
    [[], { REDIS_URL: `redis://me:secret@127.0.0.1:${await closedPort()}` }, /^No Redis answers at redis:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED .*\n$/],
  ]
  for (const [args, env, expected] of cases) {
    const demo = runDemo(t, args, env)
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
