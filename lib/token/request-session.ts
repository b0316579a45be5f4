import { inspect } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { channels, report, type SessionEvent } from '../core/events.js'
import { pulseInterval } from '../core/open-sessions.js'
import type { OpenContext, OpenSession, SessionOpener } from '../core/provider.js'
import { RecordError, SessionDataError, SessionNotFreshError, SessionRenewedError, SessionRequiredError } from '../errors.js'
import type { SessionRecord, SessionStore, Successor } from '../stores/store.js'
import { attempt, nothing } from '../util/maybe-promise.js'
import type { Checked } from '../util/option-rules.js'
import { newChange, requireInterface } from '../stores/contract-helpers.js'
import { storeFailure } from './call-store.js'
import { save } from './persistence.js'
import { isPastMaxAge } from './expiry.js'
import type { TokenCallOptions, TokenRouteOptions } from './options.js'
import { tellOfUnknownToken } from './pitfalls.js'
import { SessionState, signals } from './session-state.js'
import type { Identity, SessionContext, SessionSettings } from './settings.js'
import { closeAtEnd } from './signal.js'
import { TokenSession } from './session.js'
import { idOf } from './tokens.js'
import type { CookieTransport } from './transport/cookie-transport.js'
import type { PlacedTransport, TokenTransport } from './transport/transport.js'
import { kLoading, StandIn, unloadedPrototype, type Unloaded } from './unloaded.js'

/** Opens the sessions of one route, or (with a token) of one call outside of a request. */
export function requestSessions (settings: SessionSettings, early: boolean, { token, required, fresh }: RouteConditions): SessionOpener<Promise<TokenSession>> {
  const isConditional = required === true || fresh !== undefined
  if (isConditional) requireInterface('subjects', settings.store, 'a route with required or fresh')
  return {
    early,
    ...isConditional && { admit: (context: OpenContext, session: TokenSession) => admit(context, session, required === true, fresh) },
    open: (context) => new RequestSession(settings, context, token),
    standIn: (open) => new StandIn(open),
  }
}

type RouteConditions = Checked<Pick<TokenRouteOptions, 'required' | 'fresh'> & Pick<TokenCallOptions, 'token'>>

/**
 * Admits a request by its session. If the session is unknown, since the store has failed or the token was just replaced, the request
 * is not told to log in: it gets that error.
 */
function admit ({ route }: OpenContext, session: TokenSession, required: boolean, fresh: number | undefined): void {
  const freshAt = session.freshAt?.getTime()
  const { degradedBy, phase } = TokenSession.stateOf(session)
  if (degradedBy !== undefined) throw degradedBy
  if (phase === 'renewed') throw new SessionRenewedError(route)
  if (required && freshAt === undefined) throw new SessionRequiredError(route)
  if (fresh !== undefined && (freshAt === undefined || freshAt + fresh * 1000 < Date.now())) throw new SessionNotFreshError(route, fresh)
}

/** A token session within one scope: read at first use, saved at commit. It holds nothing between the two. */
class RequestSession extends SessionState implements OpenSession<Promise<TokenSession>> {
  readonly readableAfterEnd = true
  readonly isIdle = true
  readonly session: Promise<TokenSession>
  /** The user's view, once the session is loaded. */
  loaded: TokenSession | undefined = undefined
  failedBy: unknown = undefined
  /** The work that the request's commit failed to save. */
  private unsaved: string | undefined = undefined
  /** The token that a call outside of a request has requested, unless it has a session. */
  private unknown: string | undefined

  constructor (settings: SessionSettings, context: OpenContext, token?: string) {
    super(settings, context)
    this.unknown = token
    const given = context.request === undefined ? token : settings.transport.read(context.request)
    const session = typeof given === 'string' && settings.tokens.valid(given) ? this.read(given) : this.readOneOf(context.request)
    this.session = Object.setPrototypeOf(session, unloadedPrototype) as Promise<TokenSession>
    ;(this.session as Promise<TokenSession> & Unloaded)[kLoading] = this
  }

  beforeHeaders (commitFollows: boolean): void {
    if (this.isTokenSent) this.protect()
    if (commitFollows && this.loaded !== undefined) this.announce()
  }

  commit (): Promise<void> | undefined {
    // A session that could not be loaded was reported to its user.
    if (this.loaded === undefined) return this.session.then(() => this.commit(), nothing)
    if (this.isTokenSent) this.protect()
    try {
      return save(this)?.catch((error: unknown) => this.saveFailed(error))
    } catch (error) {
      this.saveFailed(error)
      return undefined
    }
  }

  pulse (): void {
    if (this.loaded !== undefined) this.keepAlive()
  }

