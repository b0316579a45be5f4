import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { OptionError, SessionClosedError, SessionLimitError, SessionRefusedError } from '../errors.js'
import { nothing } from '../util/maybe-promise.js'
import { FollowUps, type Followed } from './follow-ups.js'
import { report, channels, type Outcome, type ScopeState, type SessionEvent } from './events.js'
import type { OpenEntry, OpeningTrace, OpenSessions } from './open-sessions.js'
import type { CommitOptions, ErrorReplies, ErrorReply, OpenContext, OpenSession, SessionOpener, SessionScope } from './provider.js'

/** The options of one route (or one call) for its session, checked and merged once. */
export interface ScopeSettings {
  /** Method and pattern of the route, or the name of the call. */
  readonly route: string
  /** `undefined`: the route's config refuses the session. */
  readonly opener: SessionOpener<unknown> | undefined
  readonly commit: 'onSend' | 'onResponse'
  readonly commitWhen: CommitOptions['commitWhen']
  readonly commits: 'always' | 'success'
  /** `undefined`: no warnings of held sessions. */
  readonly trace: OpeningTrace | undefined
}

/** The request that a scope belongs to. Outside of one it is `noRequest`. */
export interface ScopeOwner {
  readonly request: FastifyRequest | undefined
  /** `undefined` also in a request before our first hook. */
  readonly reply: FastifyReply | undefined
  /** True once the reply is over or the client has left: no session may be opened any more. */
  readonly over: boolean
  /** True while a header can still reach the client. */
  readonly canSendHeaders: boolean
  /** Finishes all its scopes if the request is over and no hook will. */
  sweep (): void
}

export const noRequest: ScopeOwner = Object.freeze({ request: undefined, reply: undefined, over: false, canSendHeaders: true, sweep: nothing })

const none: readonly unknown[] = Object.freeze([])

/**
 * One provider's session within one request: unopened, open, committing or rolling back, committed or rolled
 * back or unknown, closed. It only moves forward, each step at most once; only this class moves it. No member is
 * `#private`: V8 would run an initializer for each request.
 */
export class Scope implements SessionScope, OpenContext, OpenEntry<Scope>, Followed {
  state: ScopeState
  outcome: Outcome
  /** Milliseconds on the clock of `performance.now()`; 0 while no channel has a subscriber. */
  openedAt: number
  heldSince: number
  openedBy: Error | undefined
  /** The failures while rolling back and closing: logged, and never in the way of the app's own error. */
  cleanUpErrors: readonly unknown[]
  older: Scope | undefined
  newer: Scope | undefined
  /** The scope that has opened this one by `open()`. */
  main: Scope | undefined
  /** The previously registered scope of the same request. Scopes of `open()` come first. */
  before: Scope | undefined
  isRollbackOnly: boolean
  /** `undefined` until the first one is added. */
  followUps: FollowUps | undefined
  readonly sessions: OpenSessions<Scope>
  readonly settings: ScopeSettings
  readonly owner: ScopeOwner
  readonly request: FastifyRequest | undefined
  /** The place of its registration: the scopes of a request settle from the highest to the lowest. */
  readonly order: number
  private opened: OpenSession<unknown> | undefined
  private loadedSession: unknown
  /** The running commit or rollback. */
  private settling: Promise<void> | undefined
  private closing: Promise<void> | undefined

  constructor (sessions: OpenSessions<Scope>, settings: ScopeSettings, owner: ScopeOwner, order = 0) {
    this.state = 'unopened'
    this.outcome = 'unused'
    this.openedAt = this.heldSince = 0
    this.cleanUpErrors = none
    this.isRollbackOnly = false
    this.sessions = sessions
    this.settings = settings
    this.owner = owner
    this.request = owner.request
    this.order = order
    this.openedBy = this.older = this.newer = this.main = this.before = this.opened = this.loadedSession = this.settling = this.closing = this.followUps = undefined
  }

  get reply (): FastifyReply | undefined { return this.owner.reply }
  get route (): string { return this.settings.route }
  get canSendHeaders (): boolean { return this.owner.canSendHeaders }
  get isRefused (): boolean { return this.settings.opener === undefined }
  get isNeverOpened (): boolean { return this.opened === undefined && (this.state === 'closed' || this.owner.over) }
  get isConditional (): boolean { return this.settings.commitWhen !== undefined }
  get name (): string { return this.sessions.name }
  /** True while the end of the reply may still commit it: an unopened scope has follow-ups only. */
  get mayCommit (): boolean { return this.state === 'open' || (this.state === 'unopened' && this.followUps !== undefined) }
  /** True while it may hold a connection or a transaction: until it is settled, and while its close is under way. */
  get isHeld (): boolean {
    const { state } = this
    if (state === 'open') return this.opened?.isIdle !== true || this.canSendHeaders
    return state === 'committing' || state === 'rolling-back' || state === 'closed'
  }

  /** True if its work should have been kept, and was not. A session that could not be read has no work: its user got the error. */
  get hasLostWork (): boolean {
    return this.opened !== undefined && this.outcome !== 'committed' && this.outcome !== 'anonymous' && this.opened.failedBy === undefined
  }

