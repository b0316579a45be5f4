import { inspect } from 'node:util'
import { OptionError, RecordError, SessionClosedError, SessionEndedError, SessionGoneError, SessionRenewedError, SharedTokenError, type SessionOverError } from '../errors.js'
import { requireInterface } from '../stores/contract-helpers.js'
import type { SessionRecord } from '../stores/store.js'
import { report } from '../core/events.js'
import { rules, show } from '../util/option-rules.js'
import { CheckedDraft } from './data/checked-draft.js'
import { Draft } from './draft.js'
import { expiryAfterUse, isSlideDue, lifetimeOf, type Lifetime } from './expiry.js'
import { checkName } from './values.js'
import { idOf, renewedToken } from './tokens.js'
import type { Identity, SessionContext, SessionSettings } from './settings.js'
import type { CookieTransport } from './transport/cookie-transport.js'
import type { TokenTransport } from './transport/transport.js'

/** The signal of one session, and its following. */
export interface Following {
  readonly signal: AbortSignal
  /** The session was new, and the store has it now. */
  stored (): void
  /** Stops following: the signal does not abort any more. */
  release (): void
}

/** The signals of the sessions that have one. A map instead of a field: other sessions pay nothing. */
export const signals = new WeakMap<SessionState, Following>()

/**
 * A token session as one request (or one call) sees it: its data, its expiry, its token, and their changes that wait for
 * the commit. `TokenSession` is the user's view of it, `persistence.ts` moves it from and to the store.
 */
export class SessionState {
  readonly settings: SessionSettings
  readonly context: SessionContext
  draft!: Draft
  record: SessionRecord | undefined
  /** `undefined` while the store does not have the session. */
  identity: Identity | undefined
  /** The stored session that this new one replaces at commit, after `regenerate()`. */
  replaced: Identity | undefined = undefined
  /** The token that the session gets at commit. */
  nextToken: string | undefined = undefined
  /** The session's own idle time, in seconds; `null`: never; `undefined`: the route's counts. */
  ttl: number | null | undefined
  isTtlChanged = false
  /** The effective lifetime: the session's own, else the route's, else the plugin's. */
  lifetime!: Lifetime
  /** The subject that the session gets at commit; `null`: none; `undefined`: as it is. */
  nextSubject: string | null | undefined = undefined
  /** The label, likewise. */
  nextLabel: string | null | undefined = undefined
  mustSlide = false
  /** True if the client keeps its token when the browser ends; `undefined`: not set in this request. */
  persistent: boolean | undefined = undefined
  /** True for a session that the client has presented: its token is kept as long as the presented one. */
  isPresented = false
  /** True once the token was sent before a commit that comes after the headers. */
  isAnnounced = false
  /** True once a token was written into the reply's headers. */
  isTokenSent = false
  /** True if another request has renewed the session: the client gets the new token from that reply, not from this one. */
  isSuperseded = false
  /** True once a save was skipped, with a warning, since the client could not receive the new token. */
  isUnheard = false
  /** The error for which the visitor is anonymous, where the store has failed: nothing is saved, and the client keeps its token. */
  degradedBy: unknown = undefined
  /**
   * `renewed`: the token was given up, before the client came with it or (as the signal has told) since. `gone`: ended or expired elsewhere,
   * as the signal has told. The session is empty then, and no work on it is taken.
   */
  phase: 'live' | 'ended' | 'renewed' | 'gone' | 'closed' = 'live'
  isEnded = false
  saving: Promise<void> | undefined = undefined
  /** The error of each save until the session is read anew: the last one's answer was lost, or the session was over before its work was saved. */
  lost: unknown = undefined
  /** True until a write was sent to the store. */
  isReadOnly = true
  /** True if the last save has succeeded. */
  isSaved = false

  constructor (settings: SessionSettings, context: SessionContext) {
    this.settings = settings
    this.context = context
  }

  /**
   * Takes the store's record (none: a new session) and drops all changes that wait for a commit.
   * @param isOutdated true where its data are past their `maxAge`: the session outlives them, and is empty
   * @param draft the data of a new session; none: those that it begins with
   * @throws SessionDataError (`FST_SESSION_DATA`); nothing is changed then
   */
  opened (identity: Identity | undefined, record: SessionRecord | undefined, isOutdated = false, draft?: Draft): this {
    const { data } = this.settings
    if (draft !== undefined) this.draft = draft
    else if (data !== undefined && !this.isOver) this.draft = CheckedDraft.of(data, this.context.route, record, isOutdated)
    else this.draft = isOutdated ? new Draft(new Map(), true) : new Draft(record?.fields)
    this.identity = identity
    this.record = record
    this.ttl = record?.ttl
    this.lifetime = record === undefined ? this.settings.lifetime : lifetimeOf(record, this.settings.lifetime)
    this.nextToken = this.nextSubject = this.nextLabel = this.replaced = this.lost = this.persistent = undefined
    this.isPresented = identity !== undefined
    this.isTtlChanged = this.mustSlide = false
    return this
  }

