import { isPromise } from '../util/maybe-promise.js'
import { describeType, withMethods } from '../util/option-rules.js'
import { OpenError, OptionError } from '../errors.js'
import { pingOf, trySession, type Pinging } from '../core/health.js'
import type {
  AnyProvider, BootCheck, OpenContext, OpenSession, SessionOf, SessionOpener, SessionProvider, SessionScope, TransactionProvider,
} from '../core/provider.js'
import { BookmarkCheck } from './bookmark-check.js'
import { withUserBookmarks } from './bookmarks.js'
import {
  checkConfig, configMerger, sessionRules, transactionOnlyRules, transactionRules,
  type AsyncConfigOf, type CheckedConfig, type ConfigMerger, type ConfigOf, type ConfigSource, type Neo4jSessionConfig, type Neo4jTransactionConfig,
} from './options.js'
import type { Neo4jDriver, Neo4jSession, Neo4jTransaction, SessionFrom, TransactionFrom, TransactionPromiseFrom } from './driver-types.js'
import { AwaitedSession, ScopedSession } from './session.js'
import { ScopedTransaction, type TransactionStart } from './transaction.js'
import { isRetryable } from './translate-errors.js'

/** Maximum sessions of one request: each holds a connection while one of its queries runs. */
const maxSessions = 16

/**
 * Gives each request a Neo4j session: the result of `neo4jSessions()`.
 *
 * @example
 * ```ts
 * import neo4j, { type Driver } from 'neo4j-driver'
 * import { neo4jSessions, type Neo4jSessions } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * const graph: Neo4jSessions<Driver> = neo4jSessions(driver)
 * console.log(graph.kind)
 * await driver.close()
 * ```
 */
export interface Neo4jSessions<D extends Neo4jDriver = Neo4jDriver, Exposed = SessionFrom<D>>
  extends SessionProvider<Exposed, Neo4jSessionConfig<D>>,
  TransactionProvider<SessionFrom<D>, TransactionFrom<D>, Neo4jTransactionConfig<D>>, BootCheck, Pinging {
  readonly kind: 'graph'
}

/**
 * Gives each request a Neo4j transaction: the result of `neo4jTransactions()`.
 *
 * @example
 * ```ts
 * import neo4j, { type Driver } from 'neo4j-driver'
 * import { neo4jTransactions, type Neo4jTransactions } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * const change: Neo4jTransactions<Driver> = neo4jTransactions(driver)
 * console.log(change.kind)
 * await driver.close()
 * ```
 */
export interface Neo4jTransactions<D extends Neo4jDriver = Neo4jDriver, Exposed = TransactionPromiseFrom<D>>
  extends SessionProvider<Exposed, Neo4jTransactionConfig<D>>,
  TransactionProvider<SessionFrom<D>, TransactionFrom<D>, Neo4jTransactionConfig<D>>, BootCheck, Pinging {
  readonly kind: 'graph'
}

/**
 * The type of `request.<name>Scope` under a provider for Neo4j. `bookmarks` are those of the
 * transactions so far, for a header of the reply: of a transaction, after `commit()`. `open()` returns a further session for
 * parallel queries, closed with the request, 16 in total; more are a `SessionLimitError` (`FST_SESSION_LIMIT`).
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import neo4j from 'neo4j-driver'
 * import requestSession, { neo4jSessions, type Neo4jScope, type SessionOf } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * const graph = neo4jSessions(driver)
 * declare module 'fastify-request-session' { interface Registered { graph: typeof graph } }
 *
 * const app = Fastify()
 * app.addHook('onClose', () => driver.close())
 * await app.register(requestSession, { name: 'graph', provider: graph })
 * app.get('/counts', async ({ graph, graphScope }, reply) => {
 *   const [people, places] = await Promise.all([graph.run('MATCH (n:Person) RETURN n'), graphScope.open().run('MATCH (n:Place) RETURN n')])
 *   reply.header('x-bookmarks', graphScope.bookmarks.join())
 *   return { people: people.records.length, places: places.records.length }
 * })
 * await app.close()
 * ```
 */
export type Neo4jScope<P extends AnyProvider> =
  & SessionScope
  & { readonly bookmarks: readonly string[] }
  & (Awaited<SessionOf<P>> extends Neo4jSession ? { open (): SessionOf<P> } : unknown)

