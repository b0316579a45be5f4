import type { FastifyRequest } from 'fastify'
import { checkOptions, isObject, oneOf, rules, describeType, wholeNumber, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import { isPromise, type MaybePromise } from '../util/maybe-promise.js'
import { OptionError } from '../errors.js'
import type { OpenContext } from '../core/provider.js'
import type { Neo4jDriver, SessionConfigFrom } from './driver-types.js'
import { packingProblem } from './parameters.js'

/** Options of neo4j-driver's `SessionConfig`, each with its rule. The types refuse options that a newer driver adds, too. */
type DriverOption = Exclude<keyof typeof sessionRules, 'accessMode'>

/**
 * Config of a session: neo4j-driver's own `SessionConfig`, with a shorter name for its `defaultAccessMode`.
 *
 * @example
 * ```ts
 * import type { Driver } from 'neo4j-driver'
 * import type { Neo4jSessionConfig } from 'fastify-request-session'
 *
 * const reports: Neo4jSessionConfig<Driver> = { database: 'reports', accessMode: 'READ', fetchSize: 100 }
 * console.log(reports.accessMode)
 * ```
 */
export type Neo4jSessionConfig<D extends Neo4jDriver = Neo4jDriver> = {
  [Option in keyof SessionConfigFrom<D> & Exclude<DriverOption, 'bookmarks'>]?: SessionConfigFrom<D>[Option] | undefined
} & {
  /** `'READ'` lets a cluster answer from a follower. The driver's name for it, `defaultAccessMode`, works too. @default 'WRITE' */
  accessMode?: 'READ' | 'WRITE' | undefined
  /**
   * Bookmarks of transactions that must be visible. `'session'`: those of the user, kept in the token session of the same
   * request, so that the next request reads the writes of the last one, on any server of a cluster.
   */
  bookmarks?: string | string[] | undefined
}

/**
 * Config of a transaction: that of its session, and a time limit and metadata for the server.
 *
 * @example
 * ```ts
 * import type { Driver } from 'neo4j-driver'
 * import type { Neo4jTransactionConfig } from 'fastify-request-session'
 *
 * const orders: Neo4jTransactionConfig<Driver> = { database: 'orders', timeout: 5000, metadata: { app: 'shop' } }
 * console.log(orders.timeout)
 * ```
 */
export type Neo4jTransactionConfig<D extends Neo4jDriver = Neo4jDriver> = Neo4jSessionConfig<D> & TransactionOnlyConfig

/** The part of neo4j-driver's `Integer` that the providers use. */
interface Neo4jInteger {
  readonly low: number
  readonly high: number
  toNumber (): number
}

/** Config of a transaction in a given session. */
export interface TransactionOnlyConfig {
  /** Milliseconds after which the server terminates the transaction, also as a bigint or the driver's Integer; 0: never. @default the server's own limit */
  timeout?: number | bigint | Neo4jInteger | undefined
  /** Shown by `SHOW TRANSACTIONS`, beside the request's id, method and route. */
  metadata?: Record<string, unknown> | undefined
}

/** A checked config, under the driver's names. */
export type CheckedConfig = Checked<Record<string, unknown>>

/** A function of the request that returns the config (a database or a user per tenant), or a config with such a function for its database. */
export type ConfigOf<Config> = ((request: FastifyRequest) => Config) | (Omit<Config, 'database'> & { database: (request: FastifyRequest) => string })

/** The same with promises, for tenants that are looked up asynchronously. */
export type AsyncConfigOf<Config> =
  | ((request: FastifyRequest) => Promise<Config>)
  | (Omit<Config, 'database'> & { database: (request: FastifyRequest) => Promise<string> })

/** A provider's config, or the function of the request that returns it. */
export type ConfigSource = object | ((request: FastifyRequest) => unknown) | undefined

type ConfigRules = Readonly<Record<string, Rule>>

const accessMode = oneOf('READ', 'WRITE')

/** The manual's rule for names of databases, https://neo4j.com/docs/operations-manual/current/database-administration/standard-databases/naming-databases */
const databaseName: Rule = {
  allowed: 'a database name of 3 to 63 ASCII letters, digits, dots and dashes, that begins and ends with a letter or digit, and not with system',
  test: (value) => typeof value === 'string' && /^(?!system)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/i.test(value),
}

const filterFields = ['minimumSeverityLevel', 'disabledCategories', 'disabledClassifications']

export const sessionRules = {
  accessMode,
  defaultAccessMode: accessMode,
  database: rules.text,
  impersonatedUser: rules.text,
  fetchSize: {
    allowed: 'a whole number of records from 1, or -1 for all at once',
    test: (value) => value === -1 || wholeNumber('records', 1).test(value),
  },
  bookmarks: {
    allowed: 'a bookmark or an array of bookmarks, each a non-empty string',
    test: (value) => [value].flat().every((bookmark) => rules.text.test(bookmark)),
  },
  bookmarkManager: withMethods('a BookmarkManager of neo4j-driver', 'getBookmarks', 'updateBookmarks'),
  notificationFilter: {
    allowed: `an object with ${filterFields.join(', ')}, of the last two at most one`,
    test: (value) => isObject(value) && Object.keys(value).every((key) => filterFields.includes(key)) &&
      (value['disabledCategories'] === undefined || value['disabledClassifications'] === undefined),
  },
  auth: {
    allowed: 'an AuthToken of neo4j-driver, such as neo4j.auth.basic(…)',
    test: (value) => isObject(value) && rules.text.test(value['scheme']),
  },
  disableAutoCommitRetries: rules.boolean,
} satisfies ConfigRules

const milliseconds = wholeNumber('milliseconds', 0)

function isInteger (value: unknown): value is Neo4jInteger {
  return isObject(value) && typeof value['low'] === 'number' && typeof value['high'] === 'number' && typeof value['toNumber'] === 'function'
}

export const transactionOnlyRules = {
  timeout: {
    allowed: `${milliseconds.allowed}, as a number, a bigint or an Integer of neo4j-driver`,
    test: (value) => milliseconds.test(typeof value === 'bigint' || isInteger(value) ? Number(value) : value),
    harmless: true,
  },
  metadata: {
    allowed: 'an object that the driver can send: no functions, symbols or nodes in it, not circular',
    test: (value) => isObject(value) && packingProblem(value) === undefined,
  },
} satisfies Record<keyof TransactionOnlyConfig, Rule>

export const transactionRules = { ...sessionRules, ...transactionOnlyRules } satisfies ConfigRules

/** @throws OptionError (`FST_SESSION_OPTION`) */
export function checkConfig (where: string, config: unknown, allowed: ConfigRules, others?: readonly string[]): CheckedConfig {
  const { accessMode, ...checked } = checkOptions<Record<string, unknown>>(where, config, allowed, others)
  refuseTwoBookmarkManagers(where, checked)
  if (accessMode === undefined) return checked
  if (checked['defaultAccessMode'] !== undefined) {
    throw new OptionError(where, 'accessMode and defaultAccessMode are two names of one option: give one of them')
  }
  return { ...checked, defaultAccessMode: accessMode }
}

/** Returns the config of one session when it is opened; a promise if the function of the request returns one. */
type ConfigResolver = (context: OpenContext) => MaybePromise<CheckedConfig>

/** Checks the config of a route or call, and merges it over the provider's. */
export type ConfigMerger = (own: object | undefined, where: string, others?: readonly string[]) => ConfigResolver

/**
 * Checks a provider's config, which those of routes and calls override.
 *
 * @param provider the name for errors: `neo4jSessions()`
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function configMerger (provider: string, source: ConfigSource, allowed: ConfigRules): ConfigMerger {
  if (typeof source === 'function') return requestConfigMerger(provider, source as (request: FastifyRequest) => unknown, allowed)
  const { database, ...rest } = (source ?? {}) as { database?: unknown }
  if (typeof database !== 'function') return fixedConfigMerger(provider, source, allowed)
  const base = checkConfig(provider, rest, allowed)
  const configOf = (request: FastifyRequest): unknown => {
    const made: unknown = Reflect.apply(database, undefined, [request])
    return isPromise(made) ? made.then((database) => ({ ...base, database })) : { ...base, database: made }
  }
  return requestConfigMerger(provider, configOf, allowed, base)
}

function fixedConfigMerger (provider: string, config: object | undefined, allowed: ConfigRules): ConfigMerger {
  const base = checkConfig(provider, config, allowed)
  return (own, where, others) => {
    const merged = Object.freeze(mergeConfigs(base, own && checkConfig(where, own, allowed, others), where))
    return () => merged
  }
}

/** @param base the part of the config that does not depend on the request */
function requestConfigMerger (provider: string, configOf: (request: FastifyRequest) => unknown, allowed: ConfigRules, base: CheckedConfig = {}): ConfigMerger {
  const allowedForRequest = { ...allowed, database: databaseName }
  return (own, where, others) => {
    const checked = own && checkConfig(where, own, allowed, others)
    return ({ request, route }) => {
      if (request === undefined) {
        if (checked !== undefined) return mergeConfigs(base, checked, where)
        throw new OptionError(where, `the config of ${provider} depends on a request, and there is none here: pass the config of this call, or {} for the driver's own`)
      }
      const origin = `the config that ${provider} makes for ${route}`
      const merge = (made: unknown): CheckedConfig => mergeConfigs(checkRequestConfig(origin, made, allowedForRequest), checked, origin)
      const made = configOf(request)
      return isPromise(made) ? made.then(merge) : merge(made)
    }
  }
}

/** Also refuses an option that is undefined: without its tenant's database a request would use the default one. */
function checkRequestConfig (where: string, config: unknown, allowed: ConfigRules): CheckedConfig {
  if (!isObject(config)) throw new OptionError(where, `must be an object; got ${describeType(config)}`)
  for (const [name, value] of Object.entries(config)) {
    if (value === undefined) throw new OptionError(where, `option ${name} is undefined: omit it for the driver's own`)
  }
  return checkConfig(where, config, allowed)
}

function refuseTwoBookmarkManagers (where: string, { bookmarks, bookmarkManager }: CheckedConfig): void {
  if (bookmarks !== 'session' || bookmarkManager === undefined) return
  throw new OptionError(where, 'bookmarks: \'session\' uses a bookmark manager of its own: remove bookmarkManager')
}

/** @throws OptionError (`FST_SESSION_OPTION`) */
function mergeConfigs (base: CheckedConfig, own: CheckedConfig | undefined, where: string): CheckedConfig {
  const merged = { ...base, ...own }
  refuseTwoBookmarkManagers(where, merged)
  if (isObject(base['metadata']) && isObject(own?.['metadata'])) merged['metadata'] = { ...base['metadata'], ...own['metadata'] }
  return merged
}
