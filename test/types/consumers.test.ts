import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

/** An app with a registration of its own name. */
const named = `
import Fastify, { type FastifyRequest } from 'fastify'
import requestSession, { errors, memoryStore, redisStore, tokenSessions } from 'fastify-request-session'
import { storeConformance } from 'fastify-request-session/conformance'

type Has<T, K extends string> = K extends keyof T ? true : false
const isSessionAnothers: Has<FastifyRequest, 'session'> = false

const users = tokenSessions<{ items: string[] }>({ store: memoryStore(), ttl: 1800 })
declare module 'fastify-request-session' { interface Registered { basket: typeof users } }

const app = Fastify()
app.setErrorHandler((error, _request, reply) => reply.send(error instanceof errors.SessionGoneError ? error.code satisfies 'FST_SESSION_GONE' : error))
await app.register(requestSession, { name: 'basket', provider: users })
app.post('/basket', { config: { basket: { ttl: 600 } } }, async (request) => {
  const basket = await request.basket
  basket.set('items', [...(basket.get('items') ?? []), 'pizza'])
  return basket.get('items')
})
export function wrong () {
  // @ts-expect-error a key that the session has not
  app.get('/', async (request) => (await request.basket).get('item'))
  // @ts-expect-error a wrong value of a route's option
  app.get('/', { config: { basket: { ttl: '600' } } }, async () => '')
}
const reply = await app.inject({ method: 'POST', url: '/basket' })
if (reply.body !== '["pizza"]') throw new Error(reply.body)
const total = await app.getBasket(null, (basket) => basket.size)
for (const { run } of storeConformance({ create: () => memoryStore(), advance: () => {} }).slice(0, 5)) await run()
await app.close()
console.log('works', isSessionAnothers, total, app.sessionStats().basket.open, typeof redisStore)
`

/** An app that declares nothing. */
const plain = `
import Fastify from 'fastify'
import requestSession from 'fastify-request-session'

const app = Fastify()
await app.register(requestSession)
app.post('/visits', async (request) => {
  request.sessionScope.rollbackOnly()
  return { visits: (await request.session).increment('visits') }
})
const reply = await app.inject({ method: 'POST', url: '/visits' })
await app.close()
console.log('works', reply.body, app.sessionStats().session.open)
`

/** A project with the built package, fastify, and what npm would install with them: none of the optional peers. */
async function project (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-request-session-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const installed = join(folder, 'node_modules', 'fastify-request-session')
  await mkdir(installed, { recursive: true })
  await run(process.execPath, [tsc, '-p', join(root, 'tsconfig.json'), '--outDir', join(installed, 'dist'), '--noCheck'])
  await cp(join(root, 'package.json'), join(installed, 'package.json'))
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of ['fastify', '@types/node', ...Object.keys(dependencies)]) {
    const to = join(folder, 'node_modules', name)
    await mkdir(dirname(to), { recursive: true })
    await symlink(join(root, 'node_modules', name), to)
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, source] of Object.entries({ named, plain })) await writeFile(join(folder, `${name}.ts`), source)
  return folder
}

/** Compiles a file strictly, declarations of packages included, and returns the complaints. */
async function compile (folder: string, name: string, module: string, moduleResolution = module): Promise<string> {
  const base = { target: 'es2023', types: ['node'], outDir: 'out', rootDir: '.', module, moduleResolution }
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...base, ...strict }, files: [`${name}.ts`] }))
  return (await run(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => error)).stdout
}

t.test('with nothing but fastify installed', async (t) => {
  const folder = await project(t)

  await t.test('one line types a registration, and nothing else is augmented', async (t) => {
    t.equal(await compile(folder, 'named', 'esnext', 'bundler'), '', 'bundler')
    t.equal(await compile(folder, 'named', 'nodenext'), '', 'nodenext')
    const { stdout } = await run(process.execPath, [join(folder, 'out/named.js')])
    t.match(stdout, /^works false 0 0 function/)
  })

  await t.test('an app that declares nothing has a session of any data', async (t) => {
    t.equal(await compile(folder, 'plain', 'node16'), '', 'node16')
    const { stdout } = await run(process.execPath, [join(folder, 'out/plain.js')])
    t.match(stdout, /^works {"visits":1} 0/)
  })
})
