// The public surface. What is not named here is nobody's to import: scopes, drafts, scripts and hooks stay inside.
export { default } from './plugin.js'
export type { RequestSessionOptions } from './options.js'
export type { CommitOptions, OpenContext, OpenSession, RouteOptionsOf, SessionOf, SessionOpener, SessionProvider } from './provider.js'
export type { Outcome, ScopeState, SessionScope } from './scope.js'
export { getSession, type CallOptionsOf, type GetSessionOf, type OpenedSession } from './get-session.js'

export { tokenSessions, type TokenCallOptions, type TokenProvider, type TokenRouteOptions, type TokenSessionOptions } from './token/provider.js'
export { TokenSession, type SessionData } from './token/session.js'
export { cookieTransport, headerTransport, type CookieOptions, type HeaderOptions, type TokenTransport } from './token/transport.js'

export { memoryStore, type MemoryStoreOptions } from './stores/memory.js'
export { redisStore, type RedisClient, type RedisStoreOptions } from './stores/redis.js'
export type { CommitResult, SessionChange, SessionRecord, SessionStore } from './stores/store.js'

export { channels, type SessionEvent } from './events.js'
export type { SessionStats } from './tracker.js'
export * as errors from './errors.js'
