import { storeMethods } from '../stores/contract-helpers.js'
import type { CompleteStore } from '../stores/optional-interfaces.js'
import type { SessionStore } from '../stores/store.js'
import { maxSeconds, oneOf, rules, wholeNumber, withMethods, type Checked, type Rule } from '../util/option-rules.js'
import { tokenKinds, type Secret } from './tokens.js'
import type { TokenTransport } from './transport/transport.js'
import { isStorableObject } from './values.js'

/**
 * The data of a session whose user gave no type for it.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionData } from 'fastify-request-session'
 *
 * const users = tokenSessions<SessionData>()
 * const session = await users.create()
 * session.set('anything', [1, 2, 3])
 * await session.commit()
 * ```
 */
export type SessionData = Record<string, unknown>

/**
 * A route's options for its token sessions: `config.session`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { type TokenRouteOptions } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * const session: TokenRouteOptions = { ttl: 60, onStoreError: 'anonymous' }
 * app.get('/news', { config: { session } }, async () => 'news')
 * ```
 */
export interface TokenRouteOptions {
  /** Seconds that a session lives without use; each use starts them again. `null`: no limit. @default 1800 */
  ttl?: number | null | undefined
  /** Seconds that a session lives in total, from its creation. `null`: no limit. @default null */
  maxAge?: number | null | undefined
  /**
   * `'lazy'`: read from the store at first use, `request.session` is a promise. `'onRequest'`: read before the
   * handler, `request.session` is the session itself.
   * @default 'lazy'
   */
  load?: 'lazy' | 'onRequest' | undefined
  /**
   * When the store cannot be read: `'fail'` replies 503, `'anonymous'` continues with an empty session that is not saved.
   * @default 'fail'
   */
  onStoreError?: 'fail' | 'anonymous' | undefined
  /**
   * `true`: admits only requests with a session that has a `subject`, before their body is read. Others get a 401
   * `FST_SESSION_REQUIRED`, or a 503 while the store cannot be read, with any `onStoreError`.
   * @default false
   */
  required?: boolean | undefined
  /**
   * Maximum seconds since the login (`session.freshAt`), checked before the body is read: for changes of a password or an address.
   * Other requests get a 401 `FST_SESSION_NOT_FRESH`, those without a `subject` too, unless the session is `required`.
   * @default any
   */
  fresh?: number | undefined
}

/**
 * Options of one `getSession()` call.
 *
 * @example
 * ```ts
 * import { getSession, tokenSessions, type TokenCallOptions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * const options: TokenCallOptions = { token: (await users.create()).token, ttl: 600 }
 * await getSession(users, null, (session) => session.increment('visits'), options)
 * ```
 */
export interface TokenCallOptions extends Pick<TokenRouteOptions, 'ttl' | 'maxAge'> {
  /** The token of the session to open. If there is none, a new session is opened. */
  token?: string | undefined
}

/**
 * Options of token sessions.
 *
 * @example
 * ```ts
 * import { tokenSessions, type TokenSessionOptions } from 'fastify-request-session'
 *
 * const options: TokenSessionOptions = { ttl: 600, maxAge: 43_200, onStoreError: 'anonymous' }
 * const users = tokenSessions<{ user: string }>(options)
 * ```
 */
export interface TokenSessionOptions extends Omit<TokenRouteOptions, 'required' | 'fresh'> {
  /** @default memoryStore() */
  store?: SessionStore | undefined
  /** `false`: an expired session loses its data and stays, empty, with a valid token. @default true */
  deleteSession?: boolean | undefined
  /**
   * Maximum bytes of a session's keys and values, as JSON in UTF-8: a commit beyond it is refused with
   * `FST_SESSION_TOO_LARGE` (413). `null`: no limit. @default 1048576
   */
  maxSize?: number | null | undefined
  /**
   * Maximum number of sessions of one subject, or a function of the subject that returns it; `null`: no limit. A login beyond it ends the
   * least recently used one (`lastUsedAt`, by the clocks of the app's servers); its `signal` aborts with `'limit'`. A session counts from
   * the commit that sets the subject. Restored sessions are not limited. @default null
   */
  maxSessions?: number | null | ((subject: string) => number | null) | undefined
  /**
   * A login beyond `maxSessions`: `'end'` ends the least recently used session, `'refuse'` refuses the login with
   * `FST_SESSION_SUBJECT_LIMIT` (409) and writes nothing. @default 'end'
   */
  onLimit?: 'end' | 'refuse' | undefined
  /** The form of tokens: 256 random bits in base64url, or an unsigned 64-bit integer as a decimal string. @default 'random256' */
  token?: 'random256' | 'uint64' | undefined
  /** The place of the token in requests and replies: a cookie by default. */
  transport?: TokenTransport | undefined
  /**
   * Derives the tokens of shared sessions: at least 32 bytes, the same in all processes. A list rotates it, the newest first:
   * sessions that were created under an older one are found until they end.
   * @default none: there are no shared sessions
   */
  secret?: Secret | undefined
}

