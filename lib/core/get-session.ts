import { OptionError } from '../errors.js'
import { runInCall, sessionToJoin } from './ambient.js'
import { finishFollowUps } from './follow-ups.js'
import { OpenSessions } from './open-sessions.js'
import type { AnyProvider, SessionOpener, SessionProvider, SessionScope, TransactionProvider } from './provider.js'
import { noRequest, Scope } from './scope.js'

/**
 * A provider's session, loaded: the argument of a callback of `getSession()`.
 *
 * @example
 * ```ts
 * import { getSession, tokenSessions, type OpenedSession } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * const count = (session: OpenedSession<typeof users>) => session.increment('visits')
 * await getSession(users, null, count)
 * ```
 */
export type OpenedSession<P extends AnyProvider> = P extends SessionProvider<infer Exposed, never, never> ? Awaited<Exposed> : never

/** The options of a call of `getSession()` under a provider. */
export type CallOptionsOf<P extends AnyProvider> = P extends SessionProvider<unknown, never, infer Options> ? Options : never

/** Takes a session to join, or nothing to open one. */
type SessionCall<P extends AnyProvider> = <R>(
  existing: OpenedSession<P> | null | undefined,
  callback: (session: OpenedSession<P>, scope: SessionScope) => R | Promise<R>,
  options?: CallOptionsOf<P>,
) => Promise<R>

/** Joins a transaction too, if the callback accepts both. */
type PlaceCall<P extends AnyTransactionProvider> = <R>(
  existing: TransactionPlace<P>,
  callback: (place: NonNullable<TransactionPlace<P>>, scope: SessionScope) => R | Promise<R>,
  options?: CallOptionsOf<P>,
) => Promise<R>

/** The type of `app.get<Name>` under a provider. */
export type GetSessionOf<P extends AnyProvider> = SessionCall<P> & (P extends AnyTransactionProvider ? PlaceCall<P> : unknown)

/** A provider of any kind with transactions in its sessions. */
export type AnyTransactionProvider = AnyProvider & TransactionProvider<any, any, any>

/**
 * The argument of a callback of `getTransaction()`.
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { getTransaction, neo4jSessions, type TransactionOf } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'bolt://127.0.0.1:7687')
 * const graph = neo4jSessions(driver)
 * const addAda = (transaction: TransactionOf<typeof graph>) => transaction.run("MERGE (:Person { name: 'Ada' })")
 * await getTransaction(graph, null, addAda)
 * await driver.close()
 * ```
 */
export type TransactionOf<P extends AnyTransactionProvider> = P extends TransactionProvider<never, infer Transaction> ? Transaction : never

/**
 * The first argument of `getTransaction()`: a transaction to join, a session to open one in, or nothing to open both.
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { getTransaction, neo4jSessions, type TransactionPlace } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'bolt://127.0.0.1:7687')
 * const graph = neo4jSessions(driver)
 * const addAda = (place?: TransactionPlace<typeof graph>) =>
 *   getTransaction(graph, place, (transaction) => transaction.run("MERGE (:Person { name: 'Ada' })"))
 * await addAda()
 * await driver.close()
 * ```
 */
export type TransactionPlace<P extends AnyTransactionProvider> =
  | (P extends TransactionProvider<infer Session, infer Transaction> ? Session | Transaction : never)
  | null | undefined

/** The options of a call of `getTransaction()` under a provider. */
export type TransactionOptionsOf<P extends AnyTransactionProvider> = P extends TransactionProvider<never, unknown, infer Options> ? Options : never

/** The type of `app.get<Name>Transaction` under a provider. */
export type GetTransactionOf<P extends AnyTransactionProvider> = <R>(
  existing: TransactionPlace<P>,
  callback: (transaction: TransactionOf<P>, scope: SessionScope) => R | Promise<R>,
  options?: TransactionOptionsOf<P>,
) => Promise<R>

