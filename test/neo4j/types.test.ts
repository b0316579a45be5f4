import { expectTypeOf } from 'expect-type'
import type { FastifyRequest } from 'fastify'
import neo4j, { type Driver, type Session, type SessionConfig, type Transaction } from 'neo4j-driver'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  getSession, getTransaction, neo4jSessions, neo4jTransactions,
  type CallOptionsOf, type GetSessionOf, type GetTransactionOf, type Neo4jDriver, type RouteOptionsOf, type SessionOf,
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
  expectTypeOf<CallOptionsOf<typeof transactions>>().toHaveProperty('timeout').toEqualTypeOf<number | undefined>()
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
  expectTypeOf([session, transaction, inner]).toBeArray()
  expectTypeOf<GetSessionOf<typeof sessions>>().parameter(0).toEqualTypeOf<Session | null | undefined>()
  expectTypeOf<GetTransactionOf<typeof transactions>>().parameter(0).toEqualTypeOf<Session | Transaction | null | undefined>()
})

t.test('users without neo4j-driver type-check: the library imports nothing from it, but for examples in comments', async (t) => {
  const folder = new URL('../../lib/neo4j/', import.meta.url)
  const files = readdirSync(folder)
  t.ok(files.length > 5)
  for (const name of files) t.notMatch(readFileSync(new URL(name, folder), 'utf8'), /^(?! \*).*(from|import\() ?'neo4j-driver/m, name)
})