/**
 * Options of token sessions on a complete store.
 *
 * @example
 * ```ts
 * import { memoryStore, tokenSessions, type CompleteTokenSessionOptions } from 'fastify-request-session'
 *
 * const options: CompleteTokenSessionOptions = { store: memoryStore(), ttl: 600 }
 * const users = tokenSessions(options)
 * console.log(await users.infoAll())
 * ```
 */
export interface CompleteTokenSessionOptions extends TokenSessionOptions {
  /** @default memoryStore() */
  store?: CompleteStore
}

/**
 * A session as it is created outside of a request.
 *
 * @example
 * ```ts
 * import { tokenSessions, type NewSession } from 'fastify-request-session'
 *
 * const invitation: NewSession<{ room: string }> = { ttl: 3600, subject: 'ada', data: { room: 'kitchen' } }
 * const { token } = await tokenSessions<{ room: string }>().create(invitation)
 * ```
 */
export interface NewSession<Data extends object = SessionData> {
  /** 1 to 256 characters. A shared session needs one; two sessions that are not shared may have the same. */
  name?: string | undefined
  /** True for a session that any process can open by its name: its token is derived from that and the provider's `secret`. @default false */
  shared?: boolean | undefined
  /** Seconds that it lives without use; `null`: no limit. @default the provider's */
  ttl?: number | null | undefined
  /** Seconds that it lives in total; `null`: no limit. @default the provider's */
  maxAge?: number | null | undefined
  /** `false`: when it expires it loses its data and stays, empty, with a valid token. @default the provider's */
  deleteSession?: boolean | undefined
  /** The id of its user: 1 to 256 characters. */
  subject?: string | undefined
  /** A text that describes the session to its user: 1 to 256 characters. */
  label?: string | undefined
  /** Its first data. */
  data?: Partial<Data> | undefined
}

/** The shortest secret, in bytes: as many as the HMAC's output has (RFC 2104, section 3). */
const minSecret = 32

const isSecret = (value: unknown): boolean =>
  typeof value === 'string' ? Buffer.byteLength(value) >= minSecret : value instanceof Uint8Array && value.length >= minSecret

const sharedRules = {
  ttl: rules.seconds,
  maxAge: rules.seconds,
  load: oneOf('lazy', 'onRequest'),
  onStoreError: oneOf('fail', 'anonymous'),
}

export const routeRules: Record<keyof TokenRouteOptions, Rule> = { ...sharedRules, required: rules.boolean, fresh: wholeNumber('seconds', 1, maxSeconds) }

const bytes = wholeNumber('bytes', 1)

/** Accepts any value: the call checks it later, with a more precise error. */
export const checkedLater: Rule = { allowed: 'a text', test: () => true }

/** The number of sessions that a subject may have. */
export const sessionCount = wholeNumber('sessions', 1)

/** The options of `tokenSessions()`. */
export interface AllOptions extends TokenSessionOptions {
  /** Rules for the data of sessions; `DataRules` checks them. */
  data?: unknown
}