  get openingTrace (): OpeningTrace | undefined { return this.settings.trace }
  get log (): FastifyBaseLogger | undefined { return this.request?.log ?? this.sessions.log as FastifyBaseLogger | undefined }

  /**
   * The session, opened on first use.
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) after the end
   */
  get session (): unknown {
    const session = this.opened
    if (session !== undefined) {
      if (this.state === 'closed' && session.readableAfterEnd !== true) this.refuseLateAccess()
      return this.loadedSession ?? session.session
    }
    // Before the first hook and after the end the access may be a log serializer's: it does not open the session.
    const { owner: { over, request, reply }, settings: { opener } } = this
    const mayBeLook = over || (request !== undefined && reply === undefined)
    return mayBeLook && opener?.standIn !== undefined ? opener.standIn(() => this.openSession().session) : this.openSession().session
  }

  rollbackOnly (): void { this.isRollbackOnly = true }
  afterCommit (fn: () => unknown): void { (this.followUps ??= new FollowUps(this)).add('committed', fn) }
  afterUnknown (fn: () => unknown): void { (this.followUps ??= new FollowUps(this)).add('unknown', fn) }

  /** Opens a further session of the request, with a scope of its own: it is settled and closed with the request, as this one is. */
  open (): unknown {
    const { settings: { opener, route }, sessions, owner, order, called } = this
    if (opener !== undefined && opener.maxSessions === undefined) throw new OptionError(`${called}Scope.open()`, 'only neo4jSessions() supports further sessions')
    if (opener !== undefined && [...this.family()].length >= (opener.maxSessions as number)) throw new SessionLimitError(called, route, opener.maxSessions as number)
    const further = new Scope(sessions, this.settings, owner, order)
    further.main = this
    further.before = this.before
    this.before = further
    return further.session
  }

  /** True for a session of this scope. */
  gave (session: unknown): boolean {
    const { opened, loadedSession } = this
    return opened !== undefined && [opened.session, opened.loaded, loadedSession].includes(session)
  }

  /** The bookmarks of this session, and of all that belong to it. */
  get bookmarks (): readonly string[] {
    return [...new Set([...this.family()].flatMap(({ opened }) => opened?.bookmarks ?? none as readonly string[]))]
  }

  private * family (): Generator<Scope, undefined> {
    const main: Scope = this.main ?? this
    yield main
    for (let scope = main.before; scope?.main === main; scope = scope.before) yield scope
  }

  sweep (): void { this.owner.sweep() }

  /** Creates the function that extends sessions which would expire during their requests. */
  static pulseOf (sessions: OpenSessions<Scope>): () => void {
    return () => {
      for (let scope = sessions.oldest; scope !== undefined; scope = scope.newer) if (scope.state === 'open' && scope.canSendHeaders) scope.opened?.pulse?.()
    }
  }

  async commit (): Promise<void> {
    await this.settle(!this.isRollbackOnly)
    if (this.opened === undefined || this.isRollbackOnly) return
    if (this.opened.failedBy !== undefined) throw this.opened.failedBy
    if (this.hasLostWork) this.refuseLateAccess()
  }

  /** Opens the session and waits for it, so that from then on `session` is no promise. */
  async load (): Promise<unknown> {
    return (this.loadedSession = await this.session)
  }

  /** The reply that fits an error of the session's driver; `undefined` for any other error. */
  replyTo (error: unknown): ErrorReply | undefined {
    const session: OpenSession<unknown> & Partial<ErrorReplies> | undefined = this.opened
    return this.state === 'open' ? session?.replyTo?.(error) : undefined
  }

  /** The reply's headers are sent next. @param late true if a commit comes after them */
  beforeHeaders (late: boolean): void {
    this.opened?.beforeHeaders?.(late && this.state === 'open' && !this.isRollbackOnly)
  }

  /**
   * Commits or rolls back, once; a second caller waits for the first. Throws or rejects only for the caller
   * whose commit failed.
   */
  settle (commit: boolean): Promise<void> | undefined {
    if (this.settling !== undefined) return this.settling.catch(nothing)
    if (this.state !== 'open') return undefined
    this.state = commit ? 'committing' : 'rolling-back'
    return (this.settling = commit ? this.step('commit', this.onCommitted) : this.step('rollback', this.onRolledBack))
  }

  /** Settles an unsettled session and closes it. Never rejects: no caller waits, so failures are logged. */
  finish (commit: boolean): Promise<void> | undefined {
    if (this.closing !== undefined || this.state === 'closed') return this.closing
    let settled: Promise<void> | undefined
    if (commit && this.opened === undefined) this.followUps?.start('committed') // there was nothing to write
    try {
      settled = this.settle(commit)
    } catch (error) {
      this.reportLostCommit(error)
    }
    this.closing = settled === undefined ? this.close() : this.closeAfter(settled)
    return this.closing
  }

