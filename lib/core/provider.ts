import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { MaybePromise } from '../util/maybe-promise.js'
import type { Outcome, ScopeState } from './events.js'

/**
 * Opens, commits, rolls back and closes one kind of session. It is created once per application and
 * passed to the plugin, or to `getSession()` outside of Fastify.
 *
 * @typeParam Exposed the type of `request.<name>`: a native session, or a promise of one
 * @typeParam RouteOptions a route's options under the plugin's name
 * @typeParam CallOptions the options of a call of `getSession()`
 *
 * @example
 * ```ts
 * import { getSession, type SessionOpener, type SessionProvider } from 'fastify-request-session'
 *
 * const opener: SessionOpener<Map<string, string>> = {
 *   early: false,
 *   open: () => ({ session: new Map(), commit: () => console.log('kept'), rollback: () => console.log('dropped'), close: () => {} }),
 * }
 * const maps: SessionProvider<Map<string, string>> = { kind: 'map', commits: 'success', forRoute: () => opener, forCall: () => opener }
 * await getSession(maps, null, (map) => map.set('fruit', 'fig'))
 * ```
 */
export interface SessionProvider<Exposed = unknown, RouteOptions = never, CallOptions = RouteOptions> {
  /** `'token'`, `'graph'`, `'document'`: named in events and warnings. */
  readonly kind: string
  /**
   * `'always'`: every reply commits, errors too (a login-attempt counter on a 401 must stay).
   * `'success'`: rolled back when the handler failed or timed out, the status is 400 or more, or the client left.
   */
  readonly commits: 'always' | 'success'
  /**
   * Checks one route's options, merged over the provider's own. Called once per route at boot.
   * Throws `OptionError` (`FST_SESSION_OPTION`), with `where` (the route) in its message. Its list of allowed options includes `others`.
   */
  forRoute(options: RouteOptions | undefined, where: string, others?: readonly string[]): SessionOpener<Exposed>
  /** The same for the options of one `getSession()` call. */
  forCall(options: CallOptions | undefined, where: string): SessionOpener<Exposed>
}

/**
 * The state and control of a request's session: `request.sessionScope`, or `request.<name>Scope`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { type SessionScope } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * app.post('/dry-run', async (request) => {
 *   request.sessionScope.rollbackOnly()
 *   return { state: request.sessionScope.state }
 * })
 * ```
 */
export interface SessionScope {
  readonly state: ScopeState
  /** `unused` until the session is settled. */
  readonly outcome: Outcome
  /** Rolls this request back, with any reply. */
  rollbackOnly (): void
  /**
   * Settles now instead of before the reply: for a hijacked reply. Rejects with the error of the commit, or with the error of
   * the session's read, or with `SessionClosedError` (`FST_SESSION_CLOSED`) if the work was rolled back already.
   */
  commit (): Promise<void>
  /**
   * Runs a function once the commit is certain: for mail, events and jobs. It does not run after a rollback, a failed commit, or a
   * commit without an answer. A commit with nothing to write counts, as does a session that was never opened, when the reply is
   * over and would have committed it. After the commit the function runs at once.
   *
   * Several run one after the other. The reply does not wait for them, but `app.close()` does, up to ten seconds, and `getSession()`
   * outside of Fastify too. An error is logged and counted (`failedFollowUps`).
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) if no commit can follow any more; SessionRefusedError (`FST_SESSION_REFUSED`)
   * @example
   * ```ts
   * import Fastify from 'fastify'
   * import requestSession, { tokenSessions } from 'fastify-request-session'
   *
   * const users = tokenSessions<{ orders: number }>()
   * declare module 'fastify-request-session' { interface Registered { session: typeof users } }
   *
   * const app = Fastify()
   * await app.register(requestSession, { provider: users })
   * app.post('/order', async (request) => {
   *   request.sessionScope.afterCommit(() => console.log('send the mail now'))
   *   return (await request.session).increment('orders')
   * })
   * ```
   */
  afterCommit (fn: () => unknown): void
  /** As `afterCommit()`, but runs if the answer to the commit was lost (`FST_SESSION_OUTCOME_UNKNOWN`). Does nothing after another outcome. */
  afterUnknown (fn: () => unknown): void
}

/**
 * Opens sessions with checked options.
 *
 * @example
 * ```ts
 * import type { SessionOpener } from 'fastify-request-session'
 *
 * export const lists: SessionOpener<string[]> = {
 *   early: false,
 *   open: ({ route, log }) => ({ session: [], commit: () => log?.info(`${route} is committed`), close: () => {} }),
 * }
 * ```
 */
