import type { IAdvancedSessionOperations, IClusterTransactionOperations, IDocumentSession, IEagerSessionOperations } from 'ravendb'

/**
 * Until when a member of a session may be used. `'settled'`: what prepares a save, which after the commit or rollback
 * would be lost without a word. `'closed'`: what reads, since a stream goes on reading after the commit. `'ever'`:
 * what neither reaches the server nor prepares anything that does.
 */
export type Until = 'settled' | 'closed' | 'ever'

export type Members = Readonly<Record<string, Until>>

/** Every member that RavenDB's types name. What is not here still meets the request executor's guard. */
export const sessionMembers = {
  store: 'settled',
  delete: 'settled',
  saveChanges: 'settled',
  defer: 'settled',
  patch: 'settled',
  patchArray: 'settled',
  patchObject: 'settled',
  increment: 'settled',
  addOrPatch: 'settled',
  addOrPatchArray: 'settled',
  addOrIncrement: 'settled',
  waitForReplicationAfterSaveChanges: 'settled',
  waitForIndexesAfterSaveChanges: 'settled',

  advanced: 'closed',
  load: 'closed',
  include: 'closed',
  query: 'closed',
  documentQuery: 'closed',
  rawQuery: 'closed',
  exists: 'closed',
  loadStartingWith: 'closed',
  conditionalLoad: 'closed',
  refresh: 'closed',
  stream: 'closed',
  streamInto: 'closed',
  loadIntoStream: 'closed',
  loadStartingWithIntoStream: 'closed',
  countersFor: 'closed',
  timeSeriesFor: 'closed',
  timeSeriesRollupFor: 'closed',
  incrementalTimeSeriesFor: 'closed',
  eagerly: 'closed',
  lazily: 'closed',
  executeAllPendingLazyOperations: 'closed',
  attachments: 'closed',
  revisions: 'closed',
  clusterTransaction: 'closed',
  evict: 'closed',
  clear: 'closed',
  ignoreChangesFor: 'closed',
  hasChanges: 'closed',
  hasChanged: 'closed',
  whatChanged: 'closed',
  whatChangedFor: 'closed',
  getTrackedEntities: 'closed',
  getMetadataFor: 'closed',
  getChangeVectorFor: 'closed',
  getCountersFor: 'closed',
  getTimeSeriesFor: 'closed',
  getLastModifiedFor: 'closed',
  getCurrentSessionNode: 'closed',

  dispose: 'ever',
  documentStore: 'ever',
  externalState: 'ever',
  requestExecutor: 'ever',
  sessionInfo: 'ever',
  maxNumberOfRequestsPerSession: 'ever',
  numberOfRequests: 'ever',
  storeIdentifier: 'ever',
  useOptimisticConcurrency: 'ever',
  optimisticConcurrencyMode: 'ever',
  transactionMode: 'ever',
  entityToJson: 'ever',
  getDocumentId: 'ever',
  isLoaded: 'ever',
  on: 'ever',
  removeListener: 'ever',
  emit: 'ever',
} as const satisfies Record<keyof IDocumentSession | keyof IAdvancedSessionOperations | keyof IEagerSessionOperations, Until>

/** `session.advanced.clusterTransaction`, which keeps its changes to itself until the save. */
export const clusterMembers = {
  createCompareExchangeValue: 'settled',
  deleteCompareExchangeValue: 'settled',
  getCompareExchangeValue: 'closed',
  getCompareExchangeValues: 'closed',
  lazily: 'closed',
} as const satisfies Record<keyof IClusterTransactionOperations, Until>
