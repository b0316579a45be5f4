import { RecordError, SessionClosedError, SessionEndedError, SharedTokenError } from '../errors.js'
import type { OpenContext } from '../core/provider.js'
import { requireInterface } from '../stores/contract-helpers.js'
import type { SessionRecord, SessionStore } from '../stores/store.js'
import { report } from '../core/events.js'
import { Draft } from './draft.js'
import { expiryAfterUse, isSlideDue, lifetimeOf, type Lifetime } from './expiry.js'
import { checkName } from './values.js'
import { idOf, renewedToken, type TokenKind } from './tokens.js'
import type { TokenTransport } from './transport.js'

/** The store of a provider's sessions, their tokens and their limits. */
export interface SessionSettings {
  readonly store: SessionStore
  readonly tokens: TokenKind
  readonly lifetime: Lifetime
  /** False where a session outlives its data. */
  readonly deleteSession: boolean
  readonly transport: TokenTransport
  readonly onStoreError: 'fail' | 'anonymous'
}

/** The request, or the call outside of one, that a session is used in. */
export type SessionContext = Pick<OpenContext, 'route' | 'request' | 'reply' | 'log'>

/** A stored session's token and id. */
export interface Identity {
  readonly token: string
  readonly id: string
}

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
  /** The token that the session gets at commit. */
  nextToken: string | undefined = undefined
  /** The session's own idle time, in seconds; `null`: never; `undefined`: the route's counts. */
  ttl: number | null | undefined
  isTtlChanged = false
  /** The lifetime that counts: the session's own, else the route's, else the plugin's. */
  lifetime!: Lifetime
  /** The subject that the session gets at commit; `null`: none; `undefined`: as it is. */
  nextSubject: string | null | undefined = undefined
  mustSlide = false
  /** True once the token was sent before a commit that comes after the headers. */
  isAnnounced = false
  /** True once a token was written into the reply's headers. */
  isTokenSent = false
  /** True where the store has failed and the visitor is anonymous for it: nothing is saved, and the client keeps its token. */
  isDegraded = false
  phase: 'live' | 'ended' | 'closed' = 'live'
  isEnded = false
  saving: Promise<void> | undefined = undefined
  /** The error of a save whose answer was lost: it may have been applied, and must not be applied twice. */
  lost: unknown = undefined
  /** True if the last save has succeeded. */
  isSaved = false

  constructor (settings: SessionSettings, context: SessionContext) {
    this.settings = settings
    this.context = context
  }

  /** Takes the store's record (none: a new session) and drops all changes that wait for a commit. */
  opened (identity: Identity | undefined, record: SessionRecord | undefined): this {
    this.identity = identity
    this.draft = new Draft(record?.fields)
    this.record = record
    this.ttl = record?.ttl
    this.lifetime = record === undefined ? this.settings.lifetime : lifetimeOf(record, this.settings.lifetime)
    this.nextToken = this.nextSubject = this.lost = undefined
    this.isTtlChanged = this.mustSlide = false
    return this
  }

  /** @throws SessionEndedError (`FST_SESSION_ENDED`), SessionClosedError (`FST_SESSION_CLOSED`) */
  refuseWrites (): void {
    if (this.phase === 'live') return
    throw this.phase === 'ended' ? new SessionEndedError() : new SessionClosedError('The session', this.context.route)
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

  /** The expiry after this request's commit, in milliseconds since the epoch; `null`: never. */
  get expiresAt (): number | null {
    const now = Date.now()
    if (this.record === undefined) return this.expiryAfterUse(now)
    const slid = this.slide(now, this.draft.isDirty)
    return slid === undefined ? this.record.expiresAt : slid
  }

  /** @param ttl seconds; `null`: never */
  expire (ttl: number | null): void {
    this.ttl = ttl
    this.lifetime = { ttl, maxAge: this.lifetime.maxAge }
    this.isTtlChanged = this.mustSlide = true
  }

  renew (): void {
    if (this.record?.generation !== undefined) throw new SharedTokenError()
    if (!this.canSendToken) throw new SessionClosedError('renew()', this.context.route)
    if (this.identity !== undefined) this.nextToken = renewedToken(this.settings.tokens, this.identity.token)
    this.mustSlide = true
  }

  /** The session reads as empty from now on. */
  end (): void {
    if (this.phase !== 'live') return
    this.phase = 'ended'
    this.isEnded = true
    this.draft = new Draft()
    this.nextSubject = null
  }

  /** The ids that the store has the session under, before and after its next commit. */
  get ids (): string[] {
    const ids = this.identity === undefined ? [] : [this.identity.id]
    return this.nextToken === undefined ? ids : [...ids, idOf(this.nextToken)]
  }

  get isDirty (): boolean {
    if (this.isEnded) return this.identity !== undefined
    return this.draft.isDirty || this.nextSubject !== undefined || (this.identity !== undefined && (this.nextToken !== undefined || this.isTtlChanged))
  }

  /** The expiry that a use at this moment leads to. */
  expiryAfterUse (now: number): number | null {
    const { record, lifetime } = this
    const expiry = expiryAfterUse(now, record?.createdAt ?? now, lifetime)
    // With `deleteSession: false` a session whose data has expired is empty but alive: its next write starts a new life.
    return expiry !== null && expiry <= now && record?.deleteSession === false ? expiryAfterUse(now, now, lifetime) : expiry
  }

  /** The expiry to write; `undefined` if it stays as it is. */
  slide (now: number, changesData: boolean): number | null | undefined {
    const record = this.record as SessionRecord
    const expiry = this.expiryAfterUse(now)
    if (!record.deleteSession) {
      // An emptied session has no expiry, and needs none until it has data.
      if (record.expiresAt === null && !changesData) return undefined
      if (changesData) return expiry
    }
    return this.mustSlide || this.isTtlChanged || isSlideDue(record.expiresAt, expiry, this.lifetime.ttl) ? expiry : undefined
  }

  /** True while the client can still be sent a token: the headers are not out yet. */
  get canSendToken (): boolean {
    return this.context.reply?.raw.headersSent !== true
  }

  /** @param expiresAt milliseconds since the epoch; `null`: never */
  sendToken (token: string, expiresAt: number | null): void {
    const { reply } = this.context
    if (reply === undefined || this.isDegraded || this.isAnnounced || !this.canSendToken) return
    // A session that outlives its data keeps its token too.
    const isDeleted = this.record?.deleteSession ?? this.settings.deleteSession
    this.isTokenSent = true
    this.settings.transport.write(reply, token, isDeleted ? expiresAt : null)
  }

  clearToken (): void {
    const { reply } = this.context
    if (reply !== undefined && this.canSendToken && !this.isDegraded && !this.isAnnounced) this.settings.transport.write(reply, undefined, null)
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
      if (this.nextToken !== undefined || expiresAt !== undefined) this.sendToken(this.token, expiresAt === undefined ? stored : expiresAt)
    }
    this.isAnnounced = true
  }

  /** Goes on without a session where the route's visitors may be anonymous; throws the error elsewhere. */
  degrade (error: unknown): void {
    if (this.settings.onStoreError === 'fail') throw error
    this.isDegraded = true
    const { log, route } = this.context
    log?.error({ err: error, route }, 'the session cannot be read: the visitor is anonymous')
  }

  /** A text that is parsed at its first use may turn out to be damaged. */
  degradeIfDamaged (error: unknown): void {
    if (!(error instanceof RecordError)) throw error
    this.degrade(error)
    this.opened(undefined, undefined)
  }

  /** Logs a warning: of changes that were not kept, or of a token that cannot reach the client. */
  warn (problem: string): void {
    const { log, route } = this.context
    report(log, 'warn', { route }, `${route}: ${problem}`)
  }
}
