import { expectTypeOf } from 'expect-type'
import type { FastifyRequest } from 'fastify'
import neo4j, { type Driver, type Session, type SessionConfig, type Transaction } from 'neo4j-driver'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  getSession, getTransaction, neo4jSessions, neo4jTransactions,
  type CallOptionsOf, type GetSessionOf, type GetTransactionOf, type Neo4jDriver, type Neo4jScope, type RouteOptionsOf, type SessionOf, type SessionScope,
} from '../../lib/index.js'
import type { sessionRules, transactionOnlyRules } from '../../lib/neo4j/options.js'

const driver = neo4j.driver('bolt://127.0.0.1:1')
t.teardown(() => driver.close())
const sessions = neo4jSessions(driver, { database: 'people', accessMode: 'READ' })
const transactions = neo4jTransactions(driver, (request) => ({ database: request.hostname, timeout: 1000 }))

t.test('what a user sees is the driver\'s own types', async (t) => {
  t.pass('checked by tsc')
  expectTypeOf<SessionOf<typeof sessions>>().toEqualTypeOf<Session>()
  expectTypeOf<SessionOf<typeof transactions>>().toEqualTypeOf<ReturnType<Session['beginTransaction']>>()
  expectTypeOf<Awaited<SessionOf<typeof transactions>>>().toEqualTypeOf<Transaction>()
})

t.test('all of SessionConfig can be said, and nothing else', async (t) => {
  t.pass('checked by tsc')
  type Route = Exclude<RouteOptionsOf<typeof sessions>, false>
  expectTypeOf<Route>().toHaveProperty('impersonatedUser').toEqualTypeOf<string | undefined>()
  expectTypeOf<Route>().toHaveProperty('accessMode').toEqualTypeOf<'READ' | 'WRITE' | undefined>()
  expectTypeOf<Route>().toHaveProperty('defaultAccessMode').toEqualTypeOf<'READ' | 'WRITE' | undefined>()
  expectTypeOf<Route>().toHaveProperty('fetchSize').toEqualTypeOf<number | undefined>()
  expectTypeOf<Route>().toHaveProperty('bookmarks')
  expectTypeOf<Route>().toHaveProperty('commit')
  expectTypeOf<Route>().not.toHaveProperty('timeout')
  expectTypeOf<CallOptionsOf<typeof transactions>>().toHaveProperty('timeout').exclude<number | bigint | undefined>().toMatchTypeOf<{ low: number, high: number }>()
  const timeouts: Array<CallOptionsOf<typeof transactions>> = [{ timeout: 5 }, { timeout: 5n }, { timeout: neo4j.int(5) }]
  expectTypeOf(timeouts).toBeArray()
  // @ts-expect-error an access mode is in capitals
  t.throws(() => neo4jSessions(driver, { accessMode: 'read' }))
  // @ts-expect-error there is no such option
  t.throws(() => neo4jSessions(driver, { databse: 'people' }))
  neo4jSessions(driver, (request) => {
    expectTypeOf(request).toEqualTypeOf<FastifyRequest>()
    return {}
  })
})

t.test('each option of the installed driver has a rule', async (t) => {
  t.pass('checked by tsc')
  expectTypeOf<keyof typeof sessionRules>().toEqualTypeOf<keyof SessionConfig | 'accessMode'>()
  expectTypeOf<keyof typeof transactionOnlyRules>().toEqualTypeOf<keyof NonNullable<Parameters<Session['beginTransaction']>[0]>>()
})

t.test('an option without a rule is refused by the types too, not only at boot', async (t) => {
  interface NewerDriver extends Omit<Driver, 'session'> {
    session (config?: SessionConfig & { newOption?: boolean }): Session
  }
  const newer: NewerDriver = driver
  const refused = { code: 'FST_SESSION_OPTION', message: /unknown option 'newOption'/ }
  // @ts-expect-error the driver has it, the rules do not
  t.throws(() => neo4jSessions(newer, { newOption: true }), refused)
  // @ts-expect-error the driver has it, the rules do not
  t.throws(() => neo4jTransactions(newer, { newOption: true }), refused)
  t.doesNotThrow(() => neo4jSessions(newer, { database: 'people', accessMode: 'READ' }))
})

t.test('a driver of an older version offers the options that it has', async (t) => {
  interface OlderDriver extends Omit<Driver, 'session'> {
    session (config?: Pick<SessionConfig, 'database' | 'defaultAccessMode'>): Session
  }
  const older: OlderDriver = driver
  t.doesNotThrow(() => neo4jSessions(older, { database: 'people', defaultAccessMode: 'READ' }))
  // @ts-expect-error the driver would ignore it
  t.doesNotThrow(() => neo4jSessions(older, { fetchSize: 100 }))
})

