import type { FastifyRequest } from 'fastify'
import { describeType, withMethods, type Rule } from '../util/option-rules.js'
import { OpenError, OptionError } from '../errors.js'
import type { BootCheck, OpenContext, OpenSession, SessionOpener, SessionProvider, TransactionProvider } from '../core/provider.js'
import { withUserBookmarks } from './bookmarks.js'
import {
  checkConfig, configs, sessionRules, transactionOnlyRules, transactionRules,
  type CheckedConfig, type ConfigSource, type Neo4jSessionConfig, type Neo4jTransactionConfig,
} from './options.js'
import type { Neo4jDriver, Neo4jSession, SessionFrom, TransactionFrom, TransactionPromiseFrom } from './driver-types.js'
import { OpenGraphSession } from './session.js'
import { OpenTransaction, type TransactionStart } from './transaction.js'

/** Gives each request a session of its own: `neo4jSessions()`. */
export interface Neo4jSessions<D extends Neo4jDriver = Neo4jDriver>
  extends SessionProvider<SessionFrom<D>, Neo4jSessionConfig<D>>,
  TransactionProvider<SessionFrom<D>, TransactionFrom<D>, Neo4jTransactionConfig<D>>, BootCheck {
  readonly kind: 'graph'
}

/** Gives each request a transaction of its own: `neo4jTransactions()`. */
export interface Neo4jTransactions<D extends Neo4jDriver = Neo4jDriver>
  extends SessionProvider<TransactionPromiseFrom<D>, Neo4jTransactionConfig<D>>,
  TransactionProvider<SessionFrom<D>, TransactionFrom<D>, Neo4jTransactionConfig<D>>, BootCheck {
  readonly kind: 'graph'
}

/**
 * Neo4j sessions: `request.<name>` is neo4j-driver's own `Session`, opened at first use and closed once the reply is
 * out, or at once when the client leaves or the handler times out, which ends a query that still runs. Each query commits by itself.
 *
 * @param driver the app's own: it is not closed
 * @param config for all sessions, or made of each request; a route's own options come on top
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function neo4jSessions<D extends Neo4jDriver> (
  driver: D, config?: Neo4jSessionConfig<D> | ((request: FastifyRequest) => Neo4jSessionConfig<D>)
): Neo4jSessions<D>
export function neo4jSessions (driver: Neo4jDriver, config?: ConfigSource): Neo4jSessions {
  const what = 'neo4jSessions()'
  checkDriver(driver, what)
  const configured = configs(what, config, sessionRules)
  return {
    ...provider(driver, what, sessionRules, configured, (config, context) => new OpenGraphSession(driver.session(withUserBookmarks(config, context)))),
    ...transactions(driver, configs(what, config, transactionRules)),
  }
}

/**
 * Neo4j transactions: `request.<name>` is neo4j-driver's own `Transaction`, begun at first use, to be used at once or
 * awaited. Committed before the reply's headers leave; rolled back if the handler fails or times out, the status is 400
 * or more, or the client leaves, which also ends a query that still runs.
 *
 * @param driver the app's own: it is not closed
 * @param config for all transactions, or made of each request; a route's own options come on top
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function neo4jTransactions<D extends Neo4jDriver> (
  driver: D, config?: Neo4jTransactionConfig<D> | ((request: FastifyRequest) => Neo4jTransactionConfig<D>)
): Neo4jTransactions<D>
export function neo4jTransactions (driver: Neo4jDriver, config?: ConfigSource): Neo4jTransactions {
  const what = 'neo4jTransactions()'
  checkDriver(driver, what)
  const configured = configs(what, config, transactionRules)
  return {
    ...provider(driver, what, transactionRules, configured, (config, context) => openTransaction(driver, config, context)),
    ...transactions(driver, configured),
  }
}

type Configured = ReturnType<typeof configs>

function provider<S> (
  driver: Neo4jDriver, what: string, allowed: Record<string, Rule>, configured: Configured,
  open: (config: CheckedConfig, context: OpenContext) => OpenSession<S>
) {
  const opener = (options: object | undefined, where: string): SessionOpener<S> => {
    const configOf = configured(options && checkConfig(where, options, allowed), where)
    return { early: false, open: (context) => open(configOf(context), context) }
  }
  return { kind: 'graph', commits: 'success', forRoute: opener, forCall: opener, checkAtBoot: () => refuseClosed(driver, what) } as const
}

function transactions (driver: Neo4jDriver, configured: Configured) {
  return {
    isTransaction: (existing: unknown, where: string) => {
      if (isSession.test(existing)) return false
      if (isTransaction.test(existing)) return true
      throw new OptionError(where, `must be given a session, a transaction or null to open both; got ${describeType(existing)}`)
    },
    forTransaction: (session: Neo4jSession | undefined, options: object | undefined, where: string) => {
      if (session !== undefined) {
        const config = checkConfig(where, options, transactionOnlyRules)
        return { early: false, open: (context: OpenContext) => beginIn(session, false, config, context) }
      }
      const configOf = configured(options && checkConfig(where, options, transactionRules), where)
      return { early: false, open: (context: OpenContext) => openTransaction(driver, configOf(context), context) }
    },
  }
}

function openTransaction (driver: Neo4jDriver, config: CheckedConfig, context: OpenContext): OpenTransaction {
  // With the transaction's own options, of which a session takes none.
  return beginIn(driver.session(withUserBookmarks(config, context)), true, config, context)
}

function beginIn (session: Neo4jSession, ownsSession: boolean, { timeout, metadata }: CheckedConfig, context: OpenContext): OpenTransaction {
  const described = describe(context)
  const config: TransactionStart['config'] = { metadata: metadata === undefined ? described : { ...described, ...metadata } }
  if (timeout !== undefined) config.timeout = timeout as number
  try {
    return new OpenTransaction({ session, ownsSession, config }, context)
  } catch (error) {
    throw new OpenError(`no transaction could begin for ${context.route}: ${(error as Error).message}`, { cause: error })
  }
}

/** What `SHOW TRANSACTIONS` shows of a transaction. */
function describe ({ request, route }: OpenContext): object {
  return request === undefined
    ? { route }
    : { requestId: request.id, method: request.method, route: request.routeOptions.url ?? 'not found' }
}

const isDriver = withMethods('a driver of neo4j-driver', 'session', 'verifyConnectivity', 'close')
const isSession = withMethods('a session of neo4j-driver', 'run', 'beginTransaction', 'close')
const isTransaction = withMethods('a transaction of neo4j-driver', 'run')

function checkDriver (driver: unknown, what: string): void {
  if (!isDriver.test(driver)) throw new OptionError(what, `the first argument must be ${isDriver.allowed}; got ${describeType(driver)}`)
}

/**
 * A closed driver refuses before it asks the network, and in no way that could pass; whatever takes longer, or may work
 * later, is no reason not to boot. An open driver has made its first connection by then.
 */
async function refuseClosed (driver: Neo4jDriver, what: string): Promise<void> {
  const refused = await new Promise<unknown>((resolve) => {
    driver.verifyConnectivity().then(() => resolve(undefined), resolve)
    setImmediate(resolve, undefined)
  })
  if (refused === undefined || (refused as { retryable?: unknown }).retryable === true) return
  throw new OptionError(what, `the driver cannot be used: ${(refused as Error).message}`)
}
