import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { installed, pack, project, run } from '../support/packed.js'

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

/** Output of the apps. */
const outputs = { named: /^works false 0 0 function$/m, plain: /^works {"visits":1} 0$/m }

/** Kinds of projects, and what TypeScript is told in them. A project without esModuleInterop cannot check the declarations of Fastify's own dependencies. */
const settings = {
  'ES modules, bundler': { type: 'module', options: { module: 'esnext', moduleResolution: 'bundler' } },
  'ES modules, nodenext': { type: 'module', options: { module: 'nodenext' } },
  'ES modules, node16': { type: 'module', options: { module: 'node16' } },
  'CommonJS, nodenext': { type: 'commonjs', options: { module: 'nodenext' } },
  'CommonJS, node16': { type: 'commonjs', options: { module: 'node16' } },
  'CommonJS, commonjs': { type: 'commonjs', options: { module: 'commonjs', moduleResolution: 'node10' } },
  'CommonJS, commonjs without esModuleInterop': {
    type: 'commonjs', options: { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: false, skipLibCheck: true },
  },
} as const

/** Compilers, and what they want to be told of the older settings. */
const compilers: Array<{ path: string, more: object }> = [
  { path: 'node_modules/typescript', more: { ignoreDeprecations: '6.0' } },
  { path: 'test/versions/node_modules/typescript-lowest', more: {} },
]

/** Compiles an app strictly, and returns the complaints. */
async function compile (folder: string, compiler: string, app: keyof typeof outputs, options: object): Promise<string> {
  const base = { target: 'es2022', lib: ['es2023'], types: ['node'], outDir: 'out', rootDir: '.', esModuleInterop: true }
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...base, ...strict, ...options }, files: [`${app}.ts`] }))
  await rm(join(folder, 'out'), { recursive: true, force: true })
  return (await run(process.execPath, [join(compiler, 'bin/tsc'), '-p', folder]).catch((error: { stdout: string }) => error)).stdout
}

t.test('with nothing but fastify installed', async (t) => {
  const packed = await pack(t)
  const folders = {
    module: await project(t, packed, 'module', { 'named.ts': named, 'plain.ts': plain }),
    commonjs: await project(t, packed, 'commonjs', { 'named.ts': named, 'plain.ts': plain }),
  }
  for (const { path, more } of compilers) {
    await t.test(`TypeScript of ${path}`, async (t) => {
      const compiler = installed(t, path)
      if (compiler === undefined) return
      t.comment((JSON.parse(readFileSync(join(compiler, 'package.json'), 'utf8')) as { version: string }).version)
      for (const app of ['named', 'plain'] as const) {
        for (const [name, { type, options }] of Object.entries(settings)) {
          t.equal(await compile(folders[type], compiler, app, { ...options, ...more }), '', `${app}.ts: ${name}`)
          t.match((await run(process.execPath, [join(folders[type], `out/${app}.js`)])).stdout, outputs[app])
        }
      }
    })
  }
})
