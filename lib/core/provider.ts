import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { MaybePromise } from '../util/maybe-promise.js'
import type { Outcome, ScopeState } from './events.js'

/**
 * Knows how to open, commit, roll back and close one kind of session. It is made once per application and
 * given to the plugin, or to `getSession()` outside of Fastify.
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
   * `'always'`: every reply commits, an error too (a login-attempt counter on a 401 must stick).
   * `'success'`: rolled back when the handler failed or timed out, the status is 400 or more, or the client left.
   */
  readonly commits: 'always' | 'success'
  /**
   * Checks one route's options, merged over the provider's own. Called once per route at boot.
   * Throws `OptionError` (`FST_SESSION_OPTION`), with `where` (the route) in its message.
   */
  forRoute(options: RouteOptions | undefined, where: string): SessionOpener<Exposed>
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
  /** Makes this request roll back, whatever its reply says. */
  rollbackOnly (): void
  /**
   * Settles now instead of before the reply: for a reply that is hijacked. Rejects with the error of the commit, or that for
   * which the session could not be read, or with `SessionClosedError` (`FST_SESSION_CLOSED`) if the work was rolled back already.
   */
  commit (): Promise<void>
  /**
   * Runs a function once the commit is certain: for mail, events and jobs. It does not run after a rollback, a commit that failed, or
   * one whose answer was lost. A commit that has nothing to write counts; a session that was never opened counts as one, when the
   * reply is over and would have committed it. After the commit the function runs at once.
   *
   * Several run one after the other. The reply does not wait for them, but `app.close()` does, up to ten seconds, and `getSession()`
   * outside of Fastify too. An error is logged and counted (`failedFollowUps`).
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) where no commit can come any more; SessionRefusedError (`FST_SESSION_REFUSED`)
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
  /** As `afterCommit()`, but runs if the answer of the commit was lost (`FST_SESSION_OUTCOME_UNKNOWN`). Does nothing where another outcome has come. */
  afterUnknown (fn: () => unknown): void
}

/**
 * Opens sessions with options that were checked already.
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
  /** True where the plugin opens the session before the handler, and awaits it. */
  readonly early: boolean
  /** The most sessions of one request, where `request.<name>Scope.open()` gives further ones. */
  readonly maxSessions?: number
  /** Throws to keep a request out by its session, before its body is read. */
  admit? (context: OpenContext, session: Awaited<Exposed>): void
  /** Opens a session. `request.<name>` throws its error, and nothing is left open then. */
  open (context: OpenContext): OpenSession<Exposed>
  /**
   * Returns `request.<name>` before the first hook and after the end, where an access may be a log serializer's and an
   * error could not be caught. Without this method such an access opens the session, or throws.
   * @param open opens the session after all, or throws
   */
  standIn? (open: () => Exposed): Exposed
}

/**
 * Where a session is opened: in a request, or (`request` and `reply` undefined) in a call of `getSession()`.
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
  /** True where a `commitWhen` decides at the end if the work is kept. */
  readonly isConditional: boolean
  /** The bookmarks of the request's other sessions of this registration: a further one has to see what they have written. */
  readonly bookmarks: readonly string[]
  /** Reports that the user rolled the work back: `commit` is not called any more. */
  rollbackOnly (): void
}

/**
 * One open session. The scope calls `commit` or `rollback` once, then `close` once; a second caller waits for the first.
 * A step for which there is nothing to do is left out.
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
  /** The session that awaiting `session` has given, where that is another object. */
  readonly loaded?: unknown
  /** True where the session may still be read after its end, and itself refuses all else. */
  readonly readableAfterEnd?: boolean
  /** The bookmarks of its transactions, for a database that has them. */
  readonly bookmarks?: readonly string[]
  /** True where the session holds no connection while it is open: a reply that streams is no reason to warn of it. */
  readonly isIdle?: boolean
  /** The error for which there is no session to use, which its user was given: the outcome is `failed`, whichever step is called. */
  readonly failedBy?: unknown
  /** The error for which the session goes on without what it should hold: the outcome is `anonymous`. */
  readonly degradedBy?: unknown
  /** True while there was nothing to write: a commit counts as one that only reads. `undefined`: not known. */
  readonly isReadOnly?: boolean
  /** The reply's headers leave now and the commit comes after them (`commit: 'onResponse'`): the last chance to set a header. */
  beforeHeaders? (): void
  /**
   * Keeps the work. A rejection means that nothing was kept; where that is not certain it is an
   * `OutcomeUnknownError` (`FST_SESSION_OUTCOME_UNKNOWN`).
   */
  commit? (): MaybePromise<void>
  /** Called twice a second while the session is open and its reply's headers are not out: keeps alive what would expire. */
  pulse? (): void
  /** Drops the work. */
  rollback? (): MaybePromise<void>
  /** Frees what the session holds, and makes a later use of it fail. Always called, also after a failed commit. */
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
 * A provider whose sessions hold transactions: `getTransaction()` joins one, or opens one.
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

/** An open session that knows the errors of its driver: one that the app lets through gets a fitting reply. */
export interface ErrorReplies {
  /** `undefined`: that error is none of its own, and says nothing of the database's state. */
  replyTo (error: unknown): ErrorReply | undefined
}

/** The reply to an error that has no status of its own. */
export interface ErrorReply {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A provider that uses a cookie or header, or keys of a store, which it cannot share with another one of the same app. */
export interface Claiming {
  /** The cookie or header, and the place in the store, for errors: `cookie session`. */
  readonly claims: readonly string[]
}

/** A provider whose sessions are in a store that may count for itself. */
export interface Counting {
  /** The store's own counts, by name; `undefined`: it has none. */
  readonly counts: () => Readonly<Record<string, number>> | undefined
}

/** Functions for a token session's `update()` that only leave a hint there. */
const hints = new WeakSet<object>()

/**
 * Marks a function for a token session's `update()` as a hint for later requests, and no work of this one: a session that
 * is ended, regenerated or out of reach by its commit fails no request for it. It may be applied twice.
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
   * `'onSend'`: before the reply's headers leave, so that a failed commit is the reply's error.
   * `'onResponse'`: once the reply is out, which takes the commit out of the client's waiting time; a failure is only logged.
   * @default 'onSend'
   */
  commit?: 'onSend' | 'onResponse' | undefined
  /** True where this reply commits. Replaces the provider's own rule where there is a reply to look at. Synchronous. */
  commitWhen?: ((request: FastifyRequest, reply: FastifyReply) => boolean) | undefined
}
