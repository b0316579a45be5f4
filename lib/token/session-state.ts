import {
  NotANumberError, OutcomeUnknownError, RecordError, SessionClosedError, SessionEndedError, SessionGoneError, SharedTokenError,
  StoreUnavailableError, UpdateConflictError,
} from '../errors.js'
import { show } from '../util/option-rules.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import { requireInterface } from '../stores/require-interface.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore } from '../stores/store.js'
import { Draft, noChange, type Sent } from './draft.js'
import { deadline, isWorthWriting, type Lifetime } from './expiry.js'
import { checkName } from './names.js'
import { ask } from './ask-store.js'
import { idOf, renewedToken, type TokenKind } from './tokens.js'

/** Where a provider's sessions live, and how long. */
export interface SessionHome {
  readonly store: SessionStore
  readonly tokens: TokenKind
  readonly lifetime: Lifetime
  /** Whether the session outlives its data. */
  readonly deleteSession: boolean
}

/** Whom a session belongs to: the client of a request, who has to learn of its token, or a piece of code. */
export interface SessionOwner {
  /** For errors: the route, or the call. */
  readonly route: string
  /** Whether the store failed and the visitor is anonymous for it: nothing is saved, and the client keeps what it has. */
  readonly cutOff: boolean
  /** Whether the token can still be told: the headers are not out yet. */
  readonly reachable: boolean
  /** @param expiresAt milliseconds since the epoch; `null`: never */
  tell (token: string, expiresAt: number | null): void
  /** Takes the token away. */
  forget (): void
  /** Changes were not kept, or the client cannot learn of its token. */
  warn (problem: string): void
  /** A value turned out to be damaged. Throws the error again, or says from now on that the visitor is cut off. */
  cutOffFor (error: unknown): void
}

/** What a session that the store has is known by: to the client, and to the store. */
export interface Identity {
  readonly token: string
  readonly id: string
}

/** An update that is beaten this often gives up. */
const maxTries = 1000
/** So many new tokens that are taken are no coincidence. */
const maxTokens = 3

/**
 * The life of a session as one request (or one piece of code) knows it: what it is beside its data, when it expires,
 * and how it is saved. `TokenSession` is what its user sees of it.
 */
export class SessionLife {
  readonly home: SessionHome
  readonly owner: SessionOwner
  draft: Draft
  record: SessionRecord | undefined
  identity: Identity | undefined
  /** The token that the session gets at commit. */
  #next: string | undefined
  #ttl: number | null | undefined
  /** The subject that the session gets at commit; `null`: none. */
  #subject: string | null | undefined
  #mustSlide = false
  #ttlChanged = false
  #announced = false
  /** The save whose answer was lost: whether it was applied is unknown, and it must not be applied twice. */
  #lost: unknown
  #state: 'live' | 'ended' | 'closed' = 'live'
  #saving: Promise<void> | undefined

  constructor (home: SessionHome, owner: SessionOwner, identity?: Identity, record?: SessionRecord) {
    this.home = home
    this.owner = owner
    this.identity = identity
    this.record = record
    this.#ttl = record?.ttl
    this.draft = new Draft(record?.fields)
  }

