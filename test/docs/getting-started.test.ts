import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { pageApp } from '../support/page-app.js'
import { redisForTest } from '../support/servers/require.js'

function application (t: Test): string {
  const { folder, files } = pageApp(t, ['docs/getting-started.md', 'docs/first-tests.md'], 'js')
  t.strictSame(files, ['plugins/sessions.js', 'routes/users.js', 'app.js', 'server.js', 'test/login.test.js'])
  return folder
}

async function run (folder: string, args: string[], env: Record<string, string>): Promise<{ code: number | null, output: string }> {
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close') as [number | null]
  return { code, output }
}

t.test('the application of the pages passes its tests, in memory and on Redis', async (t) => {
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
