import { inspect } from 'node:util'
import { OptionError, PropertyError } from '../errors.js'
import { rules, show } from '../util/option-rules.js'
import { claim, reload, save } from './persistence.js'
import type { SessionState } from './session-state.js'

/**
 * The data of a session whose user gave no type for it.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionData } from 'fastify-request-session'
 *
 * const users = tokenSessions<SessionData>()
 * const session = await users.create()
 * session.set('anything', [1, 2, 3])
 * await session.commit()
 * ```
 */
export type SessionData = Record<string, unknown>

type Key<Data> = keyof Data & string
type Value<Data, K extends keyof Data> = Exclude<Data[K], undefined>
/** The keys whose values can be incremented. */
type NumberKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends number ? K : never }[Key<Data>]

/** The keys whose values are lists. */
type ListKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends readonly unknown[] ? K : never }[Key<Data>]
type Element<Data, K extends keyof Data> = unknown extends Data[K] ? unknown : Value<Data, K> extends ReadonlyArray<infer E> ? E : never

/** Refuses an assigned property, with an error that names `set()`. As the last prototype it only sees members that a session lacks. */
const refuseProperties = new Proxy(Object.prototype, {
  set (_target, name): never { throw new PropertyError(show(String(name))) },
})

/**
 * A user's session: a map of keys to JSON values, with a token. It is read and changed in memory; the changes are saved
 * at commit, in one atomic step. A value that is changed in place is noticed.
 *
 * Two requests that change different keys both win. `set` and `delete` of one key: the last one wins. `increment`
 * adds up, `update` is applied to the newest value.
 *
 * After `end()` the session reads as empty, and writes throw `FST_SESSION_ENDED`. After the request's end it can still be
 * read, and writes throw `FST_SESSION_CLOSED`.
 *
 * @example
 * ```ts
 * import { tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ items: string[], visits: number }>()
 * const session = await users.create()
 * session.set('items', ['pizza']).append('items', 'figs')
 * session.increment('visits')
 * await session.commit()
 * ```
 */
export class TokenSession<Data extends object = SessionData> {
  readonly #state: SessionState

  static {
    Object.setPrototypeOf(this.prototype, refuseProperties)
    // Awaiting a session looks for `then`: found here, before the slower last prototype.
    Object.defineProperty(this.prototype, 'then', { value: undefined })
  }

  /** @internal Sessions come from a provider. */
  constructor (state: SessionState) {
    this.#state = state
  }

  /** @internal The ids that the store has the session under, before and after its next commit. */
  static idsOf (session: TokenSession): string[] {
    return session.#state.ids
  }

  /** The client's token. A new session has one from the start; it is valid once the session is saved. */
  get token (): string {
    return this.#state.token
  }

  /** The name that the session was created with. */
  get name (): string | undefined {
    return this.#state.record?.name
  }

  /** True if the token is derived from the name: any process can open the session by its name. */
  get shared (): boolean {
    return this.#state.record?.generation !== undefined
  }

  /** The session's owner, such as a user's id. The store indexes sessions by subject, for `list` and `endAll`. */
  get subject (): string | undefined {
    return this.#state.subject
  }

  /**
   * Takes effect at commit; `undefined`: no owner.
   * @throws NameError (`FST_SESSION_NAME`) unless it is a text of 1 to 256 characters; StoreLacksError
   *   (`FST_SESSION_STORE_LACKS`) if the store keeps no index of subjects
   */
  set subject (subject: string | undefined) {
    this.#state.refuseWrites()
    this.#state.subject = subject
  }

  /** True while the session was never saved. */
  get isNew (): boolean {
    return this.#state.identity === undefined
  }

