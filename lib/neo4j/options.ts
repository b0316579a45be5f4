import type { FastifyRequest } from 'fastify'
import { checkOptions, describeType, oneOf, rules, wholeNumber, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import { OptionError } from '../errors.js'
import type { OpenContext } from '../core/provider.js'
import type { Neo4jDriver, SessionConfigFrom } from './driver-types.js'

/** neo4j-driver's own `SessionConfig`, whole, and a shorter name for its `defaultAccessMode`. */
export type Neo4jSessionConfig<D extends Neo4jDriver = Neo4jDriver> = {
  [K in Exclude<keyof SessionConfigFrom<D>, 'bookmarks'>]?: SessionConfigFrom<D>[K] | undefined
} & {
  /** `'READ'` lets a cluster answer from a follower. The driver's name for it, `defaultAccessMode`, works too. @default 'WRITE' */
  accessMode?: 'READ' | 'WRITE' | undefined
  /**
   * Bookmarks of transactions whose effects must be visible. `'session'`: those of the user, kept in the token session
   * of the same request, so that the next request reads what the last one wrote, on whatever server of a cluster.
   */
  bookmarks?: string | string[] | undefined
}

/** The config of a transaction: that of its session, and what the server is told of it. */
export type Neo4jTransactionConfig<D extends Neo4jDriver = Neo4jDriver> = Neo4jSessionConfig<D> & TransactionOnlyConfig

/** What a transaction inside a given session may say. */
export interface TransactionOnlyConfig {
  /** Milliseconds after which the server ends the transaction; 0: never. @default the server's own limit */
  timeout?: number | undefined
  /** Shown by `SHOW TRANSACTIONS`, beside the request's id, method and route. */
  metadata?: Record<string, unknown> | undefined
}

/** A config as it was checked, under the driver's names. */
export type CheckedConfig = Checked<Record<string, unknown>>

/** What a provider is given: a config, or what makes one of each request (a database or a user per tenant). */
export type ConfigSource = object | ((request: FastifyRequest) => object) | undefined

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const accessMode = oneOf('READ', 'WRITE')

const filterFields = ['minimumSeverityLevel', 'disabledCategories', 'disabledClassifications']

export const sessionRules: Record<string, Rule> = {
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
}

export const transactionOnlyRules = {
  timeout: wholeNumber('milliseconds', 0),
  metadata: {
    allowed: 'an object without functions and symbols',
    test: (value) => isObject(value) && Object.values(value).every((part) => !['function', 'symbol'].includes(typeof part)),
  },
} satisfies Record<keyof TransactionOnlyConfig, Rule>

export const transactionRules: Record<string, Rule> = { ...sessionRules, ...transactionOnlyRules }

/** @throws OptionError (`FST_SESSION_OPTION`) */
export function checkConfig (where: string, config: unknown, allowed: Record<string, Rule>): CheckedConfig {
  const { accessMode, ...checked } = checkOptions<Record<string, unknown>>(where, config, allowed)
  refuseTwoManagers(where, checked)
  if (accessMode === undefined) return checked
  if (checked['defaultAccessMode'] !== undefined) {
    throw new OptionError(where, 'accessMode and defaultAccessMode are two names of one option: give one of them')
  }
  return { ...checked, defaultAccessMode: accessMode }
}

/**
 * What a session is opened with: the provider's config, and over it the route's or the call's.
 *
 * @param what the provider, for errors: `neo4jSessions()`
 */
export function configs (what: string, source: ConfigSource, allowed: Record<string, Rule>) {
  if (typeof source !== 'function') {
    const base = checkConfig(what, source, allowed)
    return (own: CheckedConfig | undefined, where: string): ((context: OpenContext) => CheckedConfig) => {
      const merged = Object.freeze(mergeConfigs(base, own ?? {}, where))
      return () => merged
    }
  }
  const make = source as (request: FastifyRequest) => unknown
  return (own: CheckedConfig | undefined, where: string) => ({ request, route }: OpenContext): CheckedConfig => {
    const made = `the config that ${what} makes for ${route}`
    if (request !== undefined) return mergeConfigs(checkMade(made, make(request), allowed), own ?? {}, made)
    if (own !== undefined) return own
    throw new OptionError(where, `the config of ${what} is made of a request, and there is none here: give the config of this call, {} for the driver's own`)
  }
}

/** Nothing is left out here in silence: what a tenant's entry lacks would be looked for in the default database. */
function checkMade (where: string, config: unknown, allowed: Record<string, Rule>): CheckedConfig {
  if (!isObject(config) || typeof config['then'] === 'function') throw new OptionError(where, `must be an object; got ${describeType(config)}`)
  for (const [name, value] of Object.entries(config)) {
    if (value === undefined) throw new OptionError(where, `option ${name} is undefined: leave it out for the driver's own`)
  }
  return checkConfig(where, config, allowed)
}

function refuseTwoManagers (where: string, { bookmarks, bookmarkManager }: CheckedConfig): void {
  if (bookmarks !== 'session' || bookmarkManager === undefined) return
  throw new OptionError(where, 'bookmarks: \'session\' is a bookmark manager of its own: give no other')
}

/** @throws OptionError (`FST_SESSION_OPTION`) */
function mergeConfigs (base: CheckedConfig, own: CheckedConfig, where: string): CheckedConfig {
  const merged = { ...base, ...own }
  refuseTwoManagers(where, merged)
  if (isObject(base['metadata']) && isObject(own['metadata'])) merged['metadata'] = { ...base['metadata'], ...own['metadata'] }
  return merged
}