export interface SessionOpener<Exposed> {
  /** True if the plugin opens and awaits the session before the handler. */
  readonly early: boolean
  /** Maximum sessions of one request, if `request.<name>Scope.open()` opens further ones. */
  readonly maxSessions?: number
  /** Throws to refuse a request by its session, before its body is read. */
  admit? (context: OpenContext, session: Awaited<Exposed>): void
  /** Opens a session. If it throws, `request.<name>` throws the error, and nothing is left open. */
  open (context: OpenContext): OpenSession<Exposed>
  /**
   * Returns `request.<name>` before the first hook and after the end, where an access may be a log serializer's and an
   * error could not be caught. Without this method such an access opens the session, or throws.
   * @param open opens the session after all, or throws
   */
  standIn? (open: () => Exposed): Exposed
}

/**
 * The place of a session's opening: a request, or (`request` and `reply` undefined) a call of `getSession()`.
 *
 * @example
 * ```ts
 * import type { OpenContext, OpenSession } from 'fastify-request-session'
 *
 * export function openLog ({ route, log }: OpenContext): OpenSession<string[]> {
 *   const lines: string[] = []
 *   return { session: lines, commit: () => log?.info({ route, lines }), close: () => {} }
 * }
 * ```
 */
export interface OpenContext {
  readonly request: FastifyRequest | undefined
  readonly reply: FastifyReply | undefined
  /** Method and pattern of the route (`GET /people/:id`), or the name of the call. */
  readonly route: string
  /** The registration's name, or that of the call. */
  readonly name: string
  readonly log: FastifyBaseLogger | undefined
  /** True while a header can still reach the client: it has not left, the headers are not out, the reply is not hijacked. */
  readonly canSendHeaders: boolean
  /** True if a `commitWhen` decides about the commit at the end. */
  readonly isConditional: boolean
  /** The bookmarks of the request's other sessions of this registration: a further one must see their writes. */
  readonly bookmarks: readonly string[]
  /** Reports that the user rolled the work back: `commit` is not called any more. */
  rollbackOnly (): void
}

/**
 * One open session. The scope calls `commit` or `rollback` once, then `close` once; a second caller waits for the first.
 * Steps with nothing to do are omitted.
 *
 * @example
 * ```ts
 * import type { OpenSession } from 'fastify-request-session'
 *
 * const list: string[] = []
 * export const opened: OpenSession<string[]> = {
 *   session: list,
 *   rollback: () => { list.length = 0 },
 *   close: () => {},
 * }
 * ```
 */
export interface OpenSession<Exposed> {
  /** The value of `request.<name>`. */
  readonly session: Exposed
  /** The result of awaiting `session`, if it is another object. */
  readonly loaded?: unknown
  /** True if the session can still be read after its end, and itself refuses everything else. */
  readonly readableAfterEnd?: boolean
  /** The bookmarks of its transactions, if the database has them. */
  readonly bookmarks?: readonly string[]
  /** True if the session holds no connection while it is open: a streaming reply causes no warning. */
  readonly isIdle?: boolean
  /** The error that the user got instead of a session: the outcome is `failed`, with any step. */
  readonly failedBy?: unknown
  /** The error because of which the session continues without its data: the outcome is `anonymous`. */
  readonly degradedBy?: unknown
  /** True while there was nothing to write: a commit counts as one that only reads. `undefined`: not known. */
  readonly isReadOnly?: boolean
  /**
   * The headers are sent next, and are not those of a commit: the last chance to set one.
   * @param commitFollows true with `commit: 'onResponse'`; false if the session was settled before, or is rolled back
   */
  beforeHeaders? (commitFollows: boolean): void
  /**
   * Keeps the work. A rejection means that nothing was kept; if that is uncertain, it is an
   * `OutcomeUnknownError` (`FST_SESSION_OUTCOME_UNKNOWN`).
   */
  commit? (): MaybePromise<void>
  /** Called twice a second while the session is open and its reply's headers are not sent: extends a session that would expire. */
  pulse? (): void
  /** Drops the work. A rejection is logged; with an `OutcomeUnknownError` the outcome is unknown, as of a commit. */
  rollback? (): MaybePromise<void>
  /** Frees the session's resources, and makes later use fail. Always called, after a failed commit too. */
  close (): MaybePromise<void>
}

/** A provider that checks at boot that its driver or store can be used at all. */
export interface BootCheck {
  /** Rejects to stop the boot; an unreachable server is no reason to. */
  checkAtBoot (log: FastifyBaseLogger): Promise<void>
}

