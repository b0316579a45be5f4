import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pack, project, root, run } from '../support/packed.js'
import { MissingServer } from '../support/servers/missing-server.js'
import { lacks } from '../support/servers/require.js'

// Milliseconds. Each compiler takes seconds for each project, and many times that on a busy machine.
t.setTimeout(600_000)

/** An app with a registration of its own name, which uses all entry points. */
const named = `
import Fastify, { type FastifyRequest } from 'fastify'
import requestSession, { errors, memoryStore, tokenSessions, type CompleteStore } from 'fastify-request-session'
import { storeConformance } from 'fastify-request-session/conformance'
import { neo4jSessions, type Neo4jDriver } from 'fastify-request-session/neo4j'
import { ravenSessions, type RavenStore } from 'fastify-request-session/ravendb'
import { redisStore, type RedisClient } from 'fastify-request-session/redis'

type Has<T, K extends string> = K extends keyof T ? true : false
const isSessionAnothers: Has<FastifyRequest, 'session'> = false

const users = tokenSessions<{ items: string[] }>({ store: memoryStore(), ttl: 1800 })
declare module 'fastify-request-session' { interface Registered { basket: typeof users } }

export const onRedis = (client: RedisClient): CompleteStore => redisStore(client, { prefix: 'shop:' })
export const onNeo4j = (driver: Neo4jDriver) => neo4jSessions(driver, { accessMode: 'READ' }).kind
export const onRavenDB = (store: RavenStore) => ravenSessions(store, 'shop').kind

async function main () {
  const app = Fastify()
  app.setErrorHandler((error, _request, reply) => reply.send(error instanceof errors.SessionGoneError ? error.code satisfies 'FST_SESSION_GONE' : error))
  await app.register(requestSession, { name: 'basket', provider: users })
  app.post('/basket', { config: { basket: { ttl: 600 } } }, async (request) => {
    const basket = await request.basket
    basket.set('items', [...(basket.get('items') ?? []), 'pizza'])
    return basket.get('items')
  })
  const wrong = () => {
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
  console.log('works', isSessionAnothers, total, app.sessionStats().basket.open, typeof wrong)
}
main()
`

/** An app that declares nothing. */
const plain = `
import Fastify from 'fastify'
import requestSession from 'fastify-request-session'

async function main () {
  const app = Fastify()
  await app.register(requestSession)
  app.post('/visits', async (request) => {
    request.sessionScope.rollbackOnly()
    return { visits: (await request.session).increment('visits') }
  })
  const reply = await app.inject({ method: 'POST', url: '/visits' })
  await app.close()
  console.log('works', reply.body, app.sessionStats().session.open)
}
main()
`

const apps = { named: /^works false 0 0 function$/m, plain: /^works {"visits":1} 0$/m }

/** Settings of TypeScript by the kind of the project. */
const settings = {
  module: {
    bundler: { module: 'esnext', moduleResolution: 'bundler' },
    nodenext: { module: 'nodenext' },
    node16: { module: 'node16' },
  },
  commonjs: {
    nodenext: { module: 'nodenext' },
    node16: { module: 'node16' },
    commonjs: { module: 'commonjs', moduleResolution: 'node10' },
    'commonjs without esModuleInterop': { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: false },
  },
}

/** Compilers, with what they want to be told of the older settings. */
const compilers = [
  { path: 'node_modules/typescript', more: { ignoreDeprecations: '6.0' } },
  { path: 'test/versions/node_modules/typescript-lowest', more: {} },
]

/** Compiles an app strictly, declarations of packages included, and returns the complaints. */
async function compile (folder: string, compiler: string, app: string, options: object): Promise<string> {
  const base = { target: 'es2022', lib: ['es2023'], types: ['node'], outDir: 'out', rootDir: '.', esModuleInterop: true }
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...base, ...strict, ...options }, files: [`${app}.ts`] }))
  await rm(join(folder, 'out'), { recursive: true, force: true })
  return (await run(process.execPath, [join(compiler, 'bin/tsc'), '-p', folder]).catch((error: { stdout: string }) => error)).stdout
}

/** The folder of something that is installed there, or a skip. */
function installed (t: Test, path: string): string | undefined {
  if (existsSync(join(root, path))) return join(root, path)
  lacks(t, new MissingServer(path, 'npm ci --prefix test/versions'))
  return undefined
}

t.test('with nothing but fastify installed', async (t) => {
  const packed = await pack(t)
  const sources = { 'named.ts': named, 'plain.ts': plain }

  for (const { path, more } of compilers) {
    await t.test(`TypeScript of ${path}`, async (t) => {
      const compiler = installed(t, path)
      if (compiler === undefined) return
      t.comment((JSON.parse(readFileSync(join(compiler, 'package.json'), 'utf8')) as { version: string }).version)
      for (const type of ['module', 'commonjs'] as const) {
        const folder = await project(t, packed, type, sources)
        for (const [name, options] of Object.entries(settings[type])) {
          for (const [app, output] of Object.entries(apps)) {
            t.equal(await compile(folder, compiler, app, { ...options, ...more }), '', `${app}.ts in a ${type} project, ${name}`)
            t.match((await run(process.execPath, [join(folder, `out/${app}.js`)])).stdout, output)
          }
        }
      }
    })
  }
})