t.test('a driver without types takes every option', async (t) => {
  const untyped: Neo4jDriver & { session (config?: Record<string, unknown>): Session } = driver
  t.doesNotThrow(() => neo4jSessions(untyped, { database: 'people', fetchSize: 100 }))
})

t.test('calls', async (t) => {
  t.pass('checked by tsc')
  const session = (): Promise<number> => getSession(sessions, null, async (session) => {
    expectTypeOf(session).toEqualTypeOf<Session>()
    return 1
  }, { accessMode: 'READ' })
  const transaction = (): Promise<string> => getSession(transactions, null, async (transaction) => {
    expectTypeOf(transaction).toEqualTypeOf<Transaction>()
    return ''
  }, { timeout: 5 })
  const inner = (existing: Session | Transaction | null): Promise<void> => getTransaction(sessions, existing, (transaction) => {
    expectTypeOf(transaction).toEqualTypeOf<Transaction>()
  }, { timeout: 5, database: 'people' })
  const either = (existing?: Session | Transaction | null): Promise<number> => getSession(sessions, existing, async (place) => {
    expectTypeOf(place).toEqualTypeOf<Session | Transaction>()
    const { records } = await place.run('RETURN 1')
    return records.length
  }, { database: 'people' })
  const narrow = (existing: Session | Transaction, use: (place: Pick<Transaction, 'run'>) => Promise<void>): Promise<void> => getSession(transactions, existing, use)
  const decorated = (getGraph: GetSessionOf<typeof sessions>, existing?: Session | Transaction | null): Promise<string> => getGraph(existing, (place) => {
    expectTypeOf(place).toEqualTypeOf<Session | Transaction>()
    return ''
  })
  const joined = (getGraph: GetSessionOf<typeof sessions>, change: SessionOf<typeof transactions>): Promise<string> => getGraph(change, () => '')
  const own = (getGraph: GetSessionOf<typeof sessions>): Promise<string> => getGraph(null, (session) => {
    expectTypeOf(session).toEqualTypeOf<Session>()
    return ''
  })
  expectTypeOf([session, transaction, inner, either, narrow, decorated, joined, own]).toBeArray()
  expectTypeOf<GetTransactionOf<typeof transactions>>().parameter(0).toEqualTypeOf<Session | Transaction | null | undefined>()
})

t.test('a config that is made of the request in its own time gives promises', async (t) => {
  const tenant = async (request: FastifyRequest): Promise<string> => request.hostname
  const asyncSessions = neo4jSessions(driver, async (request) => ({ database: await tenant(request), accessMode: 'READ' }))
  expectTypeOf<SessionOf<typeof asyncSessions>>().toEqualTypeOf<Promise<Session>>()
  const asyncTransactions = neo4jTransactions(driver, { database: tenant, timeout: 5n })
  expectTypeOf<SessionOf<typeof asyncTransactions>>().toEqualTypeOf<Promise<Transaction>>()
  const named = neo4jSessions(driver, { database: (request) => request.hostname, fetchSize: 10 })
  expectTypeOf<SessionOf<typeof named>>().toEqualTypeOf<Session>()
  for (const { kind } of [asyncSessions, asyncTransactions, named]) t.equal(kind, 'graph')
  // @ts-expect-error there is no such option
  neo4jSessions(driver, async (request) => ({ databse: await tenant(request) }))
  // @ts-expect-error there is no such option
  t.throws(() => neo4jSessions(driver, { database: tenant, accesMode: 'READ' }))
})

t.test('the scope of a request', async (t) => {
  t.pass('checked by tsc')
  expectTypeOf<Neo4jScope<typeof sessions>>().toMatchTypeOf<SessionScope & { bookmarks: readonly string[], open (): Session }>()
  expectTypeOf<Neo4jScope<typeof transactions>>().toMatchTypeOf<SessionScope & { bookmarks: readonly string[] }>()
  expectTypeOf<Neo4jScope<typeof transactions>>().not.toHaveProperty('open')
})

t.test('users without neo4j-driver type-check: the library imports nothing from it, but for examples in comments', async (t) => {
  const folder = new URL('../../lib/neo4j/', import.meta.url)
  const files = readdirSync(folder)
  t.ok(files.length > 5)
  for (const name of files) t.notMatch(readFileSync(new URL(name, folder), 'utf8'), /^(?! \*).*(from|import\() ?'neo4j-driver/m, name)
})
