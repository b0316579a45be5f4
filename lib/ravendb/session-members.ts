import type { IAdvancedSessionOperations, IClusterTransactionOperations, IDocumentSession, IEagerSessionOperations } from 'ravendb'

/**
 * The use of a session's member. `'write'` prepares a save: refused from the commit or rollback on, since it would be
 * lost in silence. `'read'` is refused only once the session is closed, since a stream is read after the commit.
 * `'unguarded'` neither reaches the server nor prepares anything that does: never refused.
 */
export type Access = 'write' | 'read' | 'unguarded'

export type Members = Readonly<Record<string, Access>>

/** Every member that RavenDB's types name. A member that is missing here still runs into the guard of the request executor. */
export const sessionMembers = {
  store: 'write',
  delete: 'write',
  saveChanges: 'write',
  defer: 'write',
  patch: 'write',
  patchArray: 'write',
  patchObject: 'write',
  increment: 'write',
  addOrPatch: 'write',
  addOrPatchArray: 'write',
  addOrIncrement: 'write',
  waitForReplicationAfterSaveChanges: 'write',
  waitForIndexesAfterSaveChanges: 'write',

  advanced: 'read',
  load: 'read',
  include: 'read',
  query: 'read',
  documentQuery: 'read',
  rawQuery: 'read',
  exists: 'read',
  loadStartingWith: 'read',
  conditionalLoad: 'read',
  refresh: 'read',
  stream: 'read',
  streamInto: 'read',
  loadIntoStream: 'read',
  loadStartingWithIntoStream: 'read',
  countersFor: 'read',
  timeSeriesFor: 'read',
  timeSeriesRollupFor: 'read',
  incrementalTimeSeriesFor: 'read',
  eagerly: 'read',
  lazily: 'read',
  executeAllPendingLazyOperations: 'read',
  attachments: 'read',
  revisions: 'read',
  clusterTransaction: 'read',
  evict: 'read',
  clear: 'read',
  ignoreChangesFor: 'read',
  hasChanges: 'read',
  hasChanged: 'read',
  whatChanged: 'read',
  whatChangedFor: 'read',
  getTrackedEntities: 'read',
  getMetadataFor: 'read',
  getChangeVectorFor: 'read',
  getCountersFor: 'read',
  getTimeSeriesFor: 'read',
  getLastModifiedFor: 'read',
  getCurrentSessionNode: 'read',

  dispose: 'unguarded',
  documentStore: 'unguarded',
  externalState: 'unguarded',
  requestExecutor: 'unguarded',
  sessionInfo: 'unguarded',
  maxNumberOfRequestsPerSession: 'unguarded',
  numberOfRequests: 'unguarded',
  storeIdentifier: 'unguarded',
  useOptimisticConcurrency: 'unguarded',
  optimisticConcurrencyMode: 'unguarded',
  transactionMode: 'unguarded',
  entityToJson: 'unguarded',
  getDocumentId: 'unguarded',
  isLoaded: 'unguarded',
  on: 'unguarded',
  removeListener: 'unguarded',
  emit: 'unguarded',
} as const satisfies Record<keyof IDocumentSession | keyof IAdvancedSessionOperations | keyof IEagerSessionOperations, Access>

/** Members of `session.advanced.clusterTransaction`, whose changes are sent with the session's save. */
export const clusterMembers = {
  createCompareExchangeValue: 'write',
  deleteCompareExchangeValue: 'write',
  getCompareExchangeValue: 'read',
  getCompareExchangeValues: 'read',
  lazily: 'read',
} as const satisfies Record<keyof IClusterTransactionOperations, Access>