  close (): void {
    if (this.isSaved && this.degradedBy === undefined && !this.isUnheard && this.isDirty) {
      this.warn('the session was changed after it was saved, and the change was lost. Call commit() after the last change.')
    } else if (!this.isSaved && this.unsaved !== undefined && this.unsaved !== this.pendingWork()) {
      this.warn('the session was changed after its commit had failed, and the change was lost. Call commit() after the last change.')
    }
    if (this.unknown !== undefined && this.isSaved && this.identity !== undefined) tellOfUnknownToken(this)
    this.phase = 'closed'
    signals.get(this)?.release()
  }

  private read (token: string): Promise<TokenSession> {
    const identity = { token, id: idOf(token) }
    try {
      const record = this.settings.store.load(identity.id)
      if (record === undefined || !('then' in record)) return Promise.resolve(this.take(identity, record))
      if (this.settings.data !== undefined) return record.then((record) => this.take(identity, record)).catch((error: unknown) => this.storeFailed(error))
      return record.then((record) => this.take(identity, record), (error: unknown) => this.storeFailed(error))
    } catch (error) {
      return Promise.resolve(error).then((error: unknown) => this.storeFailed(error))
    }
  }

  /**
   * Reads the session of a request without one valid token. Of several cookies of one name, which a change of the cookie's
   * domain leaves behind, at most one is a live session: that one is taken. Of two live ones neither is taken, since one of them may
   * have been planted by another site.
   */
  private readOneOf (request: FastifyRequest | undefined): Promise<TokenSession> {
    const { transport, tokens } = this.settings
    const given = (request !== undefined && (transport as Partial<CookieTransport>).readAll?.(request)) || []
    const candidates = [...new Set(given)].filter((token) => tokens.valid(token)).slice(0, maxCandidates)
    if (candidates.length === 0 && this.settings.data === undefined) return Promise.resolve(this.take(undefined, undefined))
    return this.readCandidates(candidates).catch((error: unknown) => this.storeFailed(error))
  }

  private async readCandidates (tokens: readonly string[]): Promise<TokenSession> {
    const found = await Promise.all(tokens.map(async (token) => {
      const identity = { token, id: idOf(token) }
      return { identity, record: await this.settings.store.load(identity.id) }
    }))
    const [first, second] = found.filter(({ record }) => record !== undefined && !('successor' in record) && !(record.deleteSession && isPastMaxAge(record, this.settings.lifetime)))
    if (tokens.length > 0) warnOfCandidates(this.settings, this.context, tokens.length)
    if (second !== undefined) return this.take(undefined, undefined)
    const { identity, record } = first ?? found.find(({ record }) => record !== undefined && 'successor' in record) ?? {}
    return this.take(identity, record)
  }

  /** Handles the answer of the store: without a record the session is new. */
  private take (identity: Identity | undefined, record: SessionRecord | Successor | undefined): TokenSession {
    const isOutdated = record !== undefined && 'dataSince' in record && isPastMaxAge(record, this.settings.lifetime)
    if (record !== undefined && 'successor' in record) {
      this.phase = 'renewed'
      this.opened(undefined, undefined)
    } else if (record !== undefined && !(record.deleteSession && isOutdated)) {
      try {
        this.opened(identity, record, isOutdated)
      } catch (error) {
        this.openFresh(error)
      }
      this.unknown = undefined
      // A use that may not be committed does not slide the expiry by itself.
      if (record.expiresAt !== null && record.expiresAt - Date.now() < keptAliveWithin && !this.context.isConditional) this.keepAlive()
    } else {
      if (identity !== undefined) this.publish(channels.expire)
      this.opened(undefined, undefined)
    }
    if (outages.size > 0 && this.degradedBy === undefined && identity !== undefined) noteRecovery(this.settings, this.context)
    const session = new TokenSession(this)
    this.loaded = session
    const raw: FastifyRequest['raw'] & { readonly upgrade?: boolean | null } | undefined = this.context.request?.raw
    if (raw?.upgrade && this.identity !== undefined) closeAtEnd(this, raw.socket)
    return session
  }

  /**
   * Slides the expiry of a session that would soon expire under its request: one that was used in time lives on. Its cookie is
   * sent by the commit.
   */
  private keepAlive (): void {
    const { identity, record, phase } = this
    const now = Date.now()
    if (identity === undefined || record === undefined || phase !== 'live' || record.expiresAt === null || record.expiresAt - now >= keptAliveWithin) return
    if (!record.deleteSession && this.draft.base.size === 0) return // there is no data to keep
    const expiresAt = this.expiryAfterUse(now)
    if (expiresAt !== null && expiresAt <= record.expiresAt) return
    const change = newChange({ expiresAt, usedAt: now, generation: record.generation, from: record })
    this.mustSlide = true
    this.isReadOnly = false
    // If this fails or comes too late, the commit reports it.
    attempt(() => this.settings.store.commit(identity.id, change), ({ status }) => { if (status === 'committed') Object.assign(record, { expiresAt, usedAt: now }) }, nothing)
  }