/**
 * Runs a callback in a session, outside of a request: jobs, scripts, tests.
 *
 * With an `existing` session the callback joins it: it is neither committed, rolled back nor closed. Without
 * one (`null`, or `undefined` outside of an ambient session) a new session is opened, and committed and closed when the callback resolves, or rolled
 * back and closed when it rejects. The call always rejects with the callback's own error; a failure of the
 * clean-up is logged, and attached to it as `suppressed`.
 *
 * The callback's second argument is the scope of the session, for `afterCommit()`: for a joined session, the scope that opened
 * it. Outside of Fastify the call waits for such work.
 *
 * @throws the callback's error, or that of the commit
 *
 * @example
 * ```ts
 * import { getSession, tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * const visits = await getSession(users, null, (session) => session.increment('visits'))
 * ```
 */
export function getSession<P extends AnyProvider, R> (
  provider: P, existing: OpenedSession<P> | null | undefined, callback: (session: OpenedSession<P>, scope: SessionScope) => R | Promise<R>, options?: CallOptionsOf<P>
): Promise<R>
/** The same for a callback that takes a session or a transaction, and can join both. */
export function getSession<P extends AnyTransactionProvider, R> (
  provider: P, existing: TransactionPlace<P>, callback: (place: NonNullable<TransactionPlace<P>>, scope: SessionScope) => R | Promise<R>, options?: CallOptionsOf<P>
): Promise<R>
export async function getSession<P extends AnyProvider, R> (
  provider: P, existing: any, callback: (place: any, scope: SessionScope) => R | Promise<R>, options?: CallOptionsOf<P>
): Promise<R> {
  return withSessions('getSession()', provider, (sessions) => sessionCaller(provider, () => sessions, 'getSession()')(existing, callback, options))
}

/**
 * Runs a callback in a transaction, outside of a request: jobs, scripts, tests.
 *
 * A given transaction is joined. In a given session a transaction is opened, and committed when the callback
 * resolves, or rolled back when it rejects; the session stays open. Without either, both are opened and closed.
 * Like `getSession()`, it rejects with the callback's own error.
 *
 * @throws the callback's error, or that of the commit
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { getTransaction, neo4jSessions } from 'fastify-request-session'
 *
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'bolt://127.0.0.1:7687')
 * const graph = neo4jSessions(driver)
 * await getTransaction(graph, null, (transaction) => transaction.run('MERGE (:Person { name: $name })', { name: 'Ada' }))
 * await driver.close()
 * ```
 */
export async function getTransaction<P extends AnyTransactionProvider, R> (
  provider: P,
  existing: TransactionPlace<P>,
  callback: (transaction: TransactionOf<P>, scope: SessionScope) => R | Promise<R>,
  options?: TransactionOptionsOf<P>
): Promise<R> {
  return withSessions('getTransaction()', provider, (sessions) => transactionCaller(provider, () => sessions, 'getTransaction()')(existing, callback, options))
}

/**
 * The function behind `getSession()` and `app.get<Name>()`.
 *
 * @param sessions the list that counts an opened session
 * @param call for errors and events: `app.getGraph()`
 */
export function sessionCaller<P extends AnyProvider> (provider: P, sessions: () => OpenSessions<Scope>, call: string): SessionCall<P> {
  return async (given, callback, options) => {
    const existing = await joined(provider, given, options)
    return existing != null
      ? callback(existing, new JoinedScope(provider, existing, call))
      : run(sessions(), provider, provider.forCall(options, call), callback, call)
  }
}

/** The function behind `getTransaction()` and `app.get<Name>Transaction()`, as `sessionCaller()`. */
export function transactionCaller<P extends AnyTransactionProvider> (provider: P, sessions: () => OpenSessions<Scope>, call: string): GetTransactionOf<P> {
  return async (given, callback, options) => {
    const existing = await joined(provider, given, options)
    return existing != null && provider.isTransaction(existing, call)
      ? callback(existing as TransactionOf<P>, new JoinedScope(provider, existing, call))
      : run(sessions(), provider, provider.forTransaction(existing ?? undefined, options, call), callback, call)
  }
}