/**
 * Neo4j sessions: `request.<name>` is neo4j-driver's own `Session`, opened at first use and closed after the
 * reply. Each query commits by itself. When the client leaves or the handler times out the session is closed at once,
 * which terminates a running query.
 *
 * @param driver stays open: the app closes it
 * @param config for all sessions, or a function of the request that returns it; a route's options override it. With an
 * async function `request.<name>` is a promise
 * @throws OptionError (`FST_SESSION_OPTION`) for a wrong driver or config
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { getSession, neo4jSessions } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * const graph = neo4jSessions(driver, { accessMode: 'READ' }) // or: app.register(requestSession, { name: 'graph', provider: graph })
 * const { records } = await getSession(graph, null, (session) => session.run('RETURN 1 AS one'))
 * console.log(records.length)
 * await driver.close()
 * ```
 */
export function neo4jSessions<D extends Neo4jDriver> (
  driver: D, config: AsyncConfigOf<Neo4jSessionConfig<D>>
): Neo4jSessions<D, Promise<SessionFrom<D>>>
export function neo4jSessions<D extends Neo4jDriver> (
  driver: D, config?: Neo4jSessionConfig<D> | ConfigOf<Neo4jSessionConfig<D>>
): Neo4jSessions<D>
export function neo4jSessions (driver: Neo4jDriver, config?: ConfigSource): Neo4jSessions<Neo4jDriver, any> {
  const name = 'neo4jSessions()'
  checkDriver(driver, name)
  const mergeConfig = configMerger(name, config, sessionRules)
  const check = new BookmarkCheck(driver)
  return {
    ...sessionProvider(driver, name, mergeConfig, (merged, context) => {
      const { config, bookmarks } = withUserBookmarks(withBookmarks(merged, context), context, check)
      return new ScopedSession(driver.session(config), context, bookmarks)
    }, maxSessions),
    ...transactionProvider(driver, configMerger(name, config, transactionRules), check),
  }
}

/**
 * Neo4j transactions: `request.<name>` is neo4j-driver's own `Transaction`, begun at first use, with or without
 * `await`. It is committed before the reply's headers are sent. It is rolled back if the handler fails or times out, the
 * status is 400 or more, or the client leaves, which also terminates a running query.
 *
 * @param driver stays open: the app closes it
 * @param config for all transactions, or a function of the request that returns it; a route's options override it.
 * With an async function `request.<name>` is a promise of a `Transaction`
 * @throws OptionError (`FST_SESSION_OPTION`) for a wrong driver or config
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { getSession, neo4jTransactions } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * const change = neo4jTransactions(driver, { timeout: 30_000 }) // or: app.register(requestSession, { name: 'change', provider: change })
 * await getSession(change, null, async (transaction) => {
 *   await transaction.run('MERGE (p:Person {name: $name})', { name: 'Ada' })
 * })
 * await driver.close()
 * ```
 */
export function neo4jTransactions<D extends Neo4jDriver> (
  driver: D, config: AsyncConfigOf<Neo4jTransactionConfig<D>>
): Neo4jTransactions<D, Promise<TransactionFrom<D>>>
export function neo4jTransactions<D extends Neo4jDriver> (
  driver: D, config?: Neo4jTransactionConfig<D> | ConfigOf<Neo4jTransactionConfig<D>>
): Neo4jTransactions<D>
export function neo4jTransactions (driver: Neo4jDriver, config?: ConfigSource): Neo4jTransactions<Neo4jDriver, any> {
  const name = 'neo4jTransactions()'
  checkDriver(driver, name)
  const mergeConfig = configMerger(name, config, transactionRules)
  const check = new BookmarkCheck(driver)
  return {
    ...sessionProvider(driver, name, mergeConfig, (merged, context) => openTransaction(driver, merged, context, check)),
    ...transactionProvider(driver, mergeConfig, check),
  }
}

