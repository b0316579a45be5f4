// Everything public is exported here and in conformance/index.ts; the rest is internal. The build makes the functions of
// the databases' entry points load their code at the first call.
export { default, default as requestSession } from './plugin/plugin.js'
export type * from './registered.js'
export type { RequestSessionOptions } from './plugin/options.js'
export type {
  CommitOptions, OpenContext, OpenSession, RouteOptionsOf, SessionOf, SessionOpener, SessionProvider, SessionScope, TransactionProvider,
} from './core/provider.js'
export { currentSession } from './core/ambient.js'
export {
  getSession, getTransaction,
  type CallOptionsOf, type GetSessionOf, type GetTransactionOf, type OpenedSession, type TransactionOf, type TransactionOptionsOf, type TransactionPlace,
} from './core/get-session.js'

export {
  tokenSessions, type CompleteTokenManager, type CompleteTokenProvider, type TokenManager, type TokenProvider,
} from './token/token-sessions.js'
export type { CompleteTokenSessionOptions, JsonData, NewSession, SessionData, TokenCallOptions, TokenRouteOptions, TokenSessionOptions } from './token/options.js'
export type { DataOptions, DataSchema } from './token/data/options.js'
export { TokenSession } from './token/session.js'
export type { RestoreOptions, RestoreResult } from './token/manage/restore.js'
export type { SaveOptions, SaveResult } from './token/manage/save.js'
export type { SessionUpdate, Subscription, UpdateListener } from './token/manage/subscribe.js'
export type { Feed, FeedFilter, FeedListener, FeedUpdate } from './token/manage/feed.js'
export type { UpdateFilter } from './token/manage/update.js'
export type { SessionAddress } from './token/manage/address.js'
export type { InjectHeaders, ReplyHeaders } from './token/manage/inject.js'
export type { EndFilter, ExistingSessions, ListingOptions, SessionFilter, SessionInfo, SessionTotals, TotalsOptions } from './token/manage/list.js'
export { cookieTransport, type CookieOptions } from './token/transport/cookie-transport.js'
export { headerTransport, type HeaderOptions } from './token/transport/header-transport.js'
export type { TokenTransport } from './token/transport/transport.js'

export * from './neo4j/index.js'
export * from './ravendb/index.js'
export * from './stores/redis/index.js'

export { memoryStore } from './stores/memory/memory-store.js'
export type { MemoryStoreOptions } from './stores/memory/options.js'
export { cached } from './stores/cached/cached-store.js'
export type { CachedOptions } from './stores/cached/options.js'
export { slotOf } from './stores/contract-helpers.js'
export type { CompleteStore, ListingStore, RestorableStore, SessionSummary, StoreEvent, StoreWatch, SubjectStore, WatchableStore } from './stores/optional-interfaces.js'
export type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from './stores/store.js'
export type { Lease, LeasingStore, Tracking, TrackListener, TrackableStore } from './stores/track.js'

export { channels, type Outcome, type ScopeState, type SessionEvent } from './core/events.js'
export type { PingOptions, PingResult, SessionHealth } from './core/health.js'
export { assertNoOpenSessions, type NoOpenSessionsOptions } from './testing.js'
export type { SessionStats } from './core/open-sessions.js'

/**
 * Errors that this package throws, by name. Each has a fixed `code`, see `SessionErrorCode`, and a `statusCode`.
 *
 * @example
 * ```ts
 * import { errors, memoryStore, tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions({ store: memoryStore() })
 * try {
 *   await users.create({ name: 'order 7', shared: true })
 * } catch (error) {
 *   if (error instanceof errors.NoSecretError) console.log(error.code) // FST_SESSION_NO_SECRET
 * }
 * ```
 */
export * as errors from './errors.js'
export type { SessionErrorCode } from './errors.js'
