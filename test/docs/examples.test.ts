import { readFileSync } from 'node:fs'
import { CreateDatabaseOperation, DeleteDatabasesOperation, DocumentStore } from 'ravendb'
import t, { type Test } from 'tap'
import { DocExamples, type Example } from '../support/doc-examples.js'
import { pageExamples } from '../support/page-examples.js'
import { openNeo4j } from '../support/servers/neo4j.js'
import { openRavenDB } from '../support/servers/ravendb.js'
import { openRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

// Milliseconds. The tests take a minute on an idle machine, and many times that on a busy one.
t.setTimeout(900_000)

/** Types that are inferred, or returned, and make no sense alone. */
const exempted = ['CallOptionsOf', 'GetSessionOf', 'GetTransactionOf', 'RouteOptionsOf', 'TransactionOptionsOf']

/** Servers by the environment variable that examples read their URL from. */
const servers = { REDIS_URL: openRedis, NEO4J_URL: openNeo4j, RAVENDB_URL: openRavenDB }

const examples = new DocExamples(t.testdir())
const exported = examples.exports()
const all = [...exported.flatMap(({ examples }) => examples), ...pageExamples()]

t.test('each export has an example in its doc comment', async (t) => {
  const missing = exported.filter(({ name, examples }) => examples.length === 0 && !exempted.includes(name)).map(({ name }) => name)
  t.strictSame(missing.sort(), [])
  t.strictSame(exempted.filter((name) => !exported.some((other) => other.name === name)), [], 'what is exempted is exported')
})

t.test('AGENTS.md can be read at once', async (t) => {
  const lines = readFileSync(new URL('../../AGENTS.md', import.meta.url), 'utf8').trimEnd().split('\n').length
  t.ok(lines <= 100, `${lines} lines`)
})

t.test('the examples are sound in strict TypeScript', async (t) => {
  t.strictSame(examples.typeErrors(all), [])
})

t.test('the examples run', async (t) => {
  const urls: Record<string, string> = {}
  for (const [variable, open] of Object.entries(servers)) {
    if (!all.some(({ code }) => code.includes(variable))) continue
    const server = await withServer(t, open)
    if (server) urls[variable] = server.url
  }
  if (urls['RAVENDB_URL'] !== undefined) await createDatabases(t, urls['RAVENDB_URL'])
  examples.compile(urls)
  for (const example of all) await run(t, example, urls)
  t.match(await examples.close(), { ok: true }, 'and leave no error behind')
})

t.test('a wrong example is found', async (t) => {
  const wrong = (code: string): Example => ({ name: 'wrong', code })
  t.match(examples.typeErrors([wrong("const ttl: number = '600'")]), [/^wrong\.ts:1 Type 'string'/])
  t.match(examples.typeErrors([wrong("import { tokenSessions } from 'fastify-request-session'\ntokenSessions({ lifetime: 600 })")]), [/^wrong\.ts:2 /])
  const runs = async (code: string) => [await examples.run(wrong(code)), await examples.close()]
  t.match(await runs("await Promise.reject(new Error('out of pizza'))"), [{ ok: false, output: /out of pizza/ }, { ok: true }])
  t.match(await runs("import { errors } from 'fastify-request-session'\nif (typeof errors.OptionError !== 'function') throw new Error('no error')"), [{ ok: true }, { ok: true }])
  t.match((await runs("setImmediate(() => { throw new Error('too late') })")).filter(({ ok }) => !ok), [{ output: /too late/ }], 'also after its last line')
  t.match((await runs("import test from 'node:test'\ntest('a', () => { throw new Error('no test') })"))[0], { ok: false, output: /no test/ })
  t.match((await runs('process.exit()'))[0], { ok: false }, 'one that ends its process')
})

/** Runs an example, or skips it where its server is missing. */
async function run (t: Test, { name, code }: Example, urls: Record<string, string>): Promise<void> {
  const missing = Object.keys(servers).filter((variable) => code.includes(variable) && urls[variable] === undefined)
  if (missing.length > 0) {
    t.pass(name, { skip: `needs a server: ${missing.join(', ')}` })
    return
  }
  const { ok, output } = await examples.run({ name, code })
  t.ok(ok, `${name}${ok ? '' : `: ${output}`}`)
}

/** Creates the databases that the examples for RavenDB name, and deletes them after the test. */
async function createDatabases (t: Test, url: string): Promise<void> {
  const named = all.flatMap(({ code }) => [...code.matchAll(/new DocumentStore\([^)]*, '([\w-]+)'\)/g)].map(([, name]) => name as string))
  const store = new DocumentStore(url, 'none')
  store.initialize()
  t.teardown(() => { store.dispose() })
  for (const databaseName of new Set(named)) {
    await store.maintenance.server.send(new CreateDatabaseOperation({ databaseName }))
    t.teardown(async () => { await store.maintenance.server.send(new DeleteDatabasesOperation({ databaseNames: [databaseName], hardDelete: true })) })
  }
}