  private openSession (): OpenSession<unknown> {
    const { opener, route, trace } = this.settings
    if (opener === undefined) throw new SessionRefusedError(this.called, route)
    if (this.opened !== undefined) return this.opened
    if (this.state === 'closed' || this.owner.over) this.refuseLateAccess()
    if (trace?.isWanted) this.openedBy = trace.record()
    const session = opener.open(this)
    this.opened = session
    this.state = 'open'
    const { open, close, commit, rollback, lateAccess } = channels
    const observed = close.hasSubscribers || commit.hasSubscribers || rollback.hasSubscribers || lateAccess.hasSubscribers
    this.openedAt = observed ? performance.now() : 0
    this.heldSince = this.sessions.tick
    this.sessions.add(this)
    if (open.hasSubscribers) open.publish(this.event())
    return session
  }

  /** Runs one step of the session, and then `done`, with the error of a failed step. */
  private step (name: 'commit' | 'rollback' | 'close', done: (this: Scope, error?: unknown) => void): Promise<void> | undefined {
    let stepped: Promise<void> | undefined
    try {
      stepped = this.opened?.[name]?.() as Promise<void> | undefined
    } catch (error) {
      done.call(this, error ?? new Error('thrown without an error'))
      return undefined
    }
    if (stepped?.then !== undefined) return stepped.then(() => done.call(this), (error: unknown) => done.call(this, error ?? new Error('rejected without an error')))
    done.call(this)
    return undefined
  }

  private onCommitted (this: Scope, error?: unknown): void {
    this.settling = undefined
    const { failedBy, degradedBy, isReadOnly } = this.opened as OpenSession<unknown>
    const failure = error ?? failedBy ?? degradedBy
    if (failure === undefined) {
      this.state = this.outcome = 'committed'
      this.sessions.committed++
      if (isReadOnly === true) this.sessions.readOnly++
    } else this.countUnkept(error)
    this.followUps?.start(error === undefined && failedBy === undefined ? 'committed' : this.outcome)
    if (channels.commit.hasSubscribers) channels.commit.publish(this.event(failure))
    if (error !== undefined) throw error
  }

  private onRolledBack (this: Scope, error?: unknown): void {
    this.settling = undefined
    const { failedBy, degradedBy } = this.opened as OpenSession<unknown>
    this.countUnkept(error)
    this.followUps?.start(this.outcome)
    if (error !== undefined) this.cleanUpFailed('rolling back', error)
    if (channels.rollback.hasSubscribers) channels.rollback.publish(this.event(error ?? failedBy ?? degradedBy))
  }

  /** @param stepError the error of its commit or rollback, if it has failed */
  private countUnkept (stepError?: unknown): void {
    const { failedBy, degradedBy } = this.opened as OpenSession<unknown>
    let outcome: 'failed' | 'unknown' | 'anonymous' | 'rolled-back' = 'rolled-back'
    if (failedBy !== undefined) outcome = 'failed'
    else if ((stepError as { code?: unknown } | undefined)?.code === 'FST_SESSION_OUTCOME_UNKNOWN') outcome = 'unknown'
    else if (stepError === undefined && degradedBy !== undefined) outcome = 'anonymous'
    this.state = this.outcome = outcome
    this.sessions[outcome === 'rolled-back' ? 'rolledBack' : outcome]++
  }

  private close (): Promise<void> | undefined {
    if (this.opened === undefined) {
      this.state = 'closed'
      return undefined
    }
    const closed = this.step('close', this.onClosed)
    this.state = 'closed'
    // The time of a close that does not end begins now: until here a settled session held nothing.
    if (closed !== undefined && this.heldSince !== Infinity) this.heldSince = this.sessions.tick
    return closed
  }

  private async closeAfter (settled: Promise<void>): Promise<void> {
    try {
      await settled
    } catch (error) {
      this.reportLostCommit(error)
    }
    await this.close()
  }

  private reportLostCommit (error: unknown): void {
    this.reportError(error, `committing ${this.called} of ${this.route} failed after its reply`)
  }

  private onClosed (this: Scope, error?: unknown): void {
    this.closing = undefined
    this.sessions.remove(this)
    if (error !== undefined) this.cleanUpFailed('closing', error)
    if (channels.close.hasSubscribers) channels.close.publish(this.event(error))
  }

  refuseLateAccess (): never {
    this.sessions.lateAccesses++
    if (channels.lateAccess.hasSubscribers) channels.lateAccess.publish(this.event())
    throw new SessionClosedError(this.called, this.route)
  }

  private cleanUpFailed (step: string, error: unknown): void {
    this.cleanUpErrors = [...this.cleanUpErrors, error]
    this.reportError(error, `${step} ${this.called} of ${this.route} failed`)
  }

  reportError (err: unknown, message: string): void {
    report(this.log, 'error', { err, session: this.name, route: this.route }, message)
  }

  get called (): string {
    return this.request === undefined ? 'the session' : `request.${this.name}`
  }

  /** For an app that logs the scope: the session's data and the request's credentials must not reach logs. */
  toJSON (): object { return { ...this.event(), state: this.state } }

  private event (error?: unknown): SessionEvent {
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
