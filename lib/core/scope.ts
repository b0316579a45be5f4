import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { SessionRefusedError, SessionClosedError } from '../errors.js'
import { attempt, isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import { report } from '../util/report.js'
import { channels, type SessionEvent } from './events.js'
import type { OpenEntry, OpeningTrace, OpenSessions } from './open-sessions.js'
import type { CommitOptions, ErrorReplies, ErrorReply, OpenContext, OpenSession, SessionOpener } from './provider.js'

export type ScopeState = 'unopened' | 'open' | 'committing' | 'rolling-back' | 'committed' | 'rolled-back' | 'unknown' | 'closed'
export type Outcome = 'unused' | 'committed' | 'rolled-back' | 'unknown'

/**
 * What a handler may ask of its session's scope, and tell it: `request.sessionScope`, or `request.<name>Scope`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { type SessionScope } from 'fastify-request-session'
 *
 * declare module 'fastify' { interface FastifyRequest { sessionScope: SessionScope } }
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
  /** `unused` until the session is settled. `unknown`: the commit's answer was lost. */
  readonly outcome: Outcome
  /** Makes this request roll back, whatever its reply says. */
  rollbackOnly (): void
  /**
   * Settles now instead of before the reply: for a reply that is hijacked. Rejects with what the commit rejects with,
   * or with `SessionClosedError` (`FST_SESSION_CLOSED`) if the work was rolled back already.
   */
  commit (): Promise<void>
}

/** The options of one route (or one call) for its session, checked and merged once. */
export interface ScopeSettings {
  /** Method and pattern of the route, or the name of the call. */
  readonly route: string
  /** `undefined` where the route's config refuses the session. */
  readonly opener: SessionOpener<unknown> | undefined
  readonly commit: 'onSend' | 'onResponse'
  readonly commitWhen: CommitOptions['commitWhen']
  readonly commits: 'always' | 'success'
  /** `undefined` where no warning of sessions that are held too long is wanted. */
  readonly trace: OpeningTrace | undefined
}

/** The request that a scope belongs to. Outside of one it is `noRequest`. */
export interface ScopeOwner {
  readonly request: FastifyRequest | undefined
  /** `undefined` also in a request of which no hook of ours has seen the reply yet. */
  readonly reply: FastifyReply | undefined
  /** True once the reply is over or the client has left: no session may be opened any more. */
  readonly over: boolean
  /** Finishes all its scopes if the request is over and nobody else does. */
  sweep (): void
}

export const noRequest: ScopeOwner = Object.freeze({ request: undefined, reply: undefined, over: false, sweep: nothing })

const none: readonly unknown[] = Object.freeze([])

/**
 * One provider's session within one request: unopened, open, committing or rolling back, committed or rolled
 * back or unknown, closed. It only moves forward, each step at most once; this class is the one place that moves it.
 */
