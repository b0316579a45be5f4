import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))

const user = `
import Fastify, { type FastifyRequest } from 'fastify'
import requestSession, { memoryStore, redisStore, tokenSessions, type RouteOptionsOf, type SessionOf } from 'fastify-request-session'
import { storeConformance } from 'fastify-request-session/conformance'

type Has<T, K extends string> = K extends keyof T ? true : false
const nothingIsAugmented: Has<FastifyRequest, 'session'> = false

const users = tokenSessions<{ items: string[] }>({ store: memoryStore(), ttl: 1800 })
declare module 'fastify' {
  interface FastifyRequest { basket: SessionOf<typeof users> }
  interface FastifyContextConfig { basket?: RouteOptionsOf<typeof users> }
}

const app = Fastify()
await app.register(requestSession, { name: 'basket', provider: users })
app.post('/basket', { config: { basket: { ttl: 600 } } }, async (request) => {
  const basket = await request.basket
  basket.set('items', [...(basket.get('items') ?? []), 'pizza'])
  return basket.get('items')
})
const reply = await app.inject({ method: 'POST', url: '/basket' })
if (reply.body !== '["pizza"]') throw new Error(reply.body)
for (const { run } of storeConformance({ create: () => memoryStore(), advance: () => {} }).slice(0, 5)) await run()
await app.close()
console.log('works', nothingIsAugmented, typeof redisStore)
`

t.test('the built package, installed with nothing but fastify: it runs, type-checks, and augments nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-request-session-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const installed = join(folder, 'node_modules', 'fastify-request-session')
  await mkdir(installed, { recursive: true })
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.json'), '--outDir', join(installed, 'dist')])
  await cp(join(root, 'package.json'), join(installed, 'package.json'))

  // What npm would install: fastify and the dependencies, and none of the optional peers.
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of ['fastify', '@types/node', ...Object.keys(dependencies)]) {
    const to = join(folder, 'node_modules', name)
    await mkdir(dirname(to), { recursive: true })
    await symlink(join(root, 'node_modules', name), to)
  }

  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'user.ts'), user)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      types: ['node'],
      outDir: 'out',
      rootDir: '.',
    },
    files: ['user.ts'],
  }))
  const checked = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch((error: { stdout: string }) => error)
  t.equal(checked.stdout, '', 'no complaint of the compiler')
  const { stdout } = await run(process.execPath, [join(folder, 'out/user.js')])
  t.match(stdout, /^works false function/)
})
