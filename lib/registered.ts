// The types that Fastify's objects get from the plugin. All of them are made here.
import type { GetSessionOf, GetTransactionOf, AnyTransactionProvider } from './core/get-session.js'
import type { PingOptions, SessionHealth } from './core/health.js'
import type { SessionStats } from './core/open-sessions.js'
import type { AnyProvider, RouteOptionsOf, SessionOf, SessionScope } from './core/provider.js'
import type { Neo4jScope } from './neo4j/neo4j.js'
import type { SessionData } from './token/options.js'
import type { CompleteTokenProvider } from './token/token-sessions.js'

/**
 * The providers of an app by the names that they are registered under. One line for each registration, in the app's code,
 * types `request.<name>`, `request.<name>Scope`, `app.get<Name>()`, `app.get<Name>Transaction()`, `app.<name>Provider`,
 * a route's `config.<name>` and `app.sessionStats()`. An app that writes none has the plugin's defaults: a token session named `session`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * declare module 'fastify-request-session' { interface Registered { session: typeof users } }
 *
 * const app = Fastify()
 * await app.register(requestSession, { provider: users })
 * app.get('/', { config: { session: { ttl: 600 } } }, async (request) => ({ visits: (await request.session).increment('visits') }))
 * ```
 */
export interface Registered {}

/** The providers by name, or the plugin's default. */
type Providers = [keyof Registered] extends [never] ? { session: CompleteTokenProvider<SessionData> } : Registered
type Name = keyof Providers & string

/** The counts of all contexts of an app. */
type AllStats = { readonly [N in Name]: SessionStats } & Readonly<Record<string, SessionStats>>

type ScopeOf<P> = P extends AnyProvider & { readonly kind: 'graph' } ? Neo4jScope<P> : SessionScope

type RequestSessions = { readonly [N in Name]: Providers[N] extends AnyProvider ? SessionOf<Providers[N]> : never }
type RequestScopes = { readonly [N in Name as `${N}Scope`]: ScopeOf<Providers[N]> }
type RouteConfigs = { [N in Name]?: (Providers[N] extends AnyProvider ? RouteOptionsOf<Providers[N]> : never) | undefined }
type SessionCalls = { readonly [N in Name as `get${Capitalize<N>}`]: Providers[N] extends AnyProvider ? GetSessionOf<Providers[N]> : never }
type TransactionCalls = {
  readonly [N in Name as Providers[N] extends AnyTransactionProvider ? `get${Capitalize<N>}Transaction` : never]:
  Providers[N] extends AnyTransactionProvider ? GetTransactionOf<Providers[N]> : never
}

type NamedProviders = { readonly [N in Name as `${N}Provider`]: Providers[N] }

declare module 'fastify' {
  interface FastifyRequest extends RequestSessions, RequestScopes {}
  interface FastifyContextConfig extends RouteConfigs {}
  interface FastifyInstance extends SessionCalls, TransactionCalls, NamedProviders {
    /** The counts of all registrations, by name; of two of one name the second is `<name>#2`. */
    sessionStats (): AllStats
    /** Checks with all providers that sessions can be used, for readiness probes. Rejects with an OptionError only. */
    sessionHealth (options?: PingOptions): Promise<SessionHealth>
  }
}