  /** When the session was saved first; now, for a new one. */
  get createdAt (): Date {
    return new Date(this.#state.record?.createdAt ?? Date.now())
  }

  /** When the session expires unless it is used before; `null`: never. For a new one, when it would. */
  get expiresAt (): Date | null {
    const { expiresAt } = this.#state
    return expiresAt === null ? null : new Date(expiresAt)
  }

  /** The idle time that counts, in seconds: the session's own, else the route's, else the plugin's; `null`: never. */
  get ttl (): number | null {
    return this.#state.lifetime.ttl
  }

  /** How many keys there are. */
  get size (): number {
    return this.#state.draft.size
  }

  get<K extends Key<Data>> (key: K): Data[K] | undefined {
    try {
      return this.#state.draft.get(key) as Data[K] | undefined
    } catch (error) {
      this.#state.degradeIfDamaged(error)
      return undefined
    }
  }

  has (key: Key<Data>): boolean {
    return this.#state.draft.has(key)
  }

  /**
   * Sets a key; `undefined` deletes it.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`); nothing is changed then
   */
  set<K extends Key<Data>> (key: K, value: Data[K] | undefined): this {
    this.#state.refuseWrites()
    if (value === undefined) this.#state.draft.delete(key)
    else this.#state.draft.set(key, value)
    return this
  }

  /** Sets a key only if it is absent, also at commit. @returns true if it was, as far as this request knows */
  add<K extends Key<Data>> (key: K, value: Value<Data, K>): boolean {
    if (this.has(key)) return false
    this.update(key, (current) => current === undefined ? value : current)
    return true
  }

  /** @returns true if the key was present */
  delete (key: Key<Data>): boolean {
    this.#state.refuseWrites()
    return this.#state.draft.delete(key)
  }

  /** Deletes all keys, also those that other requests add before the commit. */
  clear (): void {
    this.#state.refuseWrites()
    this.#state.draft.clear()
  }

  * keys (): Generator<Key<Data>, undefined> {
    yield * this.#state.draft.keys() as Generator<Key<Data>, undefined>
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
    this.#state.refuseWrites()
    return this.#attempt((draft) => draft.increment(key, by))
  }

  /**
   * Changes a value by a function of the present one. Applied at once, and again at commit to whatever others have
   * written meanwhile: the function may run more than once and must depend on its argument alone. `undefined`
   * deletes the key.
   * @returns the new value, as far as this request knows
   */
  update<K extends Key<Data>> (key: K, fn: (value: Value<Data, K> | undefined) => Value<Data, K> | undefined): Value<Data, K> | undefined {
    this.#state.refuseWrites()
    return this.#attempt((draft) => draft.update(key, fn as (value: unknown) => unknown)) as Value<Data, K> | undefined
  }

  /**
   * Adds values to the end of a list, an absent one being empty. The values that parallel requests append are all kept.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`)
   */
  append<K extends ListKey<Data>> (key: K, ...values: Array<Element<Data, K>>): void {
    this.#state.refuseWrites()
    this.#attempt((draft) => draft.append(key, values))
  }

  /** The entries that fulfil a condition. */
  * find (condition: (value: Value<Data, Key<Data>>, key: Key<Data>) => boolean): ReturnType<TokenSession<Data>['entries']> {
    for (const entry of this.entries()) if (condition(entry[1], entry[0])) yield entry
  }

  /**
   * Reads a key and deletes it at commit: for a message that is shown once. A newer value that another request sets
   * meanwhile stays. Parallel requests may all read the value: `claim()` gives it to one.
   */
  take<K extends Key<Data>> (key: K): Data[K] | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const read = JSON.stringify(value)
    this.update(key, (current) => JSON.stringify(current) === read ? undefined : current)
    return value
  }

  /**
   * Reads a key and deletes it in the store at once, in one atomic step: for a code that counts once. Of several callers
   * exactly one gets the value, the others `undefined`.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended or has expired meanwhile; as `commit()` does
   *
   * @example
   * ```ts
   * import { tokenSessions } from 'fastify-request-session'
   *
   * const users = tokenSessions<{ code: string }>()
   * const session = await users.create({ data: { code: '123456' } })
   * const code = await session.claim('code') // '123456', and undefined for every other caller
   * ```
   */
  async claim<K extends Key<Data>> (key: K): Promise<Data[K] | undefined> {
    this.#state.refuseWrites()
    return await claim(this.#state, key) as Data[K] | undefined
  }

  /**
   * Gives this session an idle time of its own, from now on, in seconds; `null`: never.
   * @throws OptionError (`FST_SESSION_OPTION`) unless it is a whole number from 1 to 2147483647, or null
   */
  expire (ttl: number | null): void {
    this.#state.refuseWrites()
    if (!rules.seconds.test(ttl)) throw new OptionError('expire()', `ttl must be ${rules.seconds.allowed}; got ${show(ttl)}`)
    this.#state.expire(ttl)
  }

  /** Slides the expiry at commit, however little time has passed; use alone slides it at most once per tenth of the ttl. */
  touch (): void {
    this.#state.refuseWrites()
    this.#state.mustSlide = true
  }

  /**
   * Gives the session a new token at commit, with the same data; the old one is unknown from then on. Do this at login.
   * @throws SharedTokenError (`FST_SESSION_SHARED_TOKEN`) for a shared session
   */
  renew (): void {
    this.#state.refuseWrites()
    this.#state.renew()
  }

  /**
   * Ends the session at commit: it and its data are deleted, and the client's token is cleared. It reads as empty for the
   * rest of the request; a second call does nothing.
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) after the request's end
   */
  end (): void {
    if (this.#state.phase === 'closed') this.#state.refuseWrites()
    this.#state.end()
  }

  /** True after `end()`. */
  get ended (): boolean {
    return this.#state.isEnded
  }

  /**
   * Saves now, and tells the client of its token if the headers are not out yet: before a reply is hijacked.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended, renewed or has expired meanwhile;
   * OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if the answer was lost, and again each time until `reload()`
   */
  async commit (): Promise<void> {
    if (this.#state.phase === 'closed') this.#state.refuseWrites()
    await save(this.#state)
  }

  /**
   * Drops what was changed and reads the session anew.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if it was ended, renewed or has expired meanwhile
   */
  async reload (): Promise<void> {
    this.#state.refuseWrites()
    await reload(this.#state)
  }

  /** All data: `JSON.stringify(session)`, and a handler that returns the session. */
  toJSON (): Partial<Data> {
    return this.data()
  }

  /** Shows no value and no token: they must not reach logs. */
  [inspect.custom] (_depth: number, options: object): string {
    const { isNew, ended, subject, ttl } = this
    return `TokenSession ${inspect({ isNew, ended, subject, ttl, keys: [...this.keys()] }, options)}`
  }

  /** Runs a change, again without the stored data if that is damaged and visitors may be anonymous. */
  #attempt<R> (change: (draft: SessionState['draft']) => R): R {
    try {
      return change(this.#state.draft)
    } catch (error) {
      this.#state.degradeIfDamaged(error)
      return change(this.#state.draft)
    }
  }
}
