import { checkOptions, oneOf, rules, withMethods, type Checked, type Rule } from '../check.js'
import type { SessionOpener, SessionProvider } from '../provider.js'
import { memoryStore } from '../stores/memory.js'
import type { SessionStore } from '../stores/store.js'
import { OpenTokenSession, type OpeningRules } from './open-session.js'
import type { SessionData, TokenSession } from './session.js'
import { tokenKinds } from './token.js'
import { cookieTransport, type TokenTransport } from './transport.js'

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
}

/** Gives each client a session of its own, known by a token. */
export interface TokenProvider<Data extends object, Exposed = Promise<TokenSession<Data>>>
  extends SessionProvider<Exposed, TokenRouteOptions, TokenCallOptions> {
  readonly kind: 'token'
  /** Only for its type. @internal */
  readonly data?: Data
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
  token: oneOf(...Object.keys(tokenKinds)),
  transport: withMethods('a transport such as cookieTransport()', 'read', 'write'),
}

const callRules: Record<keyof TokenCallOptions, Rule> = { ttl: rules.seconds, maxAge: rules.seconds, token: rules.text }

const defaults = Object.freeze({ ttl: 1800, maxAge: null, load: 'lazy', onStoreError: 'fail', deleteSession: true, token: 'random256' } as const)

/**
 * Token sessions: each client has its own, known by a token that travels in a cookie or a header.
 *
 * @typeParam Data the keys and values of a session
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function tokenSessions<Data extends object = SessionData> (options: TokenSessionOptions & { load: 'onRequest' }): TokenProvider<Data, TokenSession<Data>>
export function tokenSessions<Data extends object = SessionData> (options?: TokenSessionOptions): TokenProvider<Data>
export function tokenSessions (options?: TokenSessionOptions): TokenProvider<SessionData, Promise<TokenSession> | TokenSession> {
  const checked = { ...defaults, ...checkOptions<TokenSessionOptions>('tokenSessions()', options, providerRules) }
  const { transport = cookieTransport(), store = memoryStore(), deleteSession, token } = checked
  const place = { store, tokens: tokenKinds[token], keep: !deleteSession }

  function opener (own: Checked<TokenRouteOptions & TokenCallOptions>): SessionOpener<Promise<TokenSession>> {
    const { ttl, maxAge, load, onStoreError } = { ...checked, ...own }
    const opening: OpeningRules = { home: { ...place, lifetime: { ttl, maxAge } }, transport, onStoreError, token: own.token }
    return { early: load === 'onRequest', open: (context) => new OpenTokenSession(opening, context) }
  }

  return {
    kind: 'token',
    commits: 'always',
    holds: false,
    forRoute: (options, where) => opener(checkOptions<TokenRouteOptions>(where, options, routeRules)),
    forCall: (options, where) => opener(checkOptions<TokenCallOptions>(where, options, callRules)),
  }
}
