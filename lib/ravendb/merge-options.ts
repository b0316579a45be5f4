import type { DocumentConventions, IDocumentStore, RequestExecutor, SessionOptions } from 'ravendb'
import type { RavenSessionOptions } from './options.js'
import { checkOptions, isObject, oneOf, rules, show, wholeNumber, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import { isPromise } from '../util/maybe-promise.js'
import { OptionError } from '../errors.js'

/** The options as the provider uses them, by the types of the client that it was built with. */
type Options = RavenSessionOptions<IDocumentStore>

export type CheckedOptions = Checked<Options>

export const defaults = Object.freeze({ commitTimeout: 15_000 })

/**
 * The server's own rule for names. The client writes a name unchanged into the URL of each request: other names would
 * reach other URLs of the server.
 */
const databaseName: Rule = {
  allowed: 'a database name of at most 128 letters, digits, _ and -, with single dots between them',
  test: (value) => typeof value === 'string' && value.length <= 128 && /^[\p{L}\p{Nd}_-]+(?:\.[\p{L}\p{Nd}_-]+)*$/u.test(value),
}

const optionRules: Record<keyof Options, Rule> = {
  database: databaseName,
  requestExecutor: withMethods('a RequestExecutor of RavenDB', 'execute'),
  noTracking: rules.boolean,
  noCaching: rules.boolean,
  transactionMode: oneOf('SingleNode', 'ClusterWide'),
  disableAtomicDocumentWritesInClusterWideTransaction: rules.boolean,
  shardedBatchBehavior: oneOf('Default', 'TransactionalSingleBucketOnly', 'NonTransactionalMultiBucket'),
  optimisticConcurrencyMode: oneOf('None', 'Writes', 'WritesAndReads'),
  commitTimeout: wholeNumber('milliseconds', 1, 86_400_000),
}

/**
 * Checks session options, or the name of a database, and merges them over checked ones.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function mergeOptions (base: CheckedOptions, options: unknown, where: string, others?: readonly string[]): CheckedOptions {
  if (options === undefined) return base
  const given = typeof options === 'string' ? { database: options } : options
  const merged = { ...base, ...checkOptions<Options>(where, given, optionRules, others) }
  refuseContradictions(merged, where)
  return merged
}

/**
 * Checks the result of a function of the request, and merges it over checked options. `undefined`, and a database of `undefined`,
 * are refused: an unknown tenant would get the default database.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function mergeRequestOptions (base: CheckedOptions, options: unknown, where: string): CheckedOptions {
  if (isPromise(options)) throw new OptionError(where, 'must not be a promise: the session is opened synchronously')
  if (options === undefined) throw new OptionError(where, 'must not be undefined; {} leaves all options to the store and the route')
  const merged = mergeOptions(base, options, where)
  if (isObject(options) && 'database' in options && options['database'] === undefined) throw new OptionError(where, `option database must be ${databaseName.allowed}; got undefined`)
  return merged
}

/**
 * Maps `optimisticConcurrencyMode` for clients before 7.2, which would silently ignore it, as an option and as a convention: their
 * sessions have a flag instead. `undefined`: nothing to map.
 * @throws OptionError (`FST_SESSION_OPTION`) for a mode that they do not have
 */
export function mapConcurrency (mode: SessionOptions['optimisticConcurrencyMode'], { conventions }: IDocumentStore, where: string): boolean | undefined {
  // A convention that the client does not know is a field that the application has added to the object.
  if ('optimisticConcurrencyMode' in Object.getPrototypeOf(conventions)) return undefined
  const wanted = mode ?? (conventions as Partial<DocumentConventions>).optimisticConcurrencyMode
  if (wanted === 'WritesAndReads') throw new OptionError(where, 'optimisticConcurrencyMode \'WritesAndReads\' needs the package ravendb 7.2 or later')
  return wanted === undefined ? undefined : wanted === 'Writes'
}

/** Throws for options that RavenDB's client silently accepts, and then ignores or refuses at the first save. */
function refuseContradictions (options: CheckedOptions, where: string): void {
  const { transactionMode, shardedBatchBehavior, noTracking, optimisticConcurrencyMode = 'None' } = options
  const refuse = (problem: string): never => { throw new OptionError(where, problem) }
  if (transactionMode === 'ClusterWide' && optimisticConcurrencyMode !== 'None') {
    refuse(`optimisticConcurrencyMode ${show(optimisticConcurrencyMode)} contradicts transactionMode 'ClusterWide', which compares versions by itself: it must be 'None'`)
  }
  if (transactionMode === 'ClusterWide' && shardedBatchBehavior !== undefined) {
    refuse(`shardedBatchBehavior ${show(shardedBatchBehavior)} contradicts transactionMode 'ClusterWide', which never spreads over shards`)
  }
  if (noTracking === true && optimisticConcurrencyMode !== 'None') {
    refuse(`optimisticConcurrencyMode ${show(optimisticConcurrencyMode)} contradicts noTracking: untracked documents are never saved`)
  }
}

/**
 * Merges options over the store's conventions. Without this, the client drops the convention of atomic writes if it gets
 * options, and fails every cluster-wide save under a convention of optimistic concurrency.
 */
export function mergeConventions (options: CheckedOptions, conventions: DocumentConventions): SessionOptions {
  const { commitTimeout, ...native } = options
  const { disableAtomicDocumentWritesInClusterWideTransaction } = conventions
  const conventional: SessionOptions = {}
  if (disableAtomicDocumentWritesInClusterWideTransaction !== undefined) {
    conventional.disableAtomicDocumentWritesInClusterWideTransaction = disableAtomicDocumentWritesInClusterWideTransaction
  }
  if (native.transactionMode === 'ClusterWide') conventional.optimisticConcurrencyMode = 'None'
  return { ...conventional, ...native }
}

/**
 * Gives one session its executor. The fields are written out, since a spread costs more than all the guards of the
 * session; to the client an option that is `undefined` was not given.
 */
export function withExecutor (native: SessionOptions, requestExecutor: RequestExecutor): SessionOptions {
  const options: Record<keyof SessionOptions, unknown> = {
    database: native.database,
    requestExecutor,
    noTracking: native.noTracking,
    noCaching: native.noCaching,
    transactionMode: native.transactionMode,
    disableAtomicDocumentWritesInClusterWideTransaction: native.disableAtomicDocumentWritesInClusterWideTransaction,
    shardedBatchBehavior: native.shardedBatchBehavior,
    optimisticConcurrencyMode: native.optimisticConcurrencyMode,
  }
  return options as SessionOptions
}
