import { rules, show } from '../util/option-rules.js'
import { OptionError } from '../errors.js'
import type { SessionLife } from './session-state.js'

/** The data of a session whose user gave no type for it. */
export type SessionData = Record<string, unknown>

type Key<Data> = keyof Data & string
type Value<Data, K extends keyof Data> = Exclude<Data[K], undefined>
/** The keys whose values can be incremented. */
type NumberKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends number ? K : never }[Key<Data>]

/** The keys whose values are lists. */
type ListKey<Data> = { [K in Key<Data>]: unknown extends Data[K] ? K : Value<Data, K> extends readonly unknown[] ? K : never }[Key<Data>]
type Element<Data, K extends keyof Data> = unknown extends Data[K] ? unknown : Value<Data, K> extends ReadonlyArray<infer E> ? E : never

/** What only the provider may see of a session. */
export let lifeOf: (session: TokenSession) => SessionLife

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
  readonly #life: SessionLife

  static {
    lifeOf = (session) => session.#life
  }

  /** @internal Sessions come from a provider. */
  constructor (life: SessionLife) {
    this.#life = life
  }

  /** What the client holds. A new session has one from the start, which counts once it is saved. */
  get token (): string {
    this.#life.use()
    return this.#life.token
  }

  /** What the session was named at its creation. */
  get name (): string | undefined {
    this.#life.use()
    return this.#life.record?.name
  }

  /** Whether its token follows from its name, so that any process can open it by that. */
  get shared (): boolean {
    this.#life.use()
    return this.#life.record?.generation !== undefined
  }

  /** Whom the session belongs to: a user's id, say. An index of each subject's sessions is kept, for `list` and `endAll`. */
  get subject (): string | undefined {
    this.#life.use()
    return this.#life.subject
  }

  /**
   * Counts from the commit on; `undefined`: nobody's.
   * @throws NameError (`FST_SESSION_NAME`) unless it is a text of 1 to 256 characters; StoreLacksError
   *   (`FST_SESSION_STORE_LACKS`) if the store keeps no index of subjects
   */
  set subject (subject: string | undefined) {
    this.#life.use()
    this.#life.subject = subject
  }

  /** Whether the store does not have this session: nothing was ever saved in it. */
  get isNew (): boolean {
    this.#life.use()
    return this.#life.identity === undefined
  }

  /** When the session was saved first; now, for a new one. */
  get createdAt (): Date {
    this.#life.use()
    return new Date(this.#life.record?.createdAt ?? Date.now())
  }

  /** When the session expires unless it is used before; `null`: never. For a new one, when it would. */
  get expiresAt (): Date | null {
    this.#life.use()
    const { expiresAt } = this.#life
    return expiresAt === null ? null : new Date(expiresAt)
  }

  /** The idle time that counts, in seconds: the session's own, else the route's, else the plugin's; `null`: never. */
  get ttl (): number | null {
    this.#life.use()
    return this.#life.lifetime.ttl
  }

  /** How many keys there are. */
  get size (): number {
    this.#life.use()
    return this.#life.draft.size
  }

  get<K extends Key<Data>> (key: K): Data[K] | undefined {
    this.#life.use()
    try {
      return this.#life.draft.get(key) as Data[K] | undefined
    } catch (error) {
      this.#life.unreadable(error)
      return undefined
    }
  }

  has (key: Key<Data>): boolean {
    this.#life.use()
    return this.#life.draft.has(key)
  }

  /**
   * Sets a key; `undefined` deletes it.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`); nothing is changed then
   */
  set<K extends Key<Data>> (key: K, value: Data[K] | undefined): this {
    this.#life.use()
    if (value === undefined) this.#life.draft.delete(key)
    else this.#life.draft.set(key, value)
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
    this.#life.use()
    return this.#life.draft.delete(key)
  }

  /** Deletes all keys, also those that other requests add before the commit. */
  clear (): void {
    this.#life.use()
    this.#life.draft.clear()
  }

  * keys (): Generator<Key<Data>, undefined> {
    this.#life.use()
    yield * this.#life.draft.keys() as Generator<Key<Data>, undefined>
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
    this.#life.use()
    try {
      return this.#life.draft.increment(key, by)
    } catch (error) {
      this.#life.unreadable(error)
      return this.#life.draft.increment(key, by)
    }
  }

  /**
   * Changes a value by a function of the present one. Applied at once, and again at commit to whatever others have
   * written meanwhile: the function may run more than once and must depend on its argument alone. `undefined`
   * deletes the key.
   * @returns the new value, as far as this request knows
   */
  update<K extends Key<Data>> (key: K, fn: (value: Value<Data, K> | undefined) => Value<Data, K> | undefined): Value<Data, K> | undefined {
    this.#life.use()
    const update = fn as (value: unknown) => unknown
    try {
      return this.#life.draft.update(key, update) as Value<Data, K> | undefined
    } catch (error) {
      this.#life.unreadable(error)
      return this.#life.draft.update(key, update) as Value<Data, K> | undefined
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
    this.#life.use()
    if (!rules.seconds.test(ttl)) throw new OptionError('expire()', `ttl must be ${rules.seconds.allowed}; got ${show(ttl)}`)
    this.#life.expire(ttl)
  }

  /** Slides the expiry at commit, however little time has passed; use alone slides it at most once per tenth of the ttl. */
  touch (): void {
    this.#life.use()
    this.#life.touch()
  }

  /**
   * Gives the session a new token at commit, with the same data; the old one is unknown from then on. Do this at login.
   * @throws SharedTokenError (`FST_SESSION_SHARED_TOKEN`) for a shared session
   */
  renew (): void {
    this.#life.use()
    this.#life.renew()
  }

  /** Ends the session at commit: it and its data are deleted, and the client's token is cleared. */
  end (): void {
    this.#life.use()
    this.#life.end()
  }

  /**
   * Saves now, and tells the client of its token if the headers are not out yet: before a reply is hijacked.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended, renewed or has expired meanwhile;
   * OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if the answer was lost, and again each time until `reload()`
   */
  async commit (): Promise<void> {
    this.#life.refuseIfClosed()
    await this.#life.save()
  }

  /**
   * Drops what was changed and reads the session anew.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if it was ended, renewed or has expired meanwhile
   */
  async reload (): Promise<void> {
    this.#life.use()
    await this.#life.reload()
  }
}