/** The session that a call joins: the given one, or that of the calling code if neither a session nor options are given. */
async function joined<T> (provider: AnyProvider, given: T, options: unknown): Promise<T> {
  return given === undefined && options === undefined ? await sessionToJoin(provider) as T : given
}

/** Runs a call outside of Fastify, which has a list of its own. */
async function withSessions<R> (call: string, provider: AnyProvider, run: (sessions: OpenSessions<Scope>) => Promise<R>): Promise<R> {
  const sessions = new OpenSessions<Scope>(call, provider.kind)
  sessions.start(0, Scope.pulseOf(sessions))
  const all = openSessionsOf(provider).add(sessions)
  try {
    return await run(sessions)
  } finally {
    await finishFollowUps(sessions)
    all.delete(sessions)
    sessions.stop()
  }
}

/** The open sessions of each provider: of its registrations, and of its running calls outside of Fastify. */
const byProvider = new WeakMap<AnyProvider, Set<OpenSessions<Scope>>>()

export function openSessionsOf (provider: AnyProvider): Set<OpenSessions<Scope>> {
  const all = byProvider.get(provider) ?? new Set()
  byProvider.set(provider, all)
  return all
}

/** The scope of a session that a call joins. It is looked up at its first use: most calls need none. */
class JoinedScope implements SessionScope {
  readonly #provider: AnyProvider
  readonly #existing: unknown
  readonly #call: string
  #found: Scope | undefined

  constructor (provider: AnyProvider, existing: unknown, call: string) {
    this.#provider = provider
    this.#existing = existing
    this.#call = call
  }

  get state (): Scope['state'] { return this.#scope().state }
  get outcome (): Scope['outcome'] { return this.#scope().outcome }
  rollbackOnly (): void { this.#scope().rollbackOnly() }
  async commit (): Promise<void> { return this.#scope().commit() }
  afterCommit (fn: () => unknown): void { this.#scope().afterCommit(fn) }
  afterUnknown (fn: () => unknown): void { this.#scope().afterUnknown(fn) }

  /** @throws OptionError (`FST_SESSION_OPTION`) for a session that the app has opened itself: its commit is unknown here */
  #scope (): Scope {
    this.#found ??= this.#find()
    if (this.#found === undefined) throw new OptionError(this.#call, 'the session that was passed on has no scope here: it was not opened by this provider, or is closed')
    return this.#found
  }

  #find (): Scope | undefined {
    for (const sessions of openSessionsOf(this.#provider)) {
      for (const scope of sessions) if (scope.gave(this.#existing)) return scope
    }
    return undefined
  }
}

/** Opens a session, runs a callback in it, commits it or rolls it back, and closes it. */
async function run<R> (
  sessions: OpenSessions<Scope>,
  provider: AnyProvider,
  opener: SessionOpener<unknown>,
  callback: (session: never, scope: SessionScope) => R | Promise<R>,
  route: string
): Promise<R> {
  const { commits } = provider
  const scope = new Scope(sessions, { route, opener, commit: 'onSend', commitWhen: undefined, commits, trace: sessions.traceOf(route) }, noRequest)
  try {
    await scope.load()
    const result = await runInCall(provider, scope, () => callback(scope.session as never, scope))
    await scope.commit()
    return result
  } catch (error) {
    await scope.finish(false)
    if (scope.cleanUpErrors.length > 0) attachSuppressed(error, scope.cleanUpErrors)
    throw error
  } finally {
    await scope.finish(false)
  }
}

function attachSuppressed (error: unknown, suppressed: readonly unknown[]): void {
  if (typeof error === 'object' && error !== null && Object.isExtensible(error)) {
    Object.defineProperty(error, 'suppressed', { value: suppressed, configurable: true, writable: true })
  }
}