/** A provider that holds something of its own: timers, subscriptions. */
export interface Closing {
  /** Frees it, when the app closes. A driver or client that the provider was given stays open. */
  close (): MaybePromise<void>
}

/**
 * A provider with transactions in its sessions: `getTransaction()` joins one, or opens one.
 *
 * @example
 * ```ts
 * import { getTransaction, neo4jSessions, type TransactionProvider } from 'fastify-request-session'
 * import neo4j, { type Session, type Transaction } from 'neo4j-driver'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'bolt://127.0.0.1:7687')
 * const graph = neo4jSessions(driver)
 * export const transactions: Pick<TransactionProvider, 'isTransaction'> = graph
 * await getTransaction(graph, null, (transaction) => transaction.run('RETURN 1'))
 * await driver.close()
 * ```
 */
export interface TransactionProvider<Session = unknown, Transaction = unknown, Options = never> {
  /**
   * Tells a transaction, to be joined, from a session, to open one in.
   * Throws `OptionError` (`FST_SESSION_OPTION`) if it is neither.
   */
  isTransaction (existing: unknown, where: string): boolean
  /** Opens transactions: in a given session, which stays open, or each in a session of its own. Checks options as `forCall()` does. */
  forTransaction (session: Session | undefined, options: Options | undefined, where: string): SessionOpener<Transaction | PromiseLike<Transaction>>
}

/** An open session that recognises its driver's errors: an error that the app lets through gets a fitting reply. */
export interface ErrorReplies {
  /** `undefined`: the error is not the driver's, and tells nothing about the database. */
  replyTo (error: unknown): ErrorReply | undefined
}

/** The reply to an error that has no status of its own. */
export interface ErrorReply {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A provider with a cookie, a header or keys of a store that another provider of the app must not use. */
export interface Claiming {
  /** The cookie or header, and the place in the store, for errors: `cookie session`. */
  readonly claims: readonly string[]
}

/** A provider with a store that may have counts of its own. */
export interface Counting {
  /** The store's own counts, by name; `undefined`: it has none. */
  readonly counts: () => Readonly<Record<string, number>> | undefined
}

/** Functions for a token session's `update()` that only store a hint. */
const hints = new WeakSet<object>()

/**
 * Marks a function for a token session's `update()` as a hint for later requests: if the session is ended, regenerated or
 * unreachable at its commit, no request fails for it. It may be applied twice.
 */
export function asHint<Change extends object> (change: Change): Change {
  hints.add(change)
  return change
}

export function isHint (change: object): boolean {
  return hints.has(change)
}

export function claimsOf (provider: object): readonly string[] {
  return (provider as Partial<Claiming>).claims ?? []
}

export function countsOf (provider: object): ReturnType<Counting['counts']> {
  return (provider as Partial<Counting>).counts?.()
}

export function checksAtBoot (provider: object): provider is BootCheck {
  return 'checkAtBoot' in provider
}

export function isClosing (provider: object): provider is Closing {
  return 'close' in provider
}

export function hasTransactions (provider: object): provider is TransactionProvider {
  return 'forTransaction' in provider
}

/** A provider of any kind. */
export type AnyProvider = SessionProvider<any, any, any>

/**
 * The type of `request.<name>` under a provider.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionOf } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * declare module 'fastify-request-session' { interface Registered { session: typeof users } }
 * ```
 */
export type SessionOf<P extends AnyProvider> = P extends SessionProvider<infer Exposed, never, never> ? Exposed : never

/** The type of a route's config under the plugin's name. */
export type RouteOptionsOf<P extends AnyProvider> = P extends SessionProvider<unknown, infer Options, never>
  ? (Options & CommitOptions) | false
  : never

/**
 * The moment and the condition of a commit, per plugin and per route.
 *
 * @example
 * ```ts
 * import requestSession, { tokenSessions, type CommitOptions } from 'fastify-request-session'
 * import Fastify from 'fastify'
 *
 * const options: CommitOptions = { commit: 'onSend', commitWhen: (_request, reply) => reply.statusCode < 500 }
 * const app = Fastify()
 * await app.register(requestSession, { provider: tokenSessions(), ...options })
 * ```
 */
export interface CommitOptions {
  /**
   * `'onSend'`: before the reply's headers are sent, so that a failed commit is the reply's error.
   * `'onResponse'`: after the reply, so that the client does not wait for the commit; a failure is only logged.
   * @default 'onSend'
   */
  commit?: 'onSend' | 'onResponse' | undefined
  /** Returns true if this reply commits. Replaces the provider's own rule for requests. Synchronous. */
  commitWhen?: ((request: FastifyRequest, reply: FastifyReply) => boolean) | undefined
}
