import { checkOptions, oneOf, rules, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import type { Claiming, SessionOpener, SessionProvider } from '../core/provider.js'
import type { CompleteStore, SessionStore } from '../stores/store.js'
import { memoryStore } from '../stores/memory/memory-store.js'
import { CompleteSessionManager } from './complete-manager.js'
import type { SessionManager } from './manager.js'
import type { JsonData } from './json-types.js'
import { secretRule, SharedTokens, type Secret } from './names.js'
import { OpenTokenSession, type OpeningRules } from './request-session.js'
import type { SessionHome } from './session-state.js'
import type { SessionData, TokenSession } from './session.js'
import { tokenKinds } from './tokens.js'
import { cookieTransport, type PlacedTransport, type TokenTransport } from './transport.js'

/** What a route may say of its token sessions. */
export interface TokenRouteOptions {
  /** Seconds that a session lives without being used; each use begins them anew. `null`: for ever. @default 1800 */
  ttl?: number | null | undefined
  /** Seconds that a session lives at the most, from its creation on. `null`: for ever. @default null */
  maxAge?: number | null | undefined
  /**
   * `'lazy'`: read from the store at first use, `request.session` is a promise. `'onRequest'`: read before the
   * handler, `request.session` is the session itself.
   * @default 'lazy'
   */
  load?: 'lazy' | 'onRequest' | undefined
  /**
   * When the store cannot be read: `'fail'` answers 503, `'anonymous'` goes on with an empty session that is not saved.
   * @default 'fail'
   */
  onStoreError?: 'fail' | 'anonymous' | undefined
}

/** What one `getSession()` call may say. */
export interface TokenCallOptions extends Pick<TokenRouteOptions, 'ttl' | 'maxAge'> {
  /** The session to open; a new one if there is none with this token. */
  token?: string | undefined
}

/** Options of token sessions. */
export interface TokenSessionOptions extends TokenRouteOptions {
  /** @default memoryStore() */
  store?: SessionStore | undefined
  /** `false`: when a session expires its data is deleted, and the session itself stays, empty, its token valid. @default true */
  deleteSession?: boolean | undefined
  /** The form of tokens: 256 random bits in base64url, or an unsigned 64-bit integer as a decimal string. @default 'random256' */
  token?: 'random256' | 'uint64' | undefined
  /** How the token travels: a cookie by default. */
  transport?: TokenTransport | undefined
  /**
   * What the tokens of shared sessions follow from: at least 32 bytes, the same in all processes. A list is for its
   * rotation, the newest first: sessions that were made under an older one are found until they end.
   * @default none: there are no shared sessions
   */
  secret?: Secret | undefined
}

/** The management that every store allows: `create open load end exists info close`. */
export type TokenManager<Data extends object> = Pick<SessionManager<Data>, keyof SessionManager<Data>>

/** All of the management: the store can list, index, watch and restore its sessions. */
export type CompleteTokenManager<Data extends object> = Pick<CompleteSessionManager<Data>, keyof CompleteSessionManager<Data>>

/** Gives each client a session of its own, known by a token, and manages sessions outside of requests. */
export interface TokenProvider<Data extends object, Exposed = Promise<TokenSession<Data>>>
  extends SessionProvider<Exposed, TokenRouteOptions, TokenCallOptions>, TokenManager<Data> {
  readonly kind: 'token'
}

/** A provider whose store is complete, as `memoryStore()` and `redisStore()` are. */
export interface CompleteTokenProvider<Data extends object, Exposed = Promise<TokenSession<Data>>>
  extends TokenProvider<Data, Exposed>, CompleteTokenManager<Data> {
  readonly kind: 'token'
}

/** Options of token sessions on a complete store. */
export interface CompleteTokenSessionOptions extends TokenSessionOptions {
  /** @default memoryStore() */
  store?: CompleteStore
}

const routeRules = {
  ttl: rules.seconds,
  maxAge: rules.seconds,
  load: oneOf('lazy', 'onRequest'),
  onStoreError: oneOf('fail', 'anonymous'),
} satisfies Record<keyof TokenRouteOptions, Rule>

const providerRules: Record<keyof TokenSessionOptions, Rule> = {
  ...routeRules,
  store: withMethods('a session store such as memoryStore()', 'load', 'create', 'commit', 'renew', 'end', 'close'),
  deleteSession: rules.boolean,
  token: { ...oneOf(...Object.keys(tokenKinds)), harmless: false }, // a token could be given by mistake
  transport: withMethods('a transport such as cookieTransport()', 'read', 'write'),
  secret: secretRule,
}

const callRules: Record<keyof TokenCallOptions, Rule> = { ttl: rules.seconds, maxAge: rules.seconds, token: rules.text }

interface Defaults extends Required<Pick<Checked<TokenSessionOptions>, 'ttl' | 'maxAge' | 'load' | 'onStoreError' | 'deleteSession' | 'token'>> {}

const defaults: Defaults = Object.freeze({ ttl: 1800, maxAge: null, load: 'lazy', onStoreError: 'fail', deleteSession: true, token: 'random256' })

/**
 * Token sessions: each client has its own, known by a token that travels in a cookie or a header. The provider is
 * also the manager, for services and operators: `create open load end exists info`, and on a complete store
 * `list endAll infoAll save restore subscribe`.
 *
 * @typeParam Data the keys and values of a session
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options: CompleteTokenSessionOptions & { load: 'onRequest' }): CompleteTokenProvider<Data, TokenSession<Data>>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options: TokenSessionOptions & { load: 'onRequest' }): TokenProvider<Data, TokenSession<Data>>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options?: CompleteTokenSessionOptions): CompleteTokenProvider<Data>
export function tokenSessions<Data extends JsonData<Data> = SessionData> (options?: TokenSessionOptions): TokenProvider<Data>
export function tokenSessions (options?: TokenSessionOptions): TokenProvider<SessionData, Promise<TokenSession> | TokenSession> {
  return new TokenSessions({ ...defaults, ...checkOptions<TokenSessionOptions>('tokenSessions()', options, providerRules) })
}

type CheckedOptions = Defaults & Checked<TokenSessionOptions>

class TokenSessions extends CompleteSessionManager<SessionData> implements CompleteTokenProvider<SessionData, Promise<TokenSession> | TokenSession>, Claiming {
  readonly kind = 'token'
  readonly commits = 'always'
  readonly claim: string | undefined
  readonly #options: CheckedOptions
  readonly #transport: TokenTransport

  constructor (options: CheckedOptions) {
    const { store = memoryStore(), token, deleteSession, ttl, maxAge, secret, transport = cookieTransport() } = options
    const tokens = tokenKinds[token]
    const home: SessionHome = { store, tokens, deleteSession, lifetime: { ttl, maxAge } }
    super(home, secret === undefined ? undefined : new SharedTokens(tokens, secret))
    this.#options = options
    this.#transport = transport
    this.claim = (transport as Partial<PlacedTransport>).place
  }

  forRoute (options: TokenRouteOptions | undefined, where: string): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenRouteOptions>(where, options, routeRules))
  }

  forCall (options: TokenCallOptions | undefined, where: string): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenCallOptions>(where, options, callRules))
  }

  #opener (own: Checked<TokenRouteOptions & TokenCallOptions>): SessionOpener<Promise<TokenSession>> {
    const { ttl, maxAge, load, onStoreError } = { ...this.#options, ...own }
    const opening: OpeningRules = { home: { ...this.home, lifetime: { ttl, maxAge } }, transport: this.#transport, onStoreError, token: own.token }
    return { early: load === 'onRequest', open: (context) => new OpenTokenSession(opening, context) }
  }
}