  /** All that waits to be saved, as a text to compare. */
  private pendingWork (): string {
    const { draft, ttl, nextToken, nextSubject, nextLabel, isEnded } = this
    try {
      return inspect([draft.texts(), ttl, nextToken, nextSubject, nextLabel, isEnded], { maxArrayLength: null, maxStringLength: null })
    } catch {
      return 'a value that JSON does not keep'
    }
  }

  private publish (channel: typeof channels.expire, error?: unknown): void {
    const { name, route } = this.context as OpenContext
    if (channel.hasSubscribers) channel.publish({ name, kind: 'token', route, ...error !== undefined && { error } } satisfies SessionEvent)
  }

  /** The stored data do not fit: continues with a new session, if `onInvalid` is 'fresh'. The stored one stays unchanged. */
  private openFresh (error: unknown): void {
    const { settings: { data }, context: { log, route } } = this
    if (data === undefined || !(error instanceof SessionDataError)) throw error
    this.publish(channels.invalidData, error)
    if (data.onInvalid === 'fail') throw error
    data.tell(error, log, route)
    this.opened(undefined, undefined)
  }

  /** A token may have been sent by `commit()` in the handler, before the reply's headers and status were final. */
  private protect (): void {
    const { reply } = this.context
    if (reply !== undefined && this.context.canSendHeaders) (this.settings.transport as Partial<PlacedTransport>).protect?.(reply)
  }

  /** @throws the store's error, unless the route's visitors are anonymous then */
  private storeFailed (error: unknown): TokenSession {
    this.session.catch(nothing) // a handler that does not wait for it has not failed
    const failure = storeFailure(error)
    if (failure instanceof SessionDataError) {
      this.failedBy = failure
      throw failure
    }
    if (this.settings.onStoreError === 'fail') this.failedBy = failure
    this.degrade(failure)
    noteFailure(this.settings, this.context, failure)
    return this.take(undefined, undefined)
  }

  /** If visitors may be anonymous, a failed write of the expiry alone is only logged. */
  private saveFailed (err: unknown): void {
    if (this.settings.onStoreError === 'fail' || this.isDirty || this.isWorkLost) {
      this.unsaved = this.pendingWork()
      throw err
    }
    const { log, route } = this.context
    log?.error({ err, route }, 'the expiry of the session could not be written')
  }
}

/** The stores that cannot be read, since when, and for how many visitors so far. */
const outages = new Map<SessionStore, { readonly since: number, visitors: number }>()

/** Logs the start of an outage once: every request would log the same. A damaged record is no outage, and is always logged. */
function noteFailure ({ store }: SessionSettings, { log, route }: SessionContext, error: Error): void {
  const outage = outages.get(store)
  if (outage !== undefined && !(error instanceof RecordError)) {
    outage.visitors++
    return
  }
  if (!(error instanceof RecordError)) outages.set(store, { since: Date.now(), visitors: 1 })
  log?.error({ err: error, route }, 'the session cannot be read: the visitor is anonymous')
}

function noteRecovery ({ store }: SessionSettings, { log, route }: SessionContext): void {
  const outage = outages.get(store)
  if (outage === undefined) return
  outages.delete(store)
  log?.warn({ route, visitors: outage.visitors, milliseconds: Date.now() - outage.since }, 'sessions can be read again: visitors were anonymous meanwhile')
}

/** Remaining milliseconds below which a session is kept alive: enough for the next pulse to come late. */
const keptAliveWithin = 2.5 * pulseInterval
/** Maximum number of cookies of one name that are looked up. */
const maxCandidates = 4
const warned = new WeakSet<TokenTransport>()

/** Logged once, since every request of such a visitor has the same cookies. */
function warnOfCandidates ({ transport }: SessionSettings, { log, route }: SessionContext, count: number): void {
  if (warned.has(transport)) return
  warned.add(transport)
  const { place = 'token' } = transport as Partial<PlacedTransport>
  report(log, 'warn', { route }, `a browser sends ${count} tokens for the ${place}: the cookie's domain or path was changed, or another app of the domain ` +
    'sets a cookie of this name. The one that belongs to a session is used. Choose a name that no other app has.')
}
