import type { Readable, Writable } from 'node:stream'
import { pingOf, type Pinging } from '../core/health.js'
import type { BootCheck, Claiming, Counting, SessionOpener, SessionProvider } from '../core/provider.js'
import { keyspaceOf, requireInterface } from '../stores/contract-helpers.js'
import { memoryStore } from '../stores/memory/memory-store.js'
import type { SessionRecord } from '../stores/store.js'
import { OptionError } from '../errors.js'
import { checkOptions, describeType, type Checked } from '../util/option-rules.js'
import { checkSettings } from './boot-check.js'
import { callStore } from './call-store.js'
import { DataRules } from './data/data-rules.js'
import { summaryOf } from './look.js'
import { endSession } from './persistence.js'
import { TokenSession } from './session.js'
import { Addresses, isFilter, subjectOf, type SessionAddress } from './manage/address.js'
import { createSession } from './manage/create.js'
import type { Feed, FeedFilter, FeedListener } from './manage/feed.js'
import { SessionFeeds } from './manage/feeds.js'
import { headersOf, tokenIn, type InjectHeaders, type ReplyHeaders } from './manage/inject.js'
import { checkFilter, endSessions, existingTokens, infoOf, listSessions, totalsOf, type EndFilter, type ExistingSessions, type ListingOptions, type SessionInfo, type SessionTotals, type TotalsOptions } from './manage/list.js'
import { pingStore } from './manage/ping.js'
import { restoreSessions, type RestoreOptions, type RestoreResult } from './manage/restore.js'
import { saveSessions, type SaveOptions, type SaveResult } from './manage/save.js'
import { Subscription, type UpdateListener } from './manage/subscribe.js'
import { updateSessions, type UpdateFilter } from './manage/update.js'
import { callRules, checkedLater, routeRules, type CheckedTokenOptions, type NewSession, type SessionData, type TokenCallOptions, type TokenRouteOptions } from './options.js'
import { requestSessions } from './request-session.js'
import { SessionState } from './session-state.js'
import type { Identity, SessionSettings } from './settings.js'
import { idOf, SharedTokens, tokenKinds } from './tokens.js'
import { cookieTransport } from './transport/cookie-transport.js'
import type { PlacedTransport } from './transport/transport.js'
import { checkName } from './values.js'

/** The provider and manager of token sessions. A call that the store does not support throws `FST_SESSION_STORE_LACKS`. */
export class TokenSessions<Data extends object = SessionData> implements SessionProvider<Promise<TokenSession> | TokenSession, TokenRouteOptions, TokenCallOptions>, BootCheck, Claiming, Counting, Pinging {
  readonly kind = 'token'
  readonly commits = 'always'
  readonly claims: readonly string[]
  readonly counts: Counting['counts'] = () => this.#settings.store.counts?.()
  readonly #options: CheckedTokenOptions
  readonly #settings: SessionSettings
  readonly #addresses: Addresses
  #feeds: SessionFeeds | undefined

  constructor (options: CheckedTokenOptions) {
    const { store = memoryStore(), token, deleteSession, maxSize, ttl, maxAge, secret, onStoreError, maxSessions, onLimit, data, transport = cookieTransport() } = options
    if (maxSessions != null) requireInterface('subjects', store, 'tokenSessions({ maxSessions })')
    const tokens = tokenKinds[token]
    const { place } = transport as Partial<PlacedTransport>
    this.claims = place === undefined ? [keyspaceOf(store)] : [place, keyspaceOf(store)]
    this.#options = options
    this.#settings = { store, tokens, deleteSession, maxSize: maxSize ?? Infinity, lifetime: { ttl, maxAge }, transport, onStoreError, maxSessions, onLimit, data: data === undefined ? undefined : new DataRules(data), pinsSubject: false, followers: new Set() }
    this.#addresses = new Addresses(tokens, secret === undefined ? undefined : new SharedTokens(tokens, secret))
  }