  /** True where the store has the session no more: only `regenerate()` goes on from here. */
  get isOver (): boolean {
    return this.phase === 'renewed' || this.phase === 'gone'
  }

  /**
   * @throws SessionEndedError (`FST_SESSION_ENDED`), SessionRenewedError (`FST_SESSION_RENEWED`), SessionGoneError (`FST_SESSION_GONE`),
   *   SessionClosedError (`FST_SESSION_CLOSED`)
   */
  refuseWrites (): void {
    switch (this.phase) {
      case 'live': return
      case 'ended': throw new SessionEndedError()
      case 'renewed': throw new SessionRenewedError(this.context.route)
      case 'gone': throw new SessionGoneError(this.context.route)
      case 'closed': throw new SessionClosedError('The session', this.context.route)
    }
  }

  get token (): string {
    return this.nextToken ?? this.identity?.token ?? (this.nextToken = this.settings.tokens.create())
  }

  get subject (): string | undefined {
    return this.nextSubject === undefined ? this.record?.subject : this.nextSubject ?? undefined
  }

  set subject (subject: string | undefined) {
    requireInterface('subjects', this.settings.store, 'session.subject')
    this.nextSubject = subject === undefined ? null : checkName('session.subject', subject)
  }

  get label (): string | undefined {
    return this.nextLabel === undefined ? this.record?.label : this.nextLabel ?? undefined
  }

  set label (label: string | undefined) {
    this.nextLabel = label === undefined ? null : checkName('session.label', label)
  }

  /** The expiry after this request's commit, in milliseconds since the epoch; `null`: never. */
  get expiresAt (): number | null {
    const now = Date.now()
    if (this.record === undefined) return this.expiryAfterUse(now)
    // A use that may not be committed may not slide the expiry.
    if (this.context.isConditional && !this.mustSlide) return this.record.expiresAt
    const slid = this.slide(now, this.draft.isDirty)
    return slid === undefined ? this.record.expiresAt : slid
  }

  /** Runs a change, again without the stored data if that is damaged and visitors may be anonymous. */
  attempt<R> (change: (draft: Draft) => R): R {
    try {
      return change(this.draft)
    } catch (error) {
      this.degradeIfDamaged(error)
      return change(this.draft)
    }
  }

  persist (persistent: boolean): void {
    if (!rules.boolean.test(persistent)) throw new OptionError('persist()', `must be given ${rules.boolean.allowed}; got ${show(persistent)}`)
    this.persistent = persistent
    this.mustSlide = true // only a token that is sent again tells the client
  }

  /** @param ttl seconds; `null`: never */
  expire (ttl: number | null): void {
    if (!rules.seconds.test(ttl)) throw new OptionError('expire()', `ttl must be ${rules.seconds.allowed}; got ${show(ttl)}`)
    this.ttl = ttl
    this.lifetime = { ttl, maxAge: this.lifetime.maxAge }
    this.isTtlChanged = this.mustSlide = true
  }

  renew (): void {
    this.refuseNewToken('renew()')
    if (this.identity !== undefined) this.nextToken = renewedToken(this.settings.tokens, this.identity.token)
    this.isSuperseded = false
    this.mustSlide = true
  }

  /**
   * Continues as a new session with these values.
   * @throws ValueError (`FST_SESSION_VALUE`), SessionDataError (`FST_SESSION_DATA`); nothing is changed then
   */
  regenerate (kept: Iterable<readonly [key: string, value: unknown]>): void {
    this.refuseNewToken('regenerate()')
    const { settings: { data }, context: { route }, stored: replaced } = this
    const draft = data === undefined ? new Draft() : CheckedDraft.of(data, route, undefined, false)
    for (const [key, value] of kept) if (value !== undefined) draft.set(key, value)
    this.phase = 'live'
    this.opened(undefined, undefined, false, draft)
    this.isSuperseded = false
    if (replaced !== undefined) this.nextToken = renewedToken(this.settings.tokens, replaced.token)
    this.replaced = replaced
  }

  private refuseNewToken (call: string): void {
    if (this.degradedBy !== undefined) throw this.degradedBy
    if (this.record?.generation !== undefined) throw new SharedTokenError()
    if (!this.context.canSendHeaders) throw new SessionClosedError(call, this.context.route)
  }

  /** Another request has renewed the session: continues under its new id. */
  supersede (id: string): void {
    this.identity = { token: (this.stored as Identity).token, id }
    this.isSuperseded = true
  }

  /** The session reads as empty from now on. */
  end (): void {
    if (this.phase !== 'live') return
    this.identity = this.stored
    this.replaced = this.nextToken = undefined
    this.phase = 'ended'
    this.isEnded = true
    this.draft = new Draft()
    this.nextSubject = this.nextLabel = null
  }

