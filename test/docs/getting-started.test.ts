import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { redisForTest } from '../support/servers/require.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Makes the application of the page: each code in JavaScript goes into the file that its paragraph names first. */
function application (t: Test): string {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
  const page = readFileSync(join(root, 'docs/getting-started.md'), 'utf8')
  const files = [...page.matchAll(/^`(\S+\.js)`(?:(?!^```)[^])*?^```js\n([^]*?)^```$/gm)]
  for (const [, path = '', code = ''] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), code)
  }
  t.strictSame(files.map(([, path]) => path), ['plugins/sessions.js', 'routes/users.js', 'app.js', 'server.js', 'test/login.test.js'])
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/fastify-request-session'), 'dir')
  return folder
}

async function run (folder: string, args: string[], env: Record<string, string>): Promise<{ code: number | null, output: string }> {
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close') as [number | null]
  return { code, output }
}

t.test('the application of the page passes its tests, in memory and on Redis', async (t) => {
  const redis = await redisForTest(t)
  const folder = application(t)
  for (const env of [{}, ...redis ? [{ REDIS_URL: redis.url }] : []]) {
    const { code, output } = await run(folder, ['--test'], env)
    t.equal(code, 0, output)
    t.match(output, /^# pass 2$/m)
  }
})

t.test('its server is ended by a signal, on Redis too', async (t) => {
  const redis = await redisForTest(t)
  const folder = application(t)
  for (const env of [{}, ...redis ? [{ REDIS_URL: redis.url }] : []]) {
    const child = spawn(process.execPath, ['server.js'], { cwd: folder, env: { ...env, PATH: process.env['PATH'] ?? '', PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
    const exit = once(child, 'exit')
    for await (const line of createInterface(child.stdout)) if (/listening/i.test(line)) child.kill('SIGTERM')
    t.equal((await exit)[0], 0)
  }
})
