import { rules, show } from '../check.js'
import {
  NotANumberError, OptionError, OutcomeUnknownError, RecordError, SessionClosedError, SessionEndedError, SessionGoneError, SharedTokenError,
  StoreUnavailableError, UpdateConflictError,
} from '../errors.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { ableTo } from '../stores/abilities.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore } from '../stores/store.js'
import { Draft, noChange, type Sent } from './draft.js'
import { deadline, isWorthWriting, type Lifetime } from './expiry.js'
import { checkName } from './names.js'
import { ask } from './store-failure.js'
import { idOf, renewedToken, type TokenKind } from './token.js'

/** The data of a session whose user gave no type for it. */
export type SessionData = Record<string, unknown>

type Key<Data> = keyof Data & string
type Value<Data, K extends keyof Data> = Exclude<Data[K], undefined>
/** The keys whose values can be incremented. */
type NumberKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends number ? K : never }[Key<Data>]

/** The keys whose values are lists. */
type ListKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends readonly unknown[] ? K : never }[Key<Data>]
type Element<Data, K extends keyof Data> = unknown extends Data[K] ? unknown : Value<Data, K> extends ReadonlyArray<infer E> ? E : never

/** Where a provider's sessions live, and how long. */
export interface SessionHome {
  readonly store: SessionStore
  readonly tokens: TokenKind
  readonly lifetime: Lifetime
  /** Whether the session outlives its data. */
  readonly keep: boolean
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

/** What only the provider may do with a session. */
export let internals: {
  /** Saves; answers at once if the store does. */
  readonly save: (session: TokenSession) => MaybePromise<void>
  /** Tells the client now what `save` will make of the session after the headers. */
  readonly announce: (session: TokenSession) => void
  readonly close: (session: TokenSession) => void
  readonly isDirty: (session: TokenSession) => boolean
  /** The ids that the store has the session under, before and after its next commit. */
  readonly ids: (session: TokenSession) => string[]
}

/**
 * A user's session: a map of keys to JSON values, with a token. It is read and changed in memory; what changed is
 * saved at commit, in one atomic step. Values changed in place are noticed.
 *
 * Two requests that change different keys both win. `set` and `delete` of one key: the last one wins. `increment`
 * adds up, `update` is applied to the newest value.
 *
 * Every method throws `FST_SESSION_CLOSED` after the request's end and `FST_SESSION_ENDED` after `end()`.
 */
export class TokenSession<Data extends object = SessionData> {
  readonly #home: SessionHome
  readonly #owner: SessionOwner
  #draft: Draft
  #record: SessionRecord | undefined
  #identity: Identity | undefined
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

