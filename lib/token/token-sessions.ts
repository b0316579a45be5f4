import type { SessionProvider } from '../core/provider.js'
import { checkOptions } from '../util/option-rules.js'
import type { DataOptions } from './data/options.js'
import {
  defaults, providerRules,
  type AllOptions, type CompleteTokenSessionOptions, type JsonData, type SessionData, type TokenCallOptions, type TokenRouteOptions, type TokenSessionOptions,
} from './options.js'
import type { TokenSession } from './session.js'
import { TokenSessions } from './token-provider.js'
import { cookieHint } from './transport/cookie-transport.js'

/**
 * The management that every store allows: `create open load update end exists info ping close`, and `inject sessionOf` for tests.
 *
 * @example
 * ```ts
 * import { tokenSessions, type TokenManager } from 'fastify-request-session'
 *
 * type Data = { user: string }
 * async function logIn (users: TokenManager<Data>, user: string): Promise<string> {
 *   return (await users.create({ data: { user } })).token
 * }
 * await logIn(tokenSessions<Data>(), 'ada')
 * ```
 */
export type TokenManager<Data extends object> = Pick<TokenSessions<Data>, 'create' | 'open' | 'load' | 'update' | 'end' | 'exists' | 'info' | 'inject' | 'sessionOf' | 'ping' | 'close'>

/**
 * All of the management: the store can list, index, watch and restore its sessions.
 *
 * @example
 * ```ts
 * import { tokenSessions, type CompleteTokenManager } from 'fastify-request-session'
 *
 * type Data = { user: string }
 * const logOutEverywhere = (users: CompleteTokenManager<Data>, user: string) => users.endAll({ subject: user })
 * await logOutEverywhere(tokenSessions<Data>(), 'ada')
 * ```
 */
export type CompleteTokenManager<Data extends object> =
  TokenManager<Data> & Pick<TokenSessions<Data>, 'list' | 'endAll' | 'infoAll' | 'save' | 'restore' | 'subscribe'>

/**
 * Gives each client a session of its own, identified by a token, and manages sessions outside of requests.
 *
 * @example
 * ```ts
 * import { getSession, tokenSessions, type TokenProvider } from 'fastify-request-session'
 *
 * type Data = { visits: number }
 * const visit = (users: TokenProvider<Data>, token: string) => getSession(users, null, (session) => session.increment('visits'), { token })
 * const users = tokenSessions<Data>()
 * await visit(users, (await users.create()).token)
 * ```
 */
export interface TokenProvider<Data extends object, Exposed = Promise<TokenSession<Data>>>
  extends SessionProvider<Exposed, TokenRouteOptions, TokenCallOptions>, TokenManager<Data> {
  readonly kind: 'token'
}

/**
 * A provider whose store is complete, as `memoryStore()` and `redisStore()` are.
 *
 * @example
 * ```ts
 * import { tokenSessions, type CompleteTokenProvider } from 'fastify-request-session'
 *
 * type Data = { visits: number }
 * const users: CompleteTokenProvider<Data> = tokenSessions<Data>()
 * for await (const { id, expiresAt } of users.list()) console.log(id, expiresAt)
 * ```
 */
export interface CompleteTokenProvider<Data extends object, Exposed = Promise<TokenSession<Data>>>
  extends SessionProvider<Exposed, TokenRouteOptions, TokenCallOptions>, CompleteTokenManager<Data> {
  readonly kind: 'token'
}

/**
 * Token sessions: each client has its own, identified by a token in a cookie or a header. The provider is
 * also the manager, for services and operators: `create open load update end exists info`, and on a complete store
 * `list endAll infoAll save restore subscribe`.
 *
 * @typeParam Data the keys and values of a session
 * @throws OptionError (`FST_SESSION_OPTION`)
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { tokenSessions, type SessionOf } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ items: string[] }>({ ttl: 1800 })
 * declare module 'fastify-request-session' { interface Registered { session: typeof users } }
 *
 * const app = Fastify()
 * await app.register(requestSession, { provider: users })
 * app.post('/basket', async (request) => (await request.session).append('items', 'pizza'))
 * ```
 */
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options: CompleteTokenSessionOptions & WithData<Data> & { load: 'onRequest' }): CompleteTokenProvider<Data, TokenSession<Data>>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options: TokenSessionOptions & WithData<Data> & { load: 'onRequest' }): TokenProvider<Data, TokenSession<Data>>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options?: CompleteTokenSessionOptions & WithData<Data>): CompleteTokenProvider<Data>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options?: TokenSessionOptions & WithData<Data>): TokenProvider<Data>
export function tokenSessions (options?: AllOptions): TokenProvider<SessionData, Promise<TokenSession> | TokenSession> {
  return new TokenSessions({ ...defaults, ...checkOptions<AllOptions>('tokenSessions()', options, providerRules, [], cookieHint) })
}

interface WithData<Data extends object> {
  /** Initial data, a schema and versions. @default none: any data fit */
  data?: DataOptions<Data> | undefined
}
