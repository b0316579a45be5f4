import { PassThrough, Readable } from 'node:stream'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import neo4j from 'neo4j-driver'
import { DocumentStore } from 'ravendb'
import t from 'tap'
import requestSession, {
  cached, cookieTransport, getSession, headerTransport, memoryStore, neo4jSessions, neo4jTransactions, ravenSessions, redisStore, tokenSessions,
} from '../../lib/index.js'
import * as known from '../support/fuzz/known-options.js'
import { checkPrototypes, inputCount, problemOfCall } from '../support/fuzz/laws.js'
import { anyOptions, anyValue, type Known } from '../support/fuzz/values.js'
import { Random } from '../support/random.js'

process.removeAllListeners('warning')
const client = new Redis({ lazyConnect: true })
const driver = neo4j.driver('bolt://127.0.0.1:1')
const documents = new DocumentStore('http://127.0.0.1:1', 'shop').initialize()
const users = tokenSessions({ store: memoryStore({ maxSessions: 100 }), secret: 'x'.repeat(32) })
t.teardown(async () => {
  client.disconnect()
  documents.dispose()
  await driver.close()
})
const saved = new PassThrough()
await users.create({ data: { a: 1 } })
await users.save(saved)
const file = String(saved.read())
const texts = ['a', 'b']

/** Calls with options of all kinds, each with the options that it knows, and those whose values may be secrets. */
const calls: Array<[name: string, known: Known, sensitive: string[], call: (options: never, random: Random) => unknown]> = [
  ['tokenSessions', known.tokenProvider, ['secret', 'store', 'transport', 'token'], async (options) => tokenSessions(options).close()],
  ['cookieTransport', { name: texts, domain: ['example.com'], path: ['/', '/a'], secure: [true, false, 'auto'], sameSite: ['lax', 'none'], httpOnly: [true, false], partitioned: [true] }, [], (options) => cookieTransport(options)],
  ['headerTransport', { name: ['x-a', 'authorization'], scheme: ['Bearer', null] }, ['scheme'], (options) => headerTransport(options)],
  ['memoryStore', { maxSessions: [1, 10] }, [], (options) => memoryStore(options).close()],
  ['redisStore', { prefix: texts, timeout: [1] }, [], (options, random) => redisStore(random.onceIn(5) ? anyValue(random) as never : client, options).close()],
  ['cached', { maxSessions: [1, 10], maxAge: [20], staleIfError: [0, 1] }, [], (options, random) => cached(random.onceIn(5) ? anyValue(random) as never : redisStore(client), options).close()],
  ['neo4jSessions', known.neo4j, ['auth', 'bookmarks', 'bookmarkManager'], (options, random) => neo4jSessions(random.onceIn(9) ? anyValue(random) as never : driver, options)],
  ['neo4jTransactions', known.neo4jTransaction, ['auth', 'metadata'], (options, random) => neo4jTransactions(random.onceIn(9) ? anyValue(random) as never : driver, options)],
  ['ravenSessions', known.raven, ['requestExecutor'], (options, random) => ravenSessions(random.onceIn(9) ? anyValue(random) as never : documents, options)],
  ['getSession', { ttl: [1], maxAge: [null], token: ['x', 'x'.repeat(43)] }, ['token'], (options) => getSession(users, null, (session) => session.size, options)],
  ['create', { name: texts, shared: [true, false], ttl: [1, null], maxAge: [5], deleteSession: [false], subject: texts, data: [{ a: 1 }] }, ['data', 'subject'], (options) => users.create(options)],
  ['list', { subject: texts, name: texts, onDamaged: [() => {}] }, ['subject'], (options) => users.list(options).next()],
  ['endAll', { subject: texts, except: ['x'], onProgress: [() => {}] }, ['except'], (options) => users.endAll(options)],
  ['infoAll', { onProgress: [() => {}] }, [], (options) => users.infoAll(options)],
  ['save', { tokens: [[], ['x']], onDamage: ['skip', 'fail'], onProgress: [() => {}], signal: [new AbortController().signal] }, ['tokens'], (options) => users.save(new PassThrough(), options)],
  ['restore', { onConflict: ['skip', 'replace', 'fail'], onDamage: ['skip', 'fail'], onProgress: [() => {}] }, [], (options) => users.restore(Readable.from([file]), options)],
  ['end', { token: texts, name: texts, id: texts }, ['token', 'id'], (options) => users.end(options)],
  ['info', { token: texts, name: texts, id: texts }, ['token', 'id'], (options) => users.info(options)],
]

t.test(`${inputCount} options of the functions`, async (t) => {
  const problems: string[] = []
  for (let seed = 0; seed < inputCount && problems.length < 5; seed++) {
    const random = new Random(seed)
    const [name, options, sensitive, call] = calls[seed % calls.length] as typeof calls[number]
    const given = anyOptions(random, options, sensitive)
    const problem = await problemOfCall(() => call(given as never, random))
    if (problem !== undefined) problems.push(`seed ${seed}: ${name}: ${problem}`)
  }
  t.strictSame(problems, [])
  checkPrototypes(t)
})

t.test(`${inputCount / 50} registrations`, async (t) => {
  const problems: string[] = []
  for (let seed = 0; seed < inputCount / 50 && problems.length < 5; seed++) {
    const random = new Random(seed)
    const options = anyOptions(random, { name: texts, provider: [tokenSessions(), neo4jSessions(driver)], warnAfter: [0, 5], ...known.commitOptions }, ['provider'])
    const app = Fastify()
    const problem = await problemOfCall(async () => {
      app.register(requestSession, (Object(options) === options ? options : {}) as never)
      await app.ready()
    })
    // Of a name that requests have already, Fastify says so itself.
    if (problem !== undefined && !problem.includes('has already been added')) problems.push(`seed ${seed}: ${problem}`)
    await app.close()
  }
  t.strictSame(problems, [])
  checkPrototypes(t)
})