  forRoute (options: TokenRouteOptions | undefined, where: string, others?: readonly string[]): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenRouteOptions>(where, options, routeRules, others))
  }

  forCall (options: TokenCallOptions | undefined, where: string): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenCallOptions>(where, options, callRules))
  }

  /**
   * Creates a session in the store. Save later changes with `await session.commit()`.
   *
   * @throws SessionExistsError (`FST_SESSION_EXISTS`) if a shared session of this name exists; NameError
   *   (`FST_SESSION_NAME`), NoSecretError (`FST_SESSION_NO_SECRET`), SubjectLimitError (`FST_SESSION_SUBJECT_LIMIT`), OptionError, KeyError, ValueError
   */
  async create (options: NewSession<Data> = {}): Promise<TokenSession<Data>> {
    const { identity, record } = await createSession(this.#settings, options as NewSession, (name) => this.#addresses.tokensOf(name, 'create()'))
    return this.#session('create()', identity, record)
  }

  /**
   * The shared session of a name; `undefined` if there is none.
   * @throws NameError (`FST_SESSION_NAME`), NoSecretError (`FST_SESSION_NO_SECRET`)
   */
  async open (name: string): Promise<TokenSession<Data> | undefined> {
    for (const token of this.#addresses.tokensOf(name, 'open()')) {
      const session = await this.#load(token, 'open()')
      if (session?.shared) return session
    }
    return undefined
  }

  /** The session of a token; `undefined` if there is none. Reading does not slide its expiry: `touch()` and `commit()` do. */
  async load (token: string): Promise<TokenSession<Data> | undefined> {
    return this.#settings.tokens.valid(token) ? this.#load(token, 'load()') : undefined
  }

  /** Deletes a session and its data, even if it was renewed less than a minute ago; with `{ id, subject }` only a session of the subject. `false` if there was none. */
  async end (address: SessionAddress): Promise<boolean> {
    const { store } = this.#settings
    const subject = subjectOf(address, 'end()')
    const ended = await Promise.all(this.#addresses.idsAt(address, 'end()').map((id) => endSession(store, id, { subject })))
    return ended.includes(true)
  }

  /**
   * Changes a session, or all of a subject, outside of their requests: `fn` gets each session, and its changes are committed in one
   * atomic step. It may be async. The change neither extends the session nor counts as use, unless `fn` calls `touch()`. A session that
   * is renewed meanwhile is changed under its new id; a session that has ended is skipped. If one fails, the others are changed, and then
   * the error is thrown. A session that begins meanwhile may be missed: change the user's own record first.
   * @returns the number of changed sessions
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NoTokenError (`FST_SESSION_NO_TOKEN`), NameError, OptionError; as `commit()` of
   *   a session does; the error of `fn`
   */
  async update (target: SessionAddress | UpdateFilter, fn: (session: TokenSession<Data>) => unknown): Promise<number> {
    return updateSessions(this.#settings, this.#addresses, target, fn)
  }

  /** The tokens, of the given ones, that have a session. */
  async exists (tokens: string | Iterable<string>): Promise<ExistingSessions> {
    const existing = await existingTokens(this.#settings, typeof tokens === 'string' ? [tokens] : [...new Set(tokens)])
    return { count: existing.length, tokens: existing }
  }

  /** Describes a session, without its data and its token. `undefined` if there is none. */
  async info (address: SessionAddress): Promise<SessionInfo | undefined> {
    const subject = subjectOf(address, 'info()')
    for (const id of this.#addresses.idsAt(address, 'info()')) {
      const summary = await summaryOf(this.#settings.store, id)
      if (summary !== undefined && (subject === undefined || summary.subject === subject)) return infoOf(id, summary)
    }
    return undefined
  }

  /**
   * Describes the sessions, one after the other, in no order. A session that begins or ends meanwhile may be listed or not;
   * a listed session existed when it was read. An unreadable session is skipped, see `onDamaged`.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NameError (`FST_SESSION_NAME`), OptionError
   */
  list (options: ListingOptions = {}): AsyncGenerator<SessionInfo, undefined> {
    return listSessions(this.#settings, options)
  }

  /**
   * Ends all sessions, or all of a subject ("log out everywhere"). A session that begins meanwhile may stay.
   * @returns the number of ended sessions
   * @throws as `list` does
   */
  async endAll (filter: EndFilter = {}): Promise<number> {
    return endSessions(this.#settings, filter)
  }

  /** Totals over all sessions. It reads each of them. */
  async infoAll (options: TotalsOptions = {}): Promise<SessionTotals> {
    return totalsOf(this.#settings, options)
  }

  /**
   * Saves all sessions, or those of some tokens, as lines of JSON, in constant memory. A session that changes meanwhile is saved
   * before or after the change. A file is replaced once the new one is complete, and only its owner may read it. Links are
   * followed, FIFOs and devices are written to, and a stream is not ended.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), RecordError (`FST_SESSION_RECORD`), OptionError; the error of the
   *   file or stream, or an AbortError
   */
  async save (target: Writable | string | URL, options: SaveOptions = {}): Promise<SaveResult> {
    return saveSessions(this.#settings, target, options)
  }

  /**
   * Restores saved sessions, each completely or not at all, with their tokens, times and subjects.
   * @throws RestoreVersionError (`FST_SESSION_RESTORE_VERSION`), RestoreLineError (`FST_SESSION_RESTORE_LINE`),
   *   RestoreTruncatedError (`FST_SESSION_RESTORE_TRUNCATED`), RestoreConflictError (`FST_SESSION_RESTORE_CONFLICT`),
   *   RestoreFullError (`FST_SESSION_RESTORE_FULL`), each with the counts as its `result`; StoreLacksError, OptionError; the
   *   error of the file or stream
   */
  async restore (source: Readable | string | URL, options: RestoreOptions = {}): Promise<RestoreResult> {
    return restoreSessions(this.#settings, source, options)
  }

  /**
   * Follows a session, in any process: the listener gets changed keys, the expiry and the end, one update at a time; while it
   * runs, changes are merged. A text that cannot be a token is the name of a shared session: pass a client's token on as
   * `{ token }`. It stops with `close()` of the subscription, with the session, and when the app closes.
   * @returns `undefined` if there is no such session
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NoSecretError, NameError, OptionError
   */
  subscribe (address: SessionAddress, listener: UpdateListener): Promise<Subscription | undefined>
  /**
   * Follows all sessions of a subject, in any process: the listener gets new, changed, ended and expired sessions, one update at a
   * time. It resolves once later changes are delivered. It stops with `close()` of the feed, and when the app closes.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`),
   *   StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`), NameError, OptionError
   */
  subscribe (filter: FeedFilter, listener: FeedListener): Promise<Feed>
  /**
   * Follows all sessions of the store, like those of a subject. Each process with such a feed gets all updates except expiries: one
   * process delivers each expiry, at least once. It is delivered again, in any of them, if the listener fails or its process dies before
   * the listener has resolved.
   * @throws as for a subject
   */
  subscribe (listener: FeedListener): Promise<Feed>
  async subscribe (target: SessionAddress | FeedFilter | FeedListener, listener?: UpdateListener | FeedListener): Promise<Subscription | Feed | undefined> {
    const told = typeof target === 'function' ? target : listener
    if (typeof told !== 'function') throw new OptionError('subscribe()', `the listener must be a function; got ${describeType(told)}`)
    if (typeof target !== 'function' && !isFilter(target)) return this.#follow(target, told as UpdateListener)
    const subject = typeof target === 'function' ? undefined : checkName('subscribe(): subject', checkFilter<FeedFilter>('subscribe()', target, { subject: checkedLater }).subject)
    this.#feeds ??= new SessionFeeds(this.#settings)
    return this.#feeds.subscribe(subject, told as FeedListener)
  }

  async #follow (address: SessionAddress, listener: UpdateListener): Promise<Subscription | undefined> {
    const { store, tokens, followers } = this.#settings
    const isName = typeof address === 'string' && !tokens.valid(address)
    for (const id of this.#addresses.idsAt(isName ? { name: address } : address, 'subscribe()')) {
      const subscription = new Subscription(store, id, listener, (subscription) => { followers.delete(subscription) })
      followers.add(subscription)
      if (await subscription.start()) return subscription
      followers.delete(subscription)
    }
    return undefined
  }

  /**
   * For tests of an app's routes: the headers of a request that presents this session, or a new one. They fit the provider's
   * transport. Unsaved changes of the session are saved.
   * @throws OptionError (`FST_SESSION_OPTION`) for a transport without `present()`; as `create` and `commit()` of a session do
   */
  async inject (session: TokenSession<Data> | NewSession<Data> = {}): Promise<InjectHeaders> {
    const presented = session instanceof TokenSession ? session : await this.create(session)
    if (TokenSession.stateOf(presented as unknown as TokenSession).isDirty) await presented.commit()
    return { headers: headersOf(this.#settings.transport, presented.token) }
  }

  /**
   * For tests of an app's routes: the session of the token that a reply of `app.inject()` or `fetch()` sets. `undefined` if it sets
   * none or clears it, or if the session is over.
   * @throws OptionError (`FST_SESSION_OPTION`) for a transport without `receive()`
   */
  async sessionOf (reply: ReplyHeaders): Promise<TokenSession<Data> | undefined> {
    const token = tokenIn(this.#settings.transport, reply)
    return token === undefined ? undefined : this.load(token)
  }

  /** @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`) if the store's server answers but cannot be used */
  readonly checkAtBoot: BootCheck['checkAtBoot'] = (log) => checkSettings(this.#settings, log)

  /**
   * Writes, reads and ends a session of its own, for readiness probes. A full store is only read.
   * @throws OptionError (`FST_SESSION_OPTION`), and nothing else
   */
  readonly ping: Pinging['ping'] = pingOf(() => pingStore(this.#settings))

  /** Frees the provider's own timers, subscriptions and signals. Given objects, such as a Redis client, stay open. */
  async close (): Promise<void> {
    await Promise.all([...this.#settings.followers].map((follower) => follower.close()))
    await this.#settings.store.close()
  }

  #opener (own: Checked<TokenRouteOptions & TokenCallOptions>): SessionOpener<Promise<TokenSession>> {
    const { ttl, maxAge, load, onStoreError } = { ...this.#options, ...own }
    return requestSessions({ ...this.#settings, lifetime: { ttl, maxAge }, onStoreError }, load === 'onRequest', own)
  }

  /** A session outside of a request: the caller commits it. */
  #session (call: string, identity: Identity, record: SessionRecord): TokenSession<Data> {
    const context = { route: call, request: undefined, reply: undefined, log: undefined, canSendHeaders: true, isConditional: true }
    return new TokenSession<Data>(new SessionState({ ...this.#settings, onStoreError: 'fail' }, context).opened(identity, record))
  }

  async #load (token: string, call: string): Promise<TokenSession<Data> | undefined> {
    const id = idOf(token)
    return callStore(() => this.#settings.store.load(id), (found) => found === undefined || 'successor' in found ? undefined : this.#session(call, { token, id }, found))
  }
}
