import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { memoryStore, tokenSessions } from '../../../lib/index.js'

const hint = /sessions of this process alone.*node:cluster or PM2.*redisStore\(\) shares sessions/

/** The warnings of an app that has booted with this many registrations of one provider. */
async function warningsAtBoot (t: Test, env: Record<string, string>, registrations = 1): Promise<string[]> {
  Object.assign(process.env, env)
  t.teardown(() => { for (const name of Object.keys(env)) delete process.env[name] })
  const warnings: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
  t.teardown(() => app.close())
  const provider = tokenSessions({ store: memoryStore() })
  for (let i = 0; i < registrations; i++) await app.register(requestSession, { name: `session${i}`, provider })
  await app.ready()
  return warnings
}

t.test('a worker of node:cluster warns at boot that it has sessions of its own', async (t) => {
  cluster.setupPrimary({ exec: fileURLToPath(new URL('../../support/memory-worker.ts', import.meta.url)), execArgv: ['--import=tsx'] })
  const worker = cluster.fork()
  const [warnings] = await once(worker, 'message') as [string[]]
  const [code] = await once(worker, 'exit') as [number]
  t.match(warnings, [hint])
  t.equal(warnings.length, 1)
  t.equal(code, 0)
})

for (const name of ['NODE_APP_INSTANCE', 'pm_id']) {
  t.test(`so does a process of PM2, by ${name}, once for all registrations`, async (t) => {
    const warnings = await warningsAtBoot(t, { [name]: '0' }, 2)
    t.match(warnings, [hint])
    t.equal(warnings.length, 1)
  })
}

t.test('a process by itself does not', async (t) => {
  t.strictSame(await warningsAtBoot(t, {}), [])
})
