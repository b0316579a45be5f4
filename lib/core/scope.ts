import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { SessionRefusedError, SessionClosedError } from '../errors.js'
import { channels, isObserved, type SessionEvent } from './events.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import type { OpeningTrace } from './opening-trace.js'
import type { CommitOptions, ErrorReplies, ErrorReply, OpenContext, OpenSession, SessionOpener } from './provider.js'
import { isGone } from '../plugin/reply-state.js'
import type { Tracker } from './open-sessions.js'

export type ScopeState = 'unopened' | 'open' | 'committing' | 'rolling-back' | 'committed' | 'rolled-back' | 'unknown' | 'closed'
export type Outcome = 'unused' | 'committed' | 'rolled-back' | 'unknown'

/** What a handler may ask of and say to its scope: `request.sessionScope`, or `request.<name>Scope`. */
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

/** What one route (or one call) says of its session, checked and merged once. */
export interface ScopeSettings {
  /** Method and pattern of the route, or the name of the call. */
  readonly route: string
  /** `undefined` where the route's config refuses the session. */
  readonly opener: SessionOpener<unknown> | undefined
  readonly commit: 'onSend' | 'onResponse'
  readonly commitWhen: CommitOptions['commitWhen']
  readonly commits: 'always' | 'success'
  /** `undefined`: nobody watches how long sessions are held. */
  readonly trace: OpeningTrace | undefined
}

const none: readonly unknown[] = Object.freeze([])

/**
 * One provider's session within one request: unopened, open, committing or rolling back, committed or rolled
 * back or unknown, closed. It only moves forward, each step at most once; this class is the one place that moves it.
 */
