import type { DocumentConventions, RequestExecutor, SessionOptions } from 'ravendb'
import { checkOptions, oneOf, rules, show, wholeNumber, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import { OptionError } from '../errors.js'

/** RavenDB's own session options, and the deadline of a save. */
export type RavenSessionOptions = { [Option in keyof SessionOptions]?: SessionOptions[Option] | undefined } & {
  /**
   * Milliseconds that `saveChanges()` may take, at commit or in a handler: RavenDB's client alone would wait for ever.
   * Past it, or up to a sixteenth later, the outcome is unknown (`FST_SESSION_OUTCOME_UNKNOWN`). Make it longer than what
   * `waitForReplicationAfterSaveChanges()` and `waitForIndexesAfterSaveChanges()` wait for.
   * @default 15000
   */
  commitTimeout?: number | undefined
}

export type CheckedOptions = Checked<RavenSessionOptions>

const optionRules: Record<keyof RavenSessionOptions, Rule> = {
  database: rules.text,
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
 * Checks session options, or the name of a database alone, and puts them over others that were checked before.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function mergeOptions (base: CheckedOptions, options: unknown, where: string): CheckedOptions {
  if (options === undefined) return base
  const named = typeof options === 'string' ? { database: options } : options
  const merged = { ...base, ...checkOptions<RavenSessionOptions>(where, named, optionRules) }
  refuseContradictions(merged, where)
  return merged
}

/** What RavenDB's client takes in silence, and then ignores or refuses at the first save. */
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
    refuse(`optimisticConcurrencyMode ${show(optimisticConcurrencyMode)} contradicts noTracking: what is not tracked is never saved`)
  }
}

/**
 * The options for `openSession()`, over the store's conventions. The client itself forgets one of these when it is
 * given options, and lets another break every cluster-wide save.
 */
export function overConventions (options: CheckedOptions, conventions: DocumentConventions): SessionOptions {
  const { commitTimeout, ...native } = options
  const { disableAtomicDocumentWritesInClusterWideTransaction } = conventions
  const kept: SessionOptions = {}
  if (disableAtomicDocumentWritesInClusterWideTransaction !== undefined) {
    kept.disableAtomicDocumentWritesInClusterWideTransaction = disableAtomicDocumentWritesInClusterWideTransaction
  }
  if (native.transactionMode === 'ClusterWide') kept.optimisticConcurrencyMode = 'None'
  return { ...kept, ...native }
}

/**
 * The options of one session. Written out: spreading them costs more than all that guards the session, and to the client
 * an option that is `undefined` was not given.
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
