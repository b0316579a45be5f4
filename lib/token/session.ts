import { inspect } from 'node:util'
import { OptionError } from '../errors.js'
import { describeType } from '../util/option-rules.js'
import type { Element, Key, ListKey, NumberKey, SessionData, Value } from './options.js'
import { claim } from './claim.js'
import { reload, save } from './persistence.js'
import { kState, SessionDescription } from './session-description.js'
import type { SessionState } from './session-state.js'

/**
 * Calls a method that has a callback in other session plugins.
 * @throws OptionError (`FST_SESSION_OPTION`) if it is given one, which would never be called. A rejection would not be handled by such code
 */
function withoutCallback (call: string, callback: unknown, run: () => Promise<void>): Promise<void> {
  if (callback !== undefined) throw new OptionError(call, `takes no callback: write await session.${call}`)
  return run()
}

/** Options of a cookie in other session plugins. */
const cookieAttributes = new Set(['domain', 'expires', 'httpOnly', 'maxAge', 'partitioned', 'path', 'priority', 'sameSite', 'secure', 'signed'])

/**
 * A user's session: a map of keys to JSON values, with a token. It is read and changed in memory; the changes are saved
 * at commit, in one atomic step. A value that is changed in place is detected.
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
export class TokenSession<Data extends object = SessionData> extends SessionDescription {
  static {
    // Awaiting a session looks for `then`: found here, before the slower last prototype.
    Object.defineProperty(this.prototype, 'then', { value: undefined })
  }

  /** @internal Sessions come from a provider. */
  constructor (state: SessionState) {
    super()
    this[kState] = state
  }

  /** @internal */
  static stateOf (session: TokenSession): SessionState {
    return session[kState]
  }

  get size (): number {
    return this[kState].draft.size
  }

  get<K extends Key<Data>> (key: K): Data[K] | undefined {
    try {
      return this[kState].draft.get(key) as Data[K] | undefined
    } catch (error) {
      this[kState].degradeIfDamaged(error)
      return undefined
    }
  }

  has (key: Key<Data>): boolean {
    return this[kState].draft.has(key)
  }

  /**
   * Sets a key; `undefined` deletes it.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`); nothing is changed then
   */
  set<K extends Key<Data>> (key: K, value: Data[K] | undefined): this {
    this[kState].refuseWrites()
    if (value === undefined) this[kState].draft.delete(key)
    else this[kState].draft.set(key, value)
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
    this[kState].refuseWrites()
    return this[kState].draft.delete(key)
  }

  /** Deletes all keys, including those that other requests add before the commit. */
  clear (): void {
    this[kState].refuseWrites()
    this[kState].draft.clear()
  }

  * keys (): Generator<Key<Data>, undefined> {
    yield * this[kState].draft.keys() as Generator<Key<Data>, undefined>
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
    this[kState].refuseWrites()
    return this[kState].attempt((draft) => draft.increment(key, by))
  }

  /**
   * Changes a value by a function of the present one; `undefined` deletes it. The function runs at once, and again at commit if
   * another request has changed the value: it must depend on its argument alone.
   * @returns the new value, as far as this request knows
   */
  update<K extends Key<Data>> (key: K, fn: (value: Value<Data, K> | undefined) => Value<Data, K> | undefined): Value<Data, K> | undefined {
    this[kState].refuseWrites()
    return this[kState].attempt((draft) => draft.update(key, fn as (value: unknown) => unknown)) as Value<Data, K> | undefined
  }

  /**
   * Adds values to the end of a list, an absent one being empty. Parallel requests lose no values.
   * @throws KeyError (`FST_SESSION_KEY`), ValueError (`FST_SESSION_VALUE`)
   */
  append<K extends ListKey<Data>> (key: K, ...values: Array<Element<Data, K>>): void {
    this[kState].refuseWrites()
    this[kState].attempt((draft) => draft.append(key, values))
  }

  /** The entries that satisfy a condition. */
  * find (condition: (value: Value<Data, Key<Data>>, key: Key<Data>) => boolean): ReturnType<TokenSession<Data>['entries']> {
    for (const entry of this.entries()) if (condition(entry[1], entry[0])) yield entry
  }

  /**
   * Reads a key and deletes it at commit: for a flash message. A newer value that another request sets meanwhile stays.
   * Parallel requests may all read the value; `claim()` returns it to one of them.
   */
  take<K extends Key<Data>> (key: K): Data[K] | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const read = JSON.stringify(value)
    this.update(key, (current) => JSON.stringify(current) === read ? undefined : current)
    return value
  }

  /**
   * Reads a key and deletes it in the store at once, in one atomic step: for a code that may be used once. Exactly one of
   * several callers gets the value, the others `undefined`. A default of the schema is not in the store, so that all get `undefined`, and
   * `get()` still returns it. Initial and migrated data are stored first, and claimed then.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended or has expired meanwhile; as `commit()` does
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
    this[kState].refuseWrites()
    return await claim(this[kState], key) as Data[K] | undefined
  }

  /**
   * Sets an idle time for this session, from now on, in seconds; `null`: it never expires.
   * @throws OptionError (`FST_SESSION_OPTION`) unless it is a whole number from 1 to 2147483647, or null
   */
  expire (ttl: number | null): void {
    this[kState].refuseWrites()
    this[kState].expire(ttl)
  }

  /**
   * Sets whether the client keeps its token when the browser ends ("remember me"), for this login until the next `regenerate()`. It
   * changes the cookie only: the session still expires by its `ttl`. The default is that of `cookieTransport({ persistent })`.
   * @throws OptionError (`FST_SESSION_OPTION`) unless it is true or false
   * @example
   * ```ts
   * import type { TokenSession } from 'fastify-request-session'
   *
   * export function logIn (session: TokenSession, remember: boolean): void {
   *   session.regenerate()
   *   session.persist(remember)
   * }
   * ```
   */
  persist (persistent: boolean): void {
    this[kState].refuseWrites()
    this[kState].persist(persistent)
  }

  /** Slides the expiry at commit, however little time has passed; use alone slides it at most once per tenth of the ttl. */
  touch (): void {
    if (!this[kState].isOver) this[kState].refuseWrites()
    this[kState].mustSlide = true
  }

  /**
   * Gives the session a new token at commit, with the same data. Requests that have loaded it under the old token continue with
   * it. A later request with the old token gets an empty session, and its changes are refused with `FST_SESSION_RENEWED`.
   * @throws SharedTokenError (`FST_SESSION_SHARED_TOKEN`) for a shared session; SessionClosedError (`FST_SESSION_CLOSED`)
   *   if the client cannot receive the token: over a WebSocket, after `hijack()`, after the headers
   */
  renew (): void {
    this[kState].refuseWrites()
    this[kState].renew()
  }

  /**
   * Continues as a new session, under a new token, with only the named keys: it has no subject and no ttl of its own, and its
   * `maxAge` starts again. The old session is ended at commit. Call it at each login, and to log out with a message.
   * @param keep the keys that the new session keeps
   * @throws as `renew()` does
   * @example
   * ```ts
   * import { tokenSessions } from 'fastify-request-session'
   *
   * const users = tokenSessions<{ basket: string[], user: string }>()
   * const session = await users.create({ data: { basket: ['pizza'] } })
   * session.regenerate(['basket'])
   * session.set('user', 'ada')
   * await session.commit()
   * ```
   */
  regenerate (keep: ReadonlyArray<Key<Data>> = []): void {
    if (!this[kState].isOver) this[kState].refuseWrites()
    if (!Array.isArray(keep)) throw new OptionError('regenerate()', `keep must be a list of keys; got ${describeType(keep)}`)
    this[kState].regenerate((keep as Array<Key<Data>>).map((key) => [key, this.get(key)]))
  }

  /**
   * Ends the session at commit: it and its data are deleted, and the client's token is cleared, even if another request has
   * renewed the session meanwhile. It reads as empty for the rest of the request; a second call does nothing.
   * @throws SessionClosedError (`FST_SESSION_CLOSED`) after the request's end
   */
  end (): void {
    if (this[kState].phase !== 'ended') this[kState].refuseWrites()
    this[kState].end()
  }

  /** The name of `end()` in @fastify/session, for plugins that call it. Here the store is called at commit. */
  destroy (callback?: never): Promise<void> {
    return withoutCallback('destroy()', callback, async () => this.end())
  }

  /** The name of `commit()` in @fastify/session, for plugins that call it. Handlers need neither. */
  save (callback?: never): Promise<void> {
    return withoutCallback('save()', callback, async () => this.commit())
  }

  /**
   * A method of @fastify/secure-session, for plugins that call it with options of their own. The cookie is the transport's, and stays as it is.
   * @throws OptionError (`FST_SESSION_OPTION`) for an attribute of the cookie
   */
  options (options: object): void {
    const attribute = Object.keys(options).find((name) => cookieAttributes.has(name))
    if (attribute !== undefined) throw new OptionError('options()', `${attribute} cannot be set for one session: give the cookie's attributes to cookieTransport(), and call expire() or persist()`)
  }

  /**
   * Saves now, and sends the client its token unless the headers are sent already: before a reply is hijacked.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if the session was ended or has expired meanwhile; SessionRenewedError
   * (`FST_SESSION_RENEWED`) if it was regenerated; OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if the answer was lost, and again each time until `reload()`
   */
  async commit (): Promise<void> {
    if (this[kState].phase === 'closed') this[kState].refuseWrites()
    await save(this[kState])
  }

  /**
   * Drops unsaved changes and reads the session again.
   * @throws SessionGoneError (`FST_SESSION_GONE`) if it was ended or has expired meanwhile; SessionRenewedError
   * (`FST_SESSION_RENEWED`) if it was regenerated
   */
  reload (callback?: never): Promise<void> {
    return withoutCallback('reload()', callback, async () => {
      this[kState].refuseWrites()
      await reload(this[kState])
    })
  }

  /** All data: for `JSON.stringify(session)`, and for a handler that returns the session. */
  toJSON (): Partial<Data> {
    return this.data()
  }

  /** Omits values and the token: they must not reach logs. */
  [inspect.custom] (_depth: number, options: object): string {
    const { isNew, ended, subject, ttl } = this
    return `TokenSession ${inspect({ isNew, ended, subject, ttl, keys: [...this.keys()] }, options)}`
  }
}
