// The public surface. What is not named here is nobody's to import: scopes, drafts, scripts and hooks stay inside.
export { default } from './plugin.js'
export type { RequestSessionOptions } from './options.js'
export type { CommitOptions, OpenContext, OpenSession, RouteOptionsOf, SessionOf, SessionOpener, SessionProvider, TransactionProvider } from './provider.js'
export type { Outcome, ScopeState, SessionScope } from './scope.js'
export { getSession, type CallOptionsOf, type GetSessionOf, type OpenedSession } from './get-session.js'

export { getTransaction, type GetTransactionOf, type TransactionOf, type TransactionOptionsOf, type TransactionPlace } from './get-transaction.js'

export {
  tokenSessions, type CompleteTokenManager, type CompleteTokenProvider, type CompleteTokenSessionOptions, type TokenCallOptions, type TokenManager,
  type TokenProvider, type TokenRouteOptions, type TokenSessionOptions,
} from './token/provider.js'
export { TokenSession, type SessionData } from './token/session.js'
export type { ExistingSessions, NewSession, SessionAddress } from './token/manager.js'
export type { SessionInfo } from './token/info.js'
export type { RestoreOptions, RestoreResult } from './token/restore.js'
export type { SaveOptions, SaveResult } from './token/save.js'
export type { Subscription } from './token/subscription.js'
export type { SessionUpdate, UpdateListener } from './token/update-queue.js'
export type { EndFilter, ListingOptions, SessionFilter, SessionTotals, TotalsOptions } from './token/listing.js'
export { cookieTransport, headerTransport, type CookieOptions, type HeaderOptions, type TokenTransport } from './token/transport.js'

export { neo4jSessions, neo4jTransactions, type Neo4jSessions, type Neo4jTransactions } from './databases/neo4j.js'
export type { Neo4jSessionConfig, Neo4jTransactionConfig } from './databases/neo4j-config.js'
export type { Neo4jDriver } from './databases/neo4j-driver.js'

export { memoryStore, type MemoryStoreOptions } from './stores/memory.js'
export { redisStore, type RedisStoreOptions } from './stores/redis.js'
export type { RedisClient } from './stores/redis-client.js'
export { slotOf, type CommitResult, type SessionChange, type SessionRecord, type SessionStore } from './stores/store.js'
export type {
  CompleteStore, ListingStore, RestorableStore, SessionSummary, StoreEvent, StoreWatch, SubjectStore, WatchableStore,
} from './stores/abilities.js'

export { ravenSessions, type RavenCallOptions, type RavenOptionsOf, type RavenProvider } from './databases/ravendb.js'
export type { RavenSessionOptions } from './databases/raven-options.js'

export { channels, type SessionEvent } from './events.js'
export { assertNoOpenSessions, type NoOpenSessionsOptions } from './testing.js'
export type { SessionStats } from './tracker.js'
export * as errors from './errors.js'