function sessionProvider<S> (
  driver: Neo4jDriver, name: string, mergeConfig: ConfigMerger, open: (config: CheckedConfig, context: OpenContext) => OpenSession<S>, maxSessions?: number
) {
  const opener = (options: object | undefined, where: string, others?: readonly string[]): SessionOpener<S | Promise<Awaited<S>>> => {
    const resolveConfig = mergeConfig(options, where, others)
    return {
      early: false,
      ...maxSessions !== undefined && { maxSessions },
      open (context) {
        const config = resolveConfig(context)
        return isPromise(config) ? new AwaitedSession(config, context, open) : open(config, context)
      },
    }
  }
  return {
    kind: 'graph',
    commits: 'success',
    forRoute: opener,
    forCall: opener,
    checkAtBoot: () => refuseClosedDriver(driver, name),
    ping: pingOf((signal) => trySession(opener({}, 'ping()'), signal, (runnable) => (runnable as Neo4jTransaction).run('RETURN 1' as never))),
  } as const
}

/** A further session of a request sees the writes of the others. A bookmark manager has the same effect. */
function withBookmarks (config: CheckedConfig, { bookmarks }: OpenContext): CheckedConfig {
  if (bookmarks.length === 0 || config['bookmarks'] === 'session' || config['bookmarkManager'] !== undefined) return config
  return { ...config, bookmarks: [...[config['bookmarks'] ?? []].flat(), ...bookmarks] }
}

function transactionProvider (driver: Neo4jDriver, mergeConfig: ConfigMerger, check: BookmarkCheck) {
  return {
    isTransaction: (existing: unknown, where: string) => {
      if (sessionRule.test(existing)) return false
      if (transactionRule.test(existing)) return true
      throw new OptionError(where, `must be given a session, a transaction or null to open both; got ${describeType(existing)}`)
    },
    forTransaction: (session: Neo4jSession | undefined, options: object | undefined, where: string) => {
      if (session !== undefined) {
        const config = checkConfig(where, options, transactionOnlyRules)
        return { early: false, open: (context: OpenContext) => beginTransaction({ session, ownsSession: false, bookmarks: undefined, database: undefined }, config, context) }
      }
      const resolveConfig = mergeConfig(options, where)
      return { early: false, open: (context: OpenContext) => openTransaction(driver, resolveConfig(context) as CheckedConfig, context, check) }
    },
  }
}

function openTransaction (driver: Neo4jDriver, merged: CheckedConfig, context: OpenContext, check: BookmarkCheck): ScopedTransaction {
  const { config, bookmarks } = withUserBookmarks(merged, context, check)
  // The driver's sessions ignore the options of transactions.
  return beginTransaction({ session: driver.session(config), ownsSession: true, bookmarks, database: config['database'] as string | undefined }, config, context)
}

function beginTransaction (place: Omit<TransactionStart, 'config'>, { timeout, metadata }: CheckedConfig, context: OpenContext): ScopedTransaction {
  const config: TransactionStart['config'] = { metadata: { ...requestMetadata(context), ...metadata as object | undefined } }
  if (timeout !== undefined) config.timeout = timeout as NonNullable<TransactionStart['config']['timeout']>
  try {
    return new ScopedTransaction({ ...place, config }, context)
  } catch (error) {
    throw new OpenError(`no transaction could begin for ${context.route}: ${(error as Error).message}`, { cause: error })
  }
}

/** The metadata of each transaction, shown by `SHOW TRANSACTIONS`. */
function requestMetadata ({ request, route }: OpenContext): object {
  return request === undefined
    ? { route }
    : { requestId: request.id, method: request.method, route: request.routeOptions.url ?? 'not found' }
}

const driverRule = withMethods('a driver of neo4j-driver', 'session', 'verifyConnectivity', 'close')
const sessionRule = withMethods('a session of neo4j-driver', 'run', 'beginTransaction', 'close')
const transactionRule = withMethods('a transaction of neo4j-driver', 'run')

function checkDriver (driver: unknown, provider: string): void {
  if (!driverRule.test(driver)) throw new OptionError(provider, `the first argument must be ${driverRule.allowed}; got ${describeType(driver)}`)
}

/**
 * Stops the boot if the driver is closed. A closed driver rejects before it uses the network, with an error that is not
 * retryable. A driver that is slow, or may work later, does not stop the boot; it opens its first connection here.
 */
async function refuseClosedDriver (driver: Neo4jDriver, provider: string): Promise<void> {
  const error = await new Promise<unknown>((resolve) => {
    driver.verifyConnectivity().then(() => resolve(undefined), resolve)
    setImmediate(resolve, undefined)
  })
  if (error === undefined || isRetryable(error)) return
  throw new OptionError(provider, `the driver cannot be used: ${(error as Error).message}`)
}