export class Scope implements SessionScope, OpenContext {
  state: ScopeState = 'unopened'
  outcome: Outcome = 'unused'
  /** Milliseconds on the clock of `performance.now()`; 0 while nobody listens to events. */
  openedAt = 0
  /** On the tracker's clock. */
  openedTick = 0
  warned = false
  /** Where it was opened. */
  trace: Error | undefined = undefined
  /** What failed while rolling back and closing: logged, and never in the way of the app's own error. */
  cleanUpErrors: readonly unknown[] = none
  /** Its neighbours among the open scopes: the tracker's own. */
  older: Scope | undefined = undefined
  newer: Scope | undefined = undefined
  /** The one registered before it in the same request: the request's own. */
  before: Scope | undefined = undefined
  readonly tracker: Tracker
  readonly settings: ScopeSettings
  readonly request: FastifyRequest | undefined
  readonly reply: FastifyReply | undefined
  #rollbackOnly = false
  #session: OpenSession<unknown> | undefined
  #loaded: unknown = undefined
  /** The commit or rollback under way. */
  #settling: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor (tracker: Tracker, settings: ScopeSettings, request?: FastifyRequest, reply?: FastifyReply) {
    this.tracker = tracker
    this.settings = settings
    this.request = request
    this.reply = reply
  }

  get route (): string { return this.settings.route }
  get name (): string { return this.tracker.name }
  get log (): FastifyBaseLogger | undefined { return this.request?.log ?? this.tracker.log }
  get failed (): boolean { return this.#rollbackOnly }

  /**
   * The session, opened on first use.
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) after the end
   */
  get session (): unknown {
    if (this.#session === undefined) return this.#open()
    if (this.state === 'closed') this.#refuseLateAccess()
    return this.#loaded ?? this.#session.session
  }

  rollbackOnly (): void {
    this.#rollbackOnly = true
  }

  async commit (): Promise<void> {
    await this.settle(!this.#rollbackOnly)
    if (this.outcome !== 'committed' && this.#session !== undefined && !this.#rollbackOnly) this.#refuseLateAccess()
  }

  /** Opens the session and waits for it, so that from then on `session` is no promise. */
  async load (): Promise<void> {
    this.#loaded = await this.session
  }

  /** What the reply to an error of the session's driver says; `undefined` for any other error. */
  replyTo (error: unknown): ErrorReply | undefined {
    const session: OpenSession<unknown> & Partial<ErrorReplies> | undefined = this.#session
    return this.state === 'open' ? session?.replyTo?.(error) : undefined
  }

  /** The reply's headers leave before the commit. */
  beforeHeaders (): void {
    if (this.state === 'open' && !this.#rollbackOnly) this.#session?.beforeHeaders?.()
  }

  /**
   * Commits or rolls back, once; a second caller waits for the first. Throws or rejects only for the caller
   * whose commit failed.
   */
  settle (commit: boolean): MaybePromise<void> {
    if (this.#settling !== undefined) return this.#settling.catch(nothing)
    if (this.state !== 'open') return
    const result = commit ? this.#commit() : this.#rollback()
    if (isPromise(result)) this.#settling = result
    return result
  }

  /** Settles what is not settled and closes. Never rejects: nobody waits for the answer, so that failures are logged. */
  finish (commit: boolean): MaybePromise<void> {
    if (this.#closing !== undefined || this.state === 'closed') return this.#closing
    try {
      const settled = this.settle(commit)
      if (isPromise(settled)) {
        this.#closing = settled.catch((error: unknown) => this.#reportLostCommit(error)).then(() => this.#close())
        return this.#closing
      }
    } catch (error) {
      this.#reportLostCommit(error)
    }
    return this.#close()
  }

  #open (): unknown {
    const { opener, route, trace } = this.settings
    if (opener === undefined) throw new SessionRefusedError(this.#called, route)
    if (this.state === 'closed' || (this.reply !== undefined && isGone(this.reply.raw))) this.#refuseLateAccess()
    this.trace = trace?.record()
    this.#session = opener.open(this)
    this.state = 'open'
    this.openedAt = isObserved() ? performance.now() : 0
    this.openedTick = this.tracker.tick
    this.tracker.add(this)
    if (channels.open.hasSubscribers) channels.open.publish(this.#event())
    return this.#session.session
  }

  #commit (): MaybePromise<void> {
    this.state = 'committing'
    try {
      const result = this.#session?.commit?.()
      if (!isPromise(result)) return this.#committed()
      return result.then(() => this.#committed(), (error: unknown) => this.#commitFailed(error))
    } catch (error) {
      this.#commitFailed(error)
    }
  }

  #committed (): void {
    this.state = this.outcome = 'committed'
    this.tracker.committed++
    if (channels.commit.hasSubscribers) channels.commit.publish(this.#event())
  }

  #commitFailed (error: unknown): never {
    const unknown = (error as { code?: unknown } | null)?.code === 'FST_SESSION_OUTCOME_UNKNOWN'
    this.state = this.outcome = unknown ? 'unknown' : 'rolled-back'
    if (unknown) this.tracker.unknown++
    else this.tracker.rolledBack++
    if (channels.commit.hasSubscribers) channels.commit.publish(this.#event(error))
    throw error
  }

  #rollback (): MaybePromise<void> {
    this.state = 'rolling-back'
    try {
      const result = this.#session?.rollback?.()
      if (!isPromise(result)) return this.#rolledBack()
      return result.then(() => this.#rolledBack(), (error: unknown) => this.#rolledBack(error))
    } catch (error) {
      this.#rolledBack(error)
    }
  }

  #rolledBack (error?: unknown): void {
    this.state = this.outcome = 'rolled-back'
    this.tracker.rolledBack++
    if (error !== undefined) this.#cleanUpFailed('rolling back', error)
    if (channels.rollback.hasSubscribers) channels.rollback.publish(this.#event(error))
  }

  #close (): MaybePromise<void> {
    if (this.#session === undefined) {
      this.state = 'closed'
      return
    }
    try {
      const result = this.#session.close()
      if (!isPromise(result)) return this.#closed()
      this.#closing = result.then(() => this.#closed(), (error: unknown) => this.#closed(error))
      return this.#closing
    } catch (error) {
      this.#closed(error)
    } finally {
      this.state = 'closed'
    }
  }

  #closed (error?: unknown): void {
    this.tracker.remove(this)
    if (error !== undefined) this.#cleanUpFailed('closing', error)
    if (channels.close.hasSubscribers) channels.close.publish(this.#event(error))
  }

  #refuseLateAccess (): never {
    this.tracker.lateAccesses++
    if (channels.lateAccess.hasSubscribers) channels.lateAccess.publish(this.#event())
    throw new SessionClosedError(this.#called, this.route)
  }

  #cleanUpFailed (step: string, error: unknown): void {
    this.cleanUpErrors = [...this.cleanUpErrors, error]
    this.#report(error, `${step} ${this.#called} of ${this.route} failed`)
  }

  #reportLostCommit (error: unknown): void {
    this.#report(error, `committing ${this.#called} of ${this.route} failed after its reply`)
  }

  #report (err: unknown, message: string): void {
    this.tracker.report('error', { err, session: this.tracker.name, route: this.route }, message)
  }

  get #called (): string {
    return this.request === undefined ? 'the session' : `request.${this.tracker.name}`
  }

  #event (error?: unknown): SessionEvent {
    return {
      name: this.tracker.name,
      kind: this.tracker.kind,
      route: this.route,
      outcome: this.outcome === 'unused' ? undefined : this.outcome,
      duration: this.openedAt === 0 ? undefined : performance.now() - this.openedAt,
      error,
    }
  }
}