export const providerRules: Record<keyof AllOptions, Rule> = {
  ...sharedRules,
  store: withMethods('a session store such as memoryStore()', ...storeMethods),
  deleteSession: rules.boolean,
  maxSize: { ...bytes, allowed: `${bytes.allowed}, or null for no limit`, test: (value) => value === null || bytes.test(value) },
  maxSessions: { allowed: `${sessionCount.allowed}, null for no limit, or a function of the subject`, test: (value) => value === null || typeof value === 'function' || sessionCount.test(value) },
  onLimit: oneOf('end', 'refuse'),
  token: { ...oneOf(...Object.keys(tokenKinds)), harmless: false }, // a token could be given by mistake
  data: checkedLater,
  transport: withMethods('a transport such as cookieTransport()', 'read', 'write'),
  secret: {
    allowed: `a text or Buffer of at least ${minSecret} bytes, or a non-empty list of these, the newest first`,
    test: (value) => isSecret(value) || (Array.isArray(value) && value.length > 0 && value.every(isSecret)),
  },
}

export const callRules: Record<keyof TokenCallOptions, Rule> = { ttl: rules.seconds, maxAge: rules.seconds, token: rules.text }

export const newSessionRules: Record<keyof NewSession, Rule> = {
  name: checkedLater,
  shared: rules.boolean,
  ttl: rules.seconds,
  maxAge: rules.seconds,
  deleteSession: rules.boolean,
  subject: checkedLater,
  label: checkedLater,
  data: { allowed: 'a plain object without getters, hidden properties and symbols as keys', test: isStorableObject },
}

type Defaults = Required<Pick<Checked<TokenSessionOptions>, 'ttl' | 'maxAge' | 'load' | 'onStoreError' | 'deleteSession' | 'maxSize' | 'token'>>

export const defaults: Defaults = Object.freeze({ ttl: 1800, maxAge: null, load: 'lazy', onStoreError: 'fail', deleteSession: true, maxSize: 2 ** 20, token: 'random256' })

/** The options of `tokenSessions()`, checked, with their defaults. */
export type CheckedTokenOptions = Defaults & Checked<AllOptions>

/** The keys of a session's data, and their values. */
export type Key<Data> = keyof Data & string
export type Value<Data, K extends keyof Data> = Exclude<Data[K], undefined>
/** The keys whose values can be incremented. */
export type NumberKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends number ? K : never }[Key<Data>]

/** The keys whose values are lists. */
export type ListKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends readonly unknown[] ? K : never }[Key<Data>]
export type Element<Data, K extends keyof Data> = unknown extends Data[K] ? unknown : Value<Data, K> extends ReadonlyArray<infer E> ? E : never

/** Replaces a type with values that a session cannot hold: the compiler shows it. */
type NotJson = 'JSON does not keep values of this type: store a string, a number or a plain object instead'

/**
 * The constraint for a session's data, `Data extends JsonData<Data>`: its values come back from JSON as they were set. A `Date`, a
 * `Map`, a bigint, a symbol, a function and an object with methods do not. `unknown` and `any` are checked when they are set.
 * Needed only for functions that are generic in the data of a session.
 *
 * @example
 * ```ts
 * import { memoryStore, tokenSessions, type JsonData } from 'fastify-request-session'
 *
 * export function inMemory<Data extends JsonData<Data>> () {
 *   return tokenSessions<Data>({ store: memoryStore() })
 * }
 * ```
 */
export type JsonData<Data> = object & { [K in keyof Data]: Json<Data[K]> }

/** The type itself where JSON keeps its values; else a type that it does not extend. */
type Json<T> = unknown extends T ? T
  : T extends string | number | boolean | null | undefined ? T
    : T extends bigint | symbol | ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown) ? NotJson
      : T extends { toJSON (...args: never[]): unknown } | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> ? NotJson
        : T extends readonly unknown[] ? JsonList<T>
          : { [K in keyof T]: Json<T[K]> }

/**
 * A list whose elements JSON keeps. An element that is `undefined` would become `null`, but an optional one of a tuple may be missing.
 * An index signature, not a mapped type: TypeScript evaluates mapped lists at once, and would never finish for a list of itself.
 */
type JsonList<T extends readonly unknown[]> = unknown extends T[number] ? T
  : [number, undefined] extends [T['length'], T[number]] ? NotJson
      : { readonly [index: number]: Json<T[number]> }