  /** @throws SessionEndedError (`FST_SESSION_ENDED`), SessionClosedError (`FST_SESSION_CLOSED`) */
  use (): void {
    if (this.#state === 'ended') throw new SessionEndedError()
    if (this.#state === 'closed') throw new SessionClosedError('The session', this.owner.route)
  }

  /** @throws SessionClosedError (`FST_SESSION_CLOSED`) */
  refuseIfClosed (): void {
    if (this.#state === 'closed') this.use()
  }

  get token (): string {
    return this.#next ?? this.identity?.token ?? (this.#next = this.home.tokens.create())
  }

  get subject (): string | undefined {
    return this.#subject === undefined ? this.record?.subject : this.#subject ?? undefined
  }

  set subject (subject: string | undefined) {
    requireInterface('subjects', this.home.store, 'session.subject')
    this.#subject = subject === undefined ? null : checkName('session.subject', subject)
  }

  get lifetime (): Lifetime {
    const { lifetime } = this.home
    const maxAge = this.record?.maxAge
    if (this.#ttl === undefined && maxAge === undefined) return lifetime
    return { ttl: this.#ttl === undefined ? lifetime.ttl : this.#ttl, maxAge: maxAge === undefined ? lifetime.maxAge : maxAge }
  }

  /** Milliseconds since the epoch; `null`: never. */
  get expiresAt (): number | null {
    const stored = this.record?.expiresAt
    return stored === undefined || this.#mustSlide ? this.#target(Date.now()) : stored
  }

  /** @param ttl seconds; `null`: never */
  expire (ttl: number | null): void {
    this.#ttl = ttl
    this.#ttlChanged = this.#mustSlide = true
  }

  touch (): void {
    this.#mustSlide = true
  }

  renew (): void {
    if (this.record?.generation !== undefined) throw new SharedTokenError()
    if (!this.owner.reachable) throw new SessionClosedError('renew()', this.owner.route)
    if (this.identity !== undefined) this.#next = renewedToken(this.home.tokens, this.identity.token)
    this.#mustSlide = true
  }

  end (): void {
    this.#state = 'ended'
  }

  close (): void {
    this.#state = 'closed'
  }

  /** The ids that the store has the session under, before and after its next commit. */
  get ids (): string[] {
    const ids = this.identity === undefined ? [] : [this.identity.id]
    return this.#next === undefined ? ids : [...ids, this.#identify(this.#next).id]
  }

  get isDirty (): boolean {
    if (this.#state === 'ended') return this.identity !== undefined
    return this.draft.isDirty || this.#subject !== undefined || (this.identity !== undefined && (this.#next !== undefined || this.#ttlChanged))
  }

  /** Tells the client now what `save` will make of the session after the headers. */
  announce (): void {
    if (this.#state === 'ended') {
      this.owner.forget()
    } else if (this.identity === undefined) {
      if (!this.isDirty) return // what is changed later cannot be told, and is not saved
      this.#tell(this.token, this.#target(Date.now()))
    } else {
      const expiresAt = this.#slide(Date.now(), this.draft.isDirty)
      const stored = this.record?.expiresAt ?? null
      if (this.#next !== undefined || expiresAt !== undefined) this.#tell(this.token, expiresAt === undefined ? stored : expiresAt)
    }
    this.#announced = true
  }

  /** Saves; answers at once if the store does. One after the other: what an earlier save has sent must not be sent again. */
  save (): MaybePromise<void> {
    if (this.#saving !== undefined) {
      const again = (): MaybePromise<void> => this.save()
      return this.#saving.then(again, again)
    }
    if (this.owner.cutOff) return this.#drop()
    if (this.#lost !== undefined && this.#state !== 'ended') throw this.#lost
    const saved = this.#saveNow(0)
    if (!isPromise(saved)) return saved
    this.#saving = saved.then(() => { this.#saving = undefined }, (error: unknown) => {
      this.#saving = undefined
      if (error instanceof OutcomeUnknownError) this.#lost = error
      throw error
    })
    return this.#saving
  }

  async reload (): Promise<void> {
    await this.#saving?.catch(nothing)
    const { store } = this.home
    const id = this.identity?.id
    const record = id === undefined ? undefined : await ask(() => store.load(id), (record) => record)
    if (id !== undefined && (record === undefined || record.generation !== this.record?.generation)) throw new SessionGoneError(this.owner.route)
    this.#restart(record)
  }

  /** A text that was parsed at its first use may turn out to be damaged. Goes on without a session where that is allowed. */
  unreadable (error: unknown): void {
    if (!(error instanceof RecordError)) throw error
    this.owner.cutOffFor(error)
    this.identity = undefined
    this.#restart(undefined)
  }

  #restart (record: SessionRecord | undefined): void {
    this.draft = new Draft(record?.fields)
    this.record = record
    this.#ttl = record?.ttl
    this.#next = this.#subject = this.#lost = undefined
    this.#ttlChanged = this.#mustSlide = false
  }

  #identify (token: string): Identity {
    return { token, id: idOf(token) }
  }

  /** Where a use at this moment puts the expiry. */
  #target (now: number): number | null {
    const target = deadline(now, this.record?.createdAt ?? now, this.lifetime)
    // What outlives its data begins its life anew once the data has expired.
    return target !== null && target <= now && this.record?.deleteSession === false ? deadline(now, now, this.lifetime) : target
  }

  /** The new expiry; `undefined` if it stays as it is. */
  #slide (now: number, changes: boolean): number | null | undefined {
    const record = this.record as SessionRecord
    const target = this.#target(now)
    // An emptied session has no expiry, and needs none until it has data.
    if (!record.deleteSession && record.expiresAt === null && !changes) return undefined
    const forced = this.#mustSlide || this.#ttlChanged || (!record.deleteSession && changes)
    return forced || isWorthWriting(record.expiresAt, target, this.lifetime.ttl) ? target : undefined
  }

  #drop (): void {
    if (this.isDirty) this.owner.warn('the session was changed, and not saved: its store had failed, and the visitor is anonymous.')
  }

  #saveNow (tries: number): MaybePromise<void> {
    if (this.identity === undefined) return this.#state === 'ended' ? this.#ended() : this.#create()
    const { id } = this.identity
    const { store } = this.home
    if (this.#state === 'ended') return ask(() => store.end(id, this.record?.generation), () => this.#ended())
    const now = Date.now()
    const sent = this.draft.toSend()
    const expiresAt = this.#slide(now, sent !== undefined)
    const subject = this.#subject
    if (sent === undefined && expiresAt === undefined && this.#next === undefined && subject === undefined) return
    const { expect, clear, set, remove, increment } = sent?.change ?? noChange
    const ttl = this.#ttlChanged ? this.#ttl : undefined
    const generation = this.record?.generation
    const change: SessionChange = { expect, clear, set, remove, increment, expiresAt, ttl, subject, generation }
    const renewed = this.#next === undefined ? undefined : this.#identify(this.#next)
    return ask(() => renewed === undefined ? store.commit(id, change) : store.renew(id, renewed.id, change),
      (result) => this.#saved(result, change, sent, renewed, tries))
  }

  #create (tokens = 1): MaybePromise<void> {
    const { store, deleteSession } = this.home
    const sent = this.draft.toSend()
    const fields = this.draft.texts()
    const said = this.#subject
    const subject = said ?? undefined
    if (fields.size === 0 && subject === undefined) return
    if (!this.owner.reachable && !this.#announced) {
      this.owner.warn('a new session was changed after the headers were sent, so that the client cannot learn of its token: it was not saved. Call commit() before the headers leave.')
      return
    }
    const now = Date.now()
    const record: SessionRecord = {
      fields, createdAt: now, expiresAt: this.#target(now), ttl: this.#ttl, deleteSession, name: undefined, generation: undefined, maxAge: undefined, subject,
    }
    const identity = this.#identify(this.token)
    return ask(() => store.create(identity.id, record), (created) => {
      this.#next = undefined
      if (!created) return this.#createElsewhere(tokens)
      if (sent !== undefined) this.draft.created(sent, fields)
      this.identity = identity
      this.record = record
      this.#tell(identity.token, record.expiresAt)
      this.#saidSubject(said)
      this.#saidTtl(record.ttl)
    })
  }

  /** The id is taken: by a rare chance, or by this very session, if a client library sent the command a second time. */
  #createElsewhere (tokens: number): MaybePromise<void> {
    if (this.#announced || tokens === maxTokens) throw new StoreUnavailableError('the id of a new session is taken')
    return this.#create(tokens + 1)
  }

  #saved (result: CommitResult, change: SessionChange, sent: Sent | undefined, renewed: Identity | undefined, tries: number): MaybePromise<void> {
    switch (result.status) {
      case 'not-a-number':
        throw new NotANumberError(show(result.key), 'another request has put something else there than a whole number.')
      case 'missing':
        return this.#gone(sent !== undefined || renewed !== undefined || this.#ttlChanged || change.subject !== undefined)
      case 'conflict':
        if (tries === maxTries) throw new UpdateConflictError([...result.current.keys()].map(show).join(', '), tries)
        this.draft.rebase(result.current)
        return this.#saveNow(tries + 1)
      case 'committed': {
        const record = this.record as SessionRecord
        const identity = renewed ?? this.identity as Identity
        if (sent !== undefined) this.draft.sent(sent, result.increments)
        if (change.expiresAt !== undefined) record.expiresAt = change.expiresAt
        if (change.ttl !== undefined) record.ttl = change.ttl
        if (change.subject !== undefined) this.#saidSubject(change.subject)
        this.identity = identity
        if (renewed !== undefined || change.expiresAt !== undefined) this.#tell(identity.token, record.expiresAt)
        if (this.#next === renewed?.token) this.#next = undefined
        this.#saidTtl(change.ttl)
      }
    }
  }

  #saidSubject (subject: string | null | undefined): void {
    (this.record as SessionRecord).subject = subject ?? undefined
    if (this.#subject === subject) this.#subject = undefined
  }

  /** What `expire()` was told while this was being saved stays to be saved. */
  #saidTtl (ttl: number | null | undefined): void {
    this.#mustSlide = false
    if (this.#ttl === ttl) this.#ttlChanged = false
  }

  /** The session is no longer in the store. That matters only if there was something to save. */
  #gone (changed: boolean): void {
    if (changed) throw new SessionGoneError(this.owner.route)
  }

  #ended (): void {
    this.identity = undefined
    if (!this.#announced) this.owner.forget()
  }

  #tell (token: string, expiresAt: number | null): void {
    // A session that outlives its data keeps its token too.
    if (this.owner.reachable && !this.#announced) this.owner.tell(token, this.record?.deleteSession ?? this.home.deleteSession ? expiresAt : null)
  }
}