  static {
    internals = {
      save: (session) => session.#save(),
      announce: (session) => session.#announce(),
      close: (session) => { session.#state = 'closed' },
      isDirty: (session) => session.#isDirty,
      ids: (session) => session.#ids(),
    }
  }

  /** @internal Sessions come from a provider. */
  constructor (home: SessionHome, owner: SessionOwner, identity?: Identity, record?: SessionRecord) {
    this.#home = home
    this.#owner = owner
    this.#identity = identity
    this.#record = record
    this.#ttl = record?.ttl
    this.#draft = new Draft(record?.fields)
  }

  /** What the client holds. A new session has one from the start, which counts once it is saved. */
  get token (): string {
    this.#use()
    return this.#next ?? this.#identity?.token ?? (this.#next = this.#home.tokens.create())
  }

  /** What the session was named at its creation. */
  get name (): string | undefined {
    this.#use()
    return this.#record?.name
  }

  /** Whether its token follows from its name, so that any process can open it by that. */
  get shared (): boolean {
    this.#use()
    return this.#record?.incarnation !== undefined
  }

  /** Whom the session belongs to: a user's id, say. An index of each subject's sessions is kept, for `list` and `endAll`. */
  get subject (): string | undefined {
    this.#use()
    return this.#subject === undefined ? this.#record?.subject : this.#subject ?? undefined
  }

  /**
   * Counts from the commit on; `undefined`: nobody's.
   * @throws NameError (`FST_SESSION_NAME`) unless it is a text of 1 to 256 characters; StoreLacksError
   *   (`FST_SESSION_STORE_LACKS`) if the store keeps no index of subjects
   */
  set subject (subject: string | undefined) {
    this.#use()
    ableTo('subjects', this.#home.store, 'session.subject')
    this.#subject = subject === undefined ? null : checkName('session.subject', subject)
  }

  /** Whether the store does not have this session: nothing was ever saved in it. */
  get isNew (): boolean {
    this.#use()
    return this.#identity === undefined
  }

  /** When the session was saved first; now, for a new one. */
  get createdAt (): Date {
    this.#use()
    return new Date(this.#record?.createdAt ?? Date.now())
  }

  /** When the session expires unless it is used before; `null`: never. For a new one, when it would. */
  get expiresAt (): Date | null {
    this.#use()
    const stored = this.#record?.expiresAt
    const expiresAt = stored === undefined || this.#mustSlide ? this.#target(Date.now()) : stored
    return expiresAt === null ? null : new Date(expiresAt)
  }

  /** The idle time that counts, in seconds: the session's own, else the route's, else the plugin's; `null`: never. */
  get ttl (): number | null {
    this.#use()
    return this.#lifetime.ttl
  }

  /** How many keys there are. */
  get size (): number {
    this.#use()
    return this.#draft.size
  }

  get<K extends Key<Data>> (key: K): Data[K] | undefined {
    this.#use()
    try {
      return this.#draft.get(key) as Data[K] | undefined
    } catch (error) {
      this.#unreadable(error)
      return undefined
    }
  }

  has (key: Key<Data>): boolean {
    this.#use()
    return this.#draft.has(key)
  }

  /**
   * Sets a key; `undefined` deletes it.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`); nothing is changed then
   */
  set<K extends Key<Data>> (key: K, value: Data[K] | undefined): this {
    this.#use()
    if (value === undefined) this.#draft.delete(key)
    else this.#draft.set(key, value)
    return this
  }

  /** Sets a key only if it is absent, also at commit. Whether it was, as far as this request knows. */
  add<K extends Key<Data>> (key: K, value: Value<Data, K>): boolean {
    if (this.has(key)) return false
    this.update(key, (current) => current === undefined ? value : current)
    return true
  }

  /** Whether the key was there. */
  delete (key: Key<Data>): boolean {
    this.#use()
    return this.#draft.delete(key)
  }

  /** Deletes all keys, also those that other requests add before the commit. */
  clear (): void {
    this.#use()
    this.#draft.clear()
  }

  * keys (): Generator<Key<Data>, undefined> {
    this.#use()
    yield * this.#draft.keys() as Generator<Key<Data>, undefined>
  }

  * entries (): Generator<{ [K in Key<Data>]: [K, Value<Data, K>] }[Key<Data>], undefined> {
    for (const key of this.keys()) yield [key, this.get(key)] as [Key<Data>, Value<Data, Key<Data>>]
  }

  /** A copy of all data, as a plain object. */
  data (): Partial<Data> {
    return structuredClone(Object.fromEntries(this.entries())) as Partial<Data>
  }

  /**
   * Adds a whole number; an absent key counts as 0. Increments of parallel requests add up.
   * @returns the sum, as far as this request knows
   * @throws NotANumberError (`FST_SESSION_NOT_A_NUMBER`)
   */
  increment (key: NumberKey<Data>, by = 1): number {
    this.#use()
    try {
      return this.#draft.increment(key, by)
    } catch (error) {
      this.#unreadable(error)
      return this.#draft.increment(key, by)
    }
  }

  /**
   * Changes a value by a function of the present one. Applied at once, and again at commit to whatever others have
   * written meanwhile: the function may run more than once and must depend on its argument alone. `undefined`
   * deletes the key.
   * @returns the new value, as far as this request knows
   */
  update<K extends Key<Data>> (key: K, fn: (value: Value<Data, K> | undefined) => Value<Data, K> | undefined): Value<Data, K> | undefined {
    this.#use()
    const update = fn as (value: unknown) => unknown
    try {
      return this.#draft.update(key, update) as Value<Data, K> | undefined
    } catch (error) {
      this.#unreadable(error)
      return this.#draft.update(key, update) as Value<Data, K> | undefined
    }
  }

  /** Adds values to the end of a list, an absent one being empty. What parallel requests append is all kept. */
  append<K extends ListKey<Data>> (key: K, ...values: Array<Element<Data, K>>): void {
    this.update(key, ((list: unknown) => [...list as unknown[] | undefined ?? [], ...values]) as never)
  }

  /** The entries that fulfil a condition. */
  * find (condition: (value: Value<Data, Key<Data>>, key: Key<Data>) => boolean): ReturnType<TokenSession<Data>['entries']> {
    for (const entry of this.entries()) if (condition(entry[1], entry[0])) yield entry
  }

  /** Reads a key and deletes it: for what is shown once. */
  take<K extends Key<Data>> (key: K): Data[K] | undefined {
    const value = this.get(key)
    this.delete(key)
    return value
  }

  /**
   * Gives this session an idle time of its own, from now on, in seconds; `null`: never.
   * @throws OptionError (`FST_SESSION_OPTION`) unless it is a whole number from 1 to 2147483647, or null
   */
  expire (ttl: number | null): void {
    this.#use()
    if (!rules.seconds.test(ttl)) throw new OptionError('expire()', `ttl must be ${rules.seconds.allowed}; got ${show(ttl)}`)
    this.#ttl = ttl
    this.#ttlChanged = this.#mustSlide = true
  }

  /** Slides the expiry at commit, however little time has passed; use alone slides it at most once per tenth of the ttl. */
  touch (): void {
    this.#use()
    this.#mustSlide = true
  }

  /**
   * Gives the session a new token at commit, with the same data; the old one is unknown from then on. Do this at login.
   * @throws SharedTokenError (`FST_SESSION_SHARED_TOKEN`) for a shared session
   */
  renew (): void {
    this.#use()
    if (this.#record?.incarnation !== undefined) throw new SharedTokenError()
    if (!this.#owner.reachable) throw new SessionClosedError('renew()', this.#owner.route)
    if (this.#identity !== undefined) this.#next = renewedToken(this.#home.tokens, this.#identity.token)
    this.#mustSlide = true
  }

  /** Ends the session at commit: it and its data are deleted, and the client's token is cleared. */
  end (): void {
    this.#use()
    this.#state = 'ended'
  }

  /**
   * Saves now, and tells the client of its token if the headers are not out yet: before a reply is hijacked.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended, renewed or has expired meanwhile;
   * OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if the answer was lost, and again each time until `reload()`
   */
  async commit (): Promise<void> {
    if (this.#state === 'closed') this.#use()
    await this.#save()
  }

  /**
   * Drops what was changed and reads the session anew.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if it was ended, renewed or has expired meanwhile
   */
  async reload (): Promise<void> {
    this.#use()
    await this.#saving
    const { store } = this.#home
    const id = this.#identity?.id
    const record = id === undefined ? undefined : await ask(() => store.load(id), (record) => record)
    if (id !== undefined && (record === undefined || record.incarnation !== this.#record?.incarnation)) throw new SessionGoneError(this.#owner.route)
    this.#restart(record)
  }

  #restart (record: SessionRecord | undefined): void {
    this.#draft = new Draft(record?.fields)
    this.#record = record
    this.#ttl = record?.ttl
    this.#next = this.#subject = this.#lost = undefined
    this.#ttlChanged = this.#mustSlide = false
  }

  /** A text that was parsed at its first use may turn out to be damaged. Goes on without a session where that is allowed. */
  #unreadable (error: unknown): void {
    if (!(error instanceof RecordError)) throw error
    this.#owner.cutOffFor(error)
    this.#identity = undefined
    this.#restart(undefined)
  }

  #use (): void {
    if (this.#state === 'ended') throw new SessionEndedError()
    if (this.#state === 'closed') throw new SessionClosedError('The session', this.#owner.route)
  }

  #identify (token: string): Identity {
    return { token, id: idOf(token) }
  }

  get #lifetime (): Lifetime {
    const { lifetime } = this.#home
    const maxAge = this.#record?.maxAge
    if (this.#ttl === undefined && maxAge === undefined) return lifetime
    return { ttl: this.#ttl === undefined ? lifetime.ttl : this.#ttl, maxAge: maxAge === undefined ? lifetime.maxAge : maxAge }
  }

  #ids (): string[] {
    const ids = this.#identity === undefined ? [] : [this.#identity.id]
    return this.#next === undefined ? ids : [...ids, this.#identify(this.#next).id]
  }

  get #isDirty (): boolean {
    if (this.#state === 'ended') return this.#identity !== undefined
    return this.#draft.isDirty || this.#subject !== undefined || (this.#identity !== undefined && (this.#next !== undefined || this.#ttlChanged))
  }

  /** Where a use at this moment puts the expiry. */
  #target (now: number): number | null {
    const target = deadline(now, this.#record?.createdAt ?? now, this.#lifetime)
    // What outlives its data begins its life anew once the data has expired.
    return target !== null && target <= now && this.#record?.keep ? deadline(now, now, this.#lifetime) : target
  }

  /** The new expiry; `undefined` if it stays as it is. */
  #slide (now: number, changes: boolean): number | null | undefined {
    const record = this.#record as SessionRecord
    const target = this.#target(now)
    // An emptied session has no expiry, and needs none until it has data.
    if (record.keep && record.expiresAt === null && !changes) return undefined
    const forced = this.#mustSlide || this.#ttlChanged || (record.keep && changes)
    return forced || isWorthWriting(record.expiresAt, target, this.#lifetime.ttl) ? target : undefined
  }

  /** One after the other: what an earlier save has sent must not be sent again. */
  #save (): MaybePromise<void> {
    if (this.#saving !== undefined) return this.#saving.then(() => this.#save())
    if (this.#owner.cutOff) return this.#drop()
    if (this.#lost !== undefined && this.#state !== 'ended') throw this.#lost
    const saved = this.#saveNow(0)
    if (!isPromise(saved)) return saved
    this.#saving = saved.then(() => { this.#saving = undefined }, (error: unknown) => {
      this.#saving = undefined
      if (error instanceof OutcomeUnknownError) this.#lost = error
    })
    return saved
  }

  #drop (): void {
    if (this.#isDirty) this.#owner.warn('the session was changed, and not saved: its store had failed, and the visitor is anonymous.')
  }

  #saveNow (tries: number): MaybePromise<void> {
    if (this.#identity === undefined) return this.#state === 'ended' ? this.#ended() : this.#create()
    const { id } = this.#identity
    const { store } = this.#home
    if (this.#state === 'ended') return ask(() => store.end(id, this.#record?.incarnation), () => this.#ended())
    const now = Date.now()
    const sent = this.#draft.toSend()
    const expiresAt = this.#slide(now, sent !== undefined)
    const subject = this.#subject
    if (sent === undefined && expiresAt === undefined && this.#next === undefined && subject === undefined) return
    const { expect, clear, set, remove, increment } = sent?.change ?? noChange
    const ttl = this.#ttlChanged ? this.#ttl : undefined
    const incarnation = this.#record?.incarnation
    const change: SessionChange = { expect, clear, set, remove, increment, expiresAt, ttl, subject, incarnation }
    const renewed = this.#next === undefined ? undefined : this.#identify(this.#next)
    return ask(() => renewed === undefined ? store.commit(id, change) : store.renew(id, renewed.id, change),
      (result) => this.#saved(result, change, sent, renewed, tries))
  }

  #create (tokens = 1): MaybePromise<void> {
    const { store, keep } = this.#home
    const sent = this.#draft.toSend()
    const fields = this.#draft.texts()
    const said = this.#subject
    const subject = said ?? undefined
    if (fields.size === 0 && subject === undefined) return
    if (!this.#owner.reachable && !this.#announced) {
      this.#owner.warn('a new session was changed after the headers were sent, so that the client cannot learn of its token: it was not saved. Call commit() before the headers leave.')
      return
    }
    const now = Date.now()
    const record: SessionRecord = {
      fields, createdAt: now, expiresAt: this.#target(now), ttl: this.#ttl, keep, name: undefined, incarnation: undefined, maxAge: undefined, subject,
    }
    const identity = this.#identify(this.token)
    return ask(() => store.create(identity.id, record), (created) => {
      this.#next = undefined
      if (!created) return this.#createElsewhere(tokens)
      if (sent !== undefined) this.#draft.created(sent, fields)
      this.#identity = identity
      this.#record = record
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

  /** What `expire()` was told while this was being saved stays to be saved. */
  #saidTtl (ttl: number | null | undefined): void {
    this.#mustSlide = false
    if (this.#ttl === ttl) this.#ttlChanged = false
  }

  #saved (result: CommitResult, change: SessionChange, sent: Sent | undefined, renewed: Identity | undefined, tries: number): MaybePromise<void> {
    switch (result.status) {
      case 'not-a-number':
        throw new NotANumberError(show(result.key), 'another request has put something else there than a whole number.')
      case 'missing':
        return this.#gone(sent !== undefined || renewed !== undefined || this.#ttlChanged || change.subject !== undefined)
      case 'conflict':
        if (tries === maxTries) throw new UpdateConflictError([...result.current.keys()].map(show).join(', '), tries)
        this.#draft.rebase(result.current)
        return this.#saveNow(tries + 1)
      case 'committed': {
        const record = this.#record as SessionRecord
        const identity = renewed ?? this.#identity as Identity
        if (sent !== undefined) this.#draft.sent(sent, result.increments)
        if (change.expiresAt !== undefined) record.expiresAt = change.expiresAt
        if (change.ttl !== undefined) record.ttl = change.ttl
        if (change.subject !== undefined) this.#saidSubject(change.subject)
        this.#identity = identity
        if (renewed !== undefined || change.expiresAt !== undefined) this.#tell(identity.token, record.expiresAt)
        if (this.#next === renewed?.token) this.#next = undefined
        this.#saidTtl(change.ttl)
      }
    }
  }

  #saidSubject (subject: string | null | undefined): void {
    (this.#record as SessionRecord).subject = subject ?? undefined
    if (this.#subject === subject) this.#subject = undefined
  }

  /** The session is no longer in the store. That matters only if there was something to save. */
  #gone (changed: boolean): void {
    if (changed) throw new SessionGoneError(this.#owner.route)
  }

  #ended (): void {
    this.#identity = undefined
    if (!this.#announced) this.#owner.forget()
  }

  #tell (token: string, expiresAt: number | null): void {
    // A session that outlives its data keeps its token too.
    if (this.#owner.reachable && !this.#announced) this.#owner.tell(token, this.#record?.keep ?? this.#home.keep ? null : expiresAt)
  }

  #announce (): void {
    if (this.#state === 'ended') {
      this.#owner.forget()
    } else if (this.#identity === undefined) {
      if (!this.#isDirty) return // what is changed later cannot be told, and is not saved
      this.#tell(this.token, this.#target(Date.now()))
    } else {
      const expiresAt = this.#slide(Date.now(), this.#draft.isDirty)
      const stored = this.#record?.expiresAt ?? null
      if (this.#next !== undefined || expiresAt !== undefined) this.#tell(this.token, expiresAt === undefined ? stored : expiresAt)
    }
    this.#announced = true
  }
}