export class Scope implements SessionScope, OpenContext, OpenEntry<Scope> {
  state: ScopeState = 'unopened'
  outcome: Outcome = 'unused'
  /** Milliseconds on the clock of `performance.now()`; 0 while nobody listens to events. */
  openedAt = 0
  openedTick = 0
  openedBy: Error | undefined = undefined
  /** The failures while rolling back and closing: logged, and never in the way of the app's own error. */
  cleanUpErrors: readonly unknown[] = none
  older: Scope | undefined = undefined
  newer: Scope | undefined = undefined
  /** The scope that was registered before this one, in the same request. */
  before: Scope | undefined = undefined
  readonly sessions: OpenSessions<Scope>
  readonly settings: ScopeSettings
  readonly owner: ScopeOwner
  /** The place of its registration: the scopes of a request settle from the highest to the lowest. */
  readonly order: number
  isRollbackOnly = false
  #session: OpenSession<unknown> | undefined
  #loaded: unknown = undefined
  /** The commit or rollback under way; forgotten once it is done. */
  #settling: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor (sessions: OpenSessions<Scope>, settings: ScopeSettings, owner: ScopeOwner, order = 0) {
    this.sessions = sessions
    this.settings = settings
    this.owner = owner
    this.order = order
  }

  get request (): FastifyRequest | undefined { return this.owner.request }
  get reply (): FastifyReply | undefined { return this.owner.reply }
  get route (): string { return this.settings.route }
  get name (): string { return this.sessions.name }
  get openingTrace (): OpeningTrace | undefined { return this.settings.trace }
  get log (): FastifyBaseLogger | undefined { return this.request?.log ?? this.sessions.log as FastifyBaseLogger | undefined }

  /**
   * The session, opened on first use.
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) after the end
   */
  get session (): unknown {
    const session = this.#session
    if (session === undefined) return this.#unopened()
    if (this.state === 'closed' && session.readableAfterEnd !== true) this.#refuseLateAccess()
    return this.#loaded ?? session.session
  }

  rollbackOnly (): void {
    this.isRollbackOnly = true
  }

  sweep (): void {
    this.owner.sweep()
  }

  async commit (): Promise<void> {
    await this.settle(!this.isRollbackOnly)
    if (this.outcome !== 'committed' && this.#session !== undefined && !this.isRollbackOnly) this.#refuseLateAccess()
  }

  /** Opens the session and waits for it, so that from then on `session` is no promise. */
  async load (): Promise<void> {
    this.#loaded = await this.session
  }

  /** The reply that fits an error of the session's driver; `undefined` for any other error. */
  replyTo (error: unknown): ErrorReply | undefined {
    const session: OpenSession<unknown> & Partial<ErrorReplies> | undefined = this.#session
    return this.state === 'open' ? session?.replyTo?.(error) : undefined
  }

  /** The reply's headers leave before the commit. */
  beforeHeaders (): void {
    if (this.state === 'open' && !this.isRollbackOnly) this.#session?.beforeHeaders?.()
  }

  /**
   * Commits or rolls back, once; a second caller waits for the first. Throws or rejects only for the caller
   * whose commit failed.
   */
  settle (commit: boolean): MaybePromise<void> {
    if (this.#settling !== undefined) return this.#settling.catch(nothing)
    if (this.state !== 'open') return
    const session = this.#session as OpenSession<unknown>
    this.state = commit ? 'committing' : 'rolling-back'
    const settled = commit
      ? this.#step(() => session.commit?.(), (error) => this.#committed(error))
      : this.#step(() => session.rollback?.(), (error) => this.#rolledBack(error))
    if (isPromise(settled)) this.#settling = settled
    return settled
  }

  /** Settles what is not settled and closes. Never rejects: nobody waits for the answer, so that failures are logged. */
  finish (commit: boolean): MaybePromise<void> {
    if (this.#closing !== undefined || this.state === 'closed') return this.#closing
    if (this.#session === undefined) {
      this.state = 'closed'
      return
    }
    if (this.#settling === undefined && this.state !== 'open') return this.#close()
    const closed = attempt(() => this.settle(commit), () => this.#close(), (error) => {
      this.#report(error, `committing ${this.#called} of ${this.route} failed after its reply`)
      return this.#close()
    })
    if (isPromise(closed)) this.#closing ??= closed
    return closed
  }

  /** Before the first hook and after the end an access may be a mere look, of a log serializer: it does not open the session. */
  #unopened (): unknown {
    const { over, request, reply } = this.owner
    const { opener } = this.settings
    const mayBeLook = over || (request !== undefined && reply === undefined)
    return mayBeLook && opener?.standIn !== undefined ? opener.standIn(() => this.#open().session) : this.#open().session
  }

  #open (): OpenSession<unknown> {
    const { opener, route, trace } = this.settings
    if (opener === undefined) throw new SessionRefusedError(this.#called, route)
    if (this.#session !== undefined) return this.#session
    if (this.state === 'closed' || this.owner.over) this.#refuseLateAccess()
    this.openedBy = trace?.record()
    const session = opener.open(this)
    this.#session = session
    this.state = 'open'
    const { open, close, commit, rollback, lateAccess } = channels
    const observed = close.hasSubscribers || commit.hasSubscribers || rollback.hasSubscribers || lateAccess.hasSubscribers
    this.openedAt = observed ? performance.now() : 0
    this.openedTick = this.sessions.tick
    this.sessions.add(this)
    if (open.hasSubscribers) open.publish(this.#event())
    return session
  }

  /** Runs one step of the session, and then `done`, which is given what the step failed with. */
  #step (step: () => MaybePromise<void>, done: (error?: unknown) => void): MaybePromise<void> {
    let stepped: MaybePromise<void>
    try {
      stepped = step()
    } catch (error) {
      return done(error ?? new Error('thrown without an error'))
    }
    if (!isPromise(stepped)) return done()
    return stepped.then(() => done(), (error: unknown) => done(error ?? new Error('rejected without an error')))
  }

  #committed (error: unknown): void {
    this.#settling = undefined
    const { sessions } = this
    if (error === undefined) {
      this.state = this.outcome = 'committed'
      sessions.committed++
    } else if ((error as { code?: unknown }).code === 'FST_SESSION_OUTCOME_UNKNOWN') {
      this.state = this.outcome = 'unknown'
      sessions.unknown++
    } else {
      this.state = this.outcome = 'rolled-back'
      sessions.rolledBack++
    }
    if (channels.commit.hasSubscribers) channels.commit.publish(this.#event(error))
    if (error !== undefined) throw error
  }

  #rolledBack (error: unknown): void {
    this.#settling = undefined
    this.state = this.outcome = 'rolled-back'
    this.sessions.rolledBack++
    if (error !== undefined) this.#cleanUpFailed('rolling back', error)
    if (channels.rollback.hasSubscribers) channels.rollback.publish(this.#event(error))
  }

  #close (): MaybePromise<void> {
    const session = this.#session as OpenSession<unknown>
    const closed = this.#step(() => session.close(), (error) => this.#closed(error))
    this.state = 'closed'
    if (isPromise(closed)) this.#closing = closed
    return closed
  }

  #closed (error: unknown): void {
    this.#closing = undefined
    this.state = 'closed'
    this.sessions.remove(this)
    if (error !== undefined) this.#cleanUpFailed('closing', error)
    if (channels.close.hasSubscribers) channels.close.publish(this.#event(error))
  }

  #refuseLateAccess (): never {
    this.sessions.lateAccesses++
    if (channels.lateAccess.hasSubscribers) channels.lateAccess.publish(this.#event())
    throw new SessionClosedError(this.#called, this.route)
  }

  #cleanUpFailed (step: string, error: unknown): void {
    this.cleanUpErrors = [...this.cleanUpErrors, error]
    this.#report(error, `${step} ${this.#called} of ${this.route} failed`)
  }

  #report (err: unknown, message: string): void {
    report(this.log, 'error', { err, session: this.name, route: this.route }, message)
  }

  get #called (): string {
    return this.request === undefined ? 'the session' : `request.${this.name}`
  }

  #event (error?: unknown): SessionEvent {
    return {
      name: this.name,
      kind: this.sessions.kind,
      route: this.route,
      outcome: this.outcome === 'unused' ? undefined : this.outcome,
      duration: this.openedAt === 0 ? undefined : performance.now() - this.openedAt,
      error,
    }
  }
}