  /** The session is over, as the store says: it reads as empty from now on. Work that waits for a commit is lost, and the commit says so. */
  over (why: SessionOverError['why']): void {
    if (this.phase !== 'live') return
    const { route } = this.context
    const error = this.isDirty ? why === 'renewed' ? new SessionRenewedError(route) : new SessionGoneError(route) : undefined
    this.phase = why === 'renewed' ? 'renewed' : 'gone'
    this.opened(undefined, undefined)
    this.lost = error
  }

  /** The session that the store has: this one, or the one that it replaces at its first commit. */
  get stored (): Identity | undefined {
    return this.identity ?? this.replaced
  }

  /** The ids that the store has the session under, before and after its next commit. */
  get ids (): string[] {
    const { stored } = this
    const ids = stored === undefined ? [] : [stored.id]
    return this.nextToken === undefined ? ids : [...ids, idOf(this.nextToken)]
  }

  get isDirty (): boolean {
    if (this.isEnded) return this.identity !== undefined
    return this.draft.isDirty || this.nextSubject !== undefined || this.nextLabel !== undefined || this.replaced !== undefined || (this.identity !== undefined && (this.nextToken !== undefined || this.isTtlChanged))
  }

  /** The expiry that a use at this moment leads to. */
  expiryAfterUse (now: number): number | null {
    const { record } = this
    const begins = record === undefined || (!record.deleteSession && this.draft.isEmpty)
    return expiryAfterUse(now, begins ? now : record.dataSince, this.lifetime)
  }

  /** The expiry to write; `undefined` if it stays as it is. */
  slide (now: number, changesData: boolean): number | null | undefined {
    const record = this.record as SessionRecord
    const expiry = this.expiryAfterUse(now)
    if (!record.deleteSession) {
      // An emptied session has no expiry, and needs none until it has data.
      if (this.draft.isEmpty && !changesData) return undefined
      if (changesData) return expiry
    }
    return this.mustSlide || this.isTtlChanged || isSlideDue(record, expiry, this.lifetime.ttl, now) ? expiry : undefined
  }

  /**
   * Sends the token where it or its expiry has changed. That of a session that never expires is sent at every use: nothing
   * else would renew its cookie, and browsers drop every cookie after 400 days.
   *
   * @param expiresAt milliseconds since the epoch; `null`: never
   */
  sendToken (token: string, expiresAt: number | null): void {
    const { reply } = this.context
    if (reply === undefined || this.degradedBy !== undefined || this.isAnnounced || this.isSuperseded || !this.context.canSendHeaders) return
    // A session that outlives its data keeps its token too.
    const isDeleted = this.record?.deleteSession ?? this.settings.deleteSession
    this.isTokenSent = true
    const transport: TokenTransport & Partial<CookieTransport> = this.settings.transport
    const persistent = this.persistent ?? (this.isPresented ? transport.isPersistent?.(reply.request) : undefined)
    transport.write(reply, token, isDeleted ? expiresAt : null, persistent)
  }

  clearToken (): void {
    const { reply } = this.context
    if (reply !== undefined && this.context.canSendHeaders && this.degradedBy === undefined && !this.isAnnounced) this.settings.transport.write(reply, undefined, null)
  }

  /** Sends the client now the token that `save` will make after the headers. */
  announce (): void {
    if (this.phase === 'ended') {
      this.clearToken()
    } else if (this.identity === undefined) {
      if (!this.isDirty) return // a later change cannot be announced, and is not saved
      this.sendToken(this.token, this.expiryAfterUse(Date.now()))
    } else {
      const expiresAt = this.slide(Date.now(), this.draft.isDirty)
      const stored = this.record?.expiresAt ?? null
      if (this.nextToken !== undefined || expiresAt !== undefined || stored === null) this.sendToken(this.token, expiresAt === undefined ? stored : expiresAt)
    }
    this.isAnnounced = true
  }

  /** True where work was asked for that a visitor who is anonymous for a failure cannot have. */
  get isWorkLost (): boolean {
    return this.degradedBy !== undefined && (this.isEnded || this.isTtlChanged || this.isDirty)
  }

  /** Goes on without a session where the route's visitors may be anonymous; throws the error elsewhere. */
  degrade (error: unknown): void {
    if (this.settings.onStoreError === 'fail') throw error
    this.degradedBy = error
  }

  /** A text that is parsed at its first use may turn out to be damaged. */
  degradeIfDamaged (error: unknown): void {
    if (!(error instanceof RecordError)) throw error
    this.degrade(error)
    const { log, route } = this.context
    log?.error({ err: error, route }, 'the session cannot be read: the visitor is anonymous')
    this.opened(undefined, undefined)
  }

  /** Omits the token and the values: logs show states with the promises and scopes that lead to them. */
  toJSON (): object {
    return { phase: this.phase }
  }

  [inspect.custom] (_depth: number, options: object): string {
    return `a session's state ${inspect(this.toJSON(), options)}`
  }

  /** Logs a warning: of changes that were not kept, or of a token that cannot reach the client. */
  warn (problem: string): void {
    const { log, route } = this.context
    report(log, 'warn', { route }, `${route}: ${problem}`)
  }
}
