import { headerTransport, memoryStore } from '../../../lib/index.js'
import type { Known } from './values.js'

const seconds = [1, 60, null]

/** Options of token sessions of a route, with values that they take. */
export const tokenRoute: Known = { ttl: seconds, maxAge: seconds, load: ['lazy', 'onRequest'], onStoreError: ['fail', 'anonymous'] }
export const tokenProvider: Known = {
  ...tokenRoute,
  store: [memoryStore()],
  deleteSession: [true, false],
  maxSize: [1, 1000, null],
  token: ['random256', 'uint64'],
  transport: [headerTransport()],
  secret: ['x'.repeat(32), [Buffer.alloc(32)]],
}
export const commitOptions: Known = { commit: ['onSend', 'onResponse'], commitWhen: [() => true] }
export const neo4j: Known = {
  accessMode: ['READ', 'WRITE'],
  defaultAccessMode: ['READ'],
  database: ['people'],
  impersonatedUser: ['ada'],
  fetchSize: [-1, 100],
  bookmarks: ['session', ['b']],
  bookmarkManager: [{ getBookmarks () {}, updateBookmarks () {} }],
  notificationFilter: [{ minimumSeverityLevel: 'OFF' }],
  auth: [{ scheme: 'basic', principal: 'ada', credentials: 'x' }],
  disableAutoCommitRetries: [true],
}
export const neo4jTransaction: Known = { ...neo4j, timeout: [0, 5000], metadata: [{ app: 'shop' }] }
export const raven: Known = {
  database: ['shop'],
  requestExecutor: [{ execute () {} }],
  noTracking: [true, false],
  noCaching: [true],
  transactionMode: ['SingleNode', 'ClusterWide'],
  disableAtomicDocumentWritesInClusterWideTransaction: [true],
  shardedBatchBehavior: ['Default'],
  optimisticConcurrencyMode: ['None', 'Writes'],
  commitTimeout: [1000],
}
