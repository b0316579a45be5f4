import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installed, pack, project, root, run } from '../support/packed.js'

// Milliseconds. The package is built first, which takes a while on a busy machine.
t.setTimeout(300_000)

/** Compares all exports of all entry points, imported and required. */
const identity = `
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)

const entries = ['', '/redis', '/neo4j', '/ravendb', '/conformance']
const compared = []
for (const entry of entries) {
  const [imported, required] = [await import('fastify-request-session' + entry), require('fastify-request-session' + entry)]
  for (const name of Object.keys(imported)) compared.push([entry + ' ' + name, imported[name] === required[name]])
  for (const name of Object.keys(required)) if (!(name in imported)) compared.push([entry + ' ' + name, false])
}
console.log(compared.length, JSON.stringify(compared.filter(([, same]) => !same)))
`

/** An app that has one registration by \`import\`, and one by \`require\`, with a provider of the other. */
const mixed = `
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import requestSession, { assertNoOpenSessions, errors, getSession, memoryStore, tokenSessions } from 'fastify-request-session'
const required = createRequire(import.meta.url)('fastify-request-session')

const app = Fastify()
await app.register(requestSession, { name: 'first', provider: required.tokenSessions({ store: memoryStore(), transport: required.cookieTransport({ name: 'first' }) }) })
await app.register(required.default, { name: 'second', provider: tokenSessions({ store: required.memoryStore(), transport: required.headerTransport() }) })
app.get('/', async (request) => {
  const [first, second] = [await request.first, await request.second]
  const joined = await required.getSession(app.firstProvider, first, (session, scope) => [session === first, scope.state === 'open'])
  first.increment('n')
  second.end()
  const ended = (() => { try { second.set('n', 1) } catch (error) { return [error instanceof errors.SessionEndedError, error instanceof required.errors.SessionEndedError] } })()
  return { joined, ended, classes: [first instanceof required.TokenSession, second.constructor === first.constructor] }
})
const { body } = await app.inject('/')
await assertNoOpenSessions(app)
console.log(body, Object.keys(app.sessionStats()).join())
await app.close()
`

/** Prints the files of the package that are loaded, after an import or a require, and after a use. */
const loaded = (load: string, use: string): string => `
const { createRequire } = require('node:module')
const files = () => Object.keys(require.cache).map((file) => file.split('/fastify-request-session/')[1]).filter((file) => file !== undefined).sort().join()
async function main () {
  const library = ${load}
  const before = files()
  try { library.${use} } catch (error) { console.log(before + ' ' + error.code + ' ' + files() + '\\n' + error.stack) }
}
main()
`

/** A test of Jest, by \`require\`. */
const jestTest = `
const Fastify = require('fastify')
const { default: requestSession, errors, tokenSessions } = require('fastify-request-session')
const { redisStore } = require('fastify-request-session/redis')

test('counts the visits', async () => {
  const app = Fastify()
  app.register(requestSession, { provider: tokenSessions() })
  app.get('/', async (request) => ({ visits: (await request.session).increment('visits') }))
  // Not by inject(): Fastify's package for it loads an ES module, for which Jest wants Node 24.
  const reply = await fetch(await app.listen())
  expect(await reply.json()).toEqual({ visits: 1 })
  await app.close()
  expect(() => redisStore(undefined)).toThrow(errors.OptionError)
})
`

t.test('the packed package', async (t) => {
  const packed = await pack(t)
  const folder = await project(t, packed, 'commonjs', {
    'identity.mjs': identity,
    'mixed.mjs': mixed,
    'session.test.js': jestTest,
    'jest.config.json': '{ "transform": {} }',
    'imported.js': loaded("await import('fastify-request-session')", 'redisStore(undefined)'),
    'required.js': loaded("require('fastify-request-session')", 'neo4jSessions(undefined)'),
    'redis.js': loaded("require('fastify-request-session/redis')", 'redisStore(undefined)'),
  })
  const output = async (...args: string[]): Promise<string> => (await run(process.execPath, args, { cwd: folder })).stdout

  await t.test('import and require give the same', async (t) => {
    t.match(await output('identity.mjs'), /^\d\d \[\]\n$/)
  })

  await t.test('an application that imports it and requires it has one copy of its state', async (t) => {
    t.equal(await output('mixed.mjs'), '{"joined":[true,true],"ended":[true,true],"classes":[true,true]} first,second\n')
  })

  await t.test('a database is loaded where it is used', async (t) => {
    const common = 'dist/cjs/index.js,dist/cjs/shared.js'
    t.match(await output('imported.js'), `${common} FST_SESSION_OPTION dist/cjs/index.js,dist/cjs/redis-store.js,dist/cjs/redis.js,dist/cjs/shared.js`)
    t.match(await output('required.js'), `${common} FST_SESSION_OPTION dist/cjs/index.js,dist/cjs/neo4j.js,dist/cjs/shared.js`)
    t.match(await output('redis.js'), 'dist/cjs/redis-store.js,dist/cjs/redis.js,dist/cjs/shared.js FST_SESSION_OPTION')
  })

  await t.test('the stack of an error names lines that can be read', async (t) => {
    const [, file = '', line] = /at connectionOf \((.+):(\d+):\d+\)/.exec(await output('redis.js')) ?? []
    t.match(readFileSync(file, 'utf8').split('\n')[Number(line) - 1], /^\t*throw new \w+\.OptionError\(/)
  })

  await t.test('Jest runs it', async (t) => {
    const jest = installed(t, 'test/versions/node_modules/jest')
    if (jest === undefined) return
    const { stderr } = await run(process.execPath, [join(jest, 'bin/jest.js'), '--config', 'jest.config.json'], { cwd: folder })
    t.match(stderr, /Tests: +1 passed, 1 total/)
  })

  await t.test('is small, and has what is named', async (t) => {
    t.ok(packed.unpackedSize <= 650_000, `${packed.unpackedSize} bytes`)
    t.strictSame(packed.files.filter((file) => !file.startsWith('dist/')).sort(), ['AGENTS.md', 'LICENSE', 'README.md', 'package.json'])
    const { exports, bin, main, types, typesVersions } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, object>
    const named = JSON.stringify([exports, bin, main, types, typesVersions]).match(/dist\/[\w/.-]+/g) ?? []
    t.strictSame([...new Set(named)].filter((file) => !packed.files.includes(file)), [])
  })
})
