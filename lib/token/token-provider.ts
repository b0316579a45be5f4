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

/** The provider and manager of token sessions. A call that the store cannot serve is refused by name, with `FST_SESSION_STORE_LACKS`. */
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
    this.#settings = { store, tokens, deleteSession, maxSize: maxSize ?? Infinity, lifetime: { ttl, maxAge }, transport, onStoreError, maxSessions, onLimit, data: data === undefined ? undefined : new DataRules(data), followers: new Set() }
    this.#addresses = new Addresses(tokens, secret === undefined ? undefined : new SharedTokens(tokens, secret))
  }

  forRoute (options: TokenRouteOptions | undefined, where: string): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenRouteOptions>(where, options, routeRules))
  }

  forCall (options: TokenCallOptions | undefined, where: string): SessionOpener<Promise<TokenSession>> {
    return this.#opener(checkOptions<TokenCallOptions>(where, options, callRules))
  }

  /**
   * Makes a session, which the store has from then on. Later changes count with `await session.commit()`.
   *
   * @throws SessionExistsError (`FST_SESSION_EXISTS`) if there is a shared session of this name; NameError
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

  /** The session of a token; `undefined` if there is none. Reading alone does not prolong its life: `touch()` and `commit()` do. */
  async load (token: string): Promise<TokenSession<Data> | undefined> {
    return this.#settings.tokens.valid(token) ? this.#load(token, 'load()') : undefined
  }

  /** Deletes a session and its data, also if it was renewed less than a minute ago; with `{ id, subject }` only one of the subject. `false` if there was none. */
  async end (address: SessionAddress): Promise<boolean> {
    const { store } = this.#settings
    const subject = subjectOf(address, 'end()')
    const ended = await Promise.all(this.#addresses.idsAt(address, 'end()').map((id) => endSession(store, id, { subject })))
    return ended.includes(true)
  }

  /**
   * Changes a session, or all of a subject, outside of their requests: `fn` is given each, and its changes are committed in one atomic
   * step, as those of a request are. It may be async. No session is prolonged by it, and none counts as used, unless `fn` calls
   * `touch()`. One that is renewed meanwhile is changed under its new id; one that has ended is left out. Where one fails the others are
   * changed, and then the error is thrown. A session that begins meanwhile may be missed: change the user's own record first.
   * @returns how many were changed
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NoTokenError (`FST_SESSION_NO_TOKEN`), NameError, OptionError; as `commit()` of
   *   a session does; the error of `fn`
   */
  async update (target: SessionAddress | UpdateFilter, fn: (session: TokenSession<Data>) => unknown): Promise<number> {
    return updateSessions(this.#settings, this.#addresses, target, fn)
  }

  /** Those of some tokens that belong to a session. */
  async exists (tokens: string | Iterable<string>): Promise<ExistingSessions> {
    const existing = await existingTokens(this.#settings, typeof tokens === 'string' ? [tokens] : [...new Set(tokens)])
    return { count: existing.length, tokens: existing }
  }

  /** Describes a session, but for its data and its token. `undefined` if there is none. */
  async info (address: SessionAddress): Promise<SessionInfo | undefined> {
    const subject = subjectOf(address, 'info()')
    for (const id of this.#addresses.idsAt(address, 'info()')) {
      const summary = await summaryOf(this.#settings.store, id)
      if (summary !== undefined && (subject === undefined || summary.subject === subject)) return infoOf(id, summary)
    }
    return undefined
  }

  /**
   * Describes the sessions, one after the other, in no order. One that begins or ends meanwhile may be listed or not;
   * a listed one was there when the store was asked. One that cannot be read is left out, see `onDamaged`.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NameError (`FST_SESSION_NAME`), OptionError
   */
  list (options: ListingOptions = {}): AsyncGenerator<SessionInfo, undefined> {
    return listSessions(this.#settings, options)
  }

  /**
   * Ends all sessions, or all of a subject ("log out everywhere"). One that begins meanwhile may stay.
   * @returns how many were ended
   * @throws as `list` does
   */
  async endAll (filter: EndFilter = {}): Promise<number> {
    return endSessions(this.#settings, filter)
  }

  /** Totals over all sessions, each of which is looked at. */
  async infoAll (options: TotalsOptions = {}): Promise<SessionTotals> {
    return totalsOf(this.#settings, options)
  }

  /**
   * Saves all sessions, or those of some tokens, as lines of JSON, in memory that does not grow with their number. A session
   * that changes meanwhile is saved as it was or as it is. A file is replaced once the new one is whole, and only its owner
   * may read it; a link is followed, a FIFO or a device is written to, and a stream is not ended.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), RecordError (`FST_SESSION_RECORD`), OptionError; the error of the
   *   file or stream, or an AbortError
   */
  async save (target: Writable | string | URL, options: SaveOptions = {}): Promise<SaveResult> {
    return saveSessions(this.#settings, target, options)
  }

  /**
   * Puts saved sessions back, each wholly or not at all; their tokens, times and subjects are what they were.
   * @throws RestoreVersionError (`FST_SESSION_RESTORE_VERSION`), RestoreLineError (`FST_SESSION_RESTORE_LINE`),
   *   RestoreTruncatedError (`FST_SESSION_RESTORE_TRUNCATED`), RestoreConflictError (`FST_SESSION_RESTORE_CONFLICT`),
   *   RestoreFullError (`FST_SESSION_RESTORE_FULL`), each with the counts as its `result`; StoreLacksError, OptionError; the
   *   error of the file or stream
   */
  async restore (source: Readable | string | URL, options: RestoreOptions = {}): Promise<RestoreResult> {
    return restoreSessions(this.#settings, source, options)
  }

  /**
   * Follows a session, in any process: the listener is told of changed keys, of its expiry and of its end, one after the
   * other; while it is at work, changes add up to one. A text that cannot be a token is the name of a shared session: pass
   * a client's token on as `{ token }`. Ends by `close()` of the subscription, with the session, and when the app closes.
   * @returns `undefined` if there is no such session
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), NoSecretError, NameError, OptionError
   */
  subscribe (address: SessionAddress, listener: UpdateListener): Promise<Subscription | undefined>
  /**
   * Follows all sessions of a subject, in any process: the listener is told of those that are new, changed, ended and expired, one
   * after the other. It resolves once later changes are told. Ends by `close()` of the feed, and when the app closes.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`), StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`),
   *   StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`), NameError, OptionError
   */
  subscribe (filter: FeedFilter, listener: FeedListener): Promise<Feed>
  /**
   * Follows all sessions of the store, as those of a subject. Each process with such a feed is told all but expiries: an expiry is
   * told by one of them, at least once. It is told again, by any of them, where the listener fails, or its process dies before the
   * listener has resolved.
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
   * For tests of an app's routes: the headers of a request that comes with this session, or with a new one that is made for it. They fit
   * the provider's transport, whatever it is.
   * @throws OptionError (`FST_SESSION_OPTION`) for a transport without `present()`; as `create` does
   */
  async inject (session: TokenSession<Data> | NewSession<Data> = {}): Promise<InjectHeaders> {
    const { token } = session instanceof TokenSession ? session : await this.create(session)
    return { headers: headersOf(this.#settings.transport, token) }
  }

  /**
   * For tests of an app's routes: the session whose token a reply, of `app.inject()` or of `fetch()`, gives its client. `undefined` if it gives
   * none or takes it away, or if the session is over.
   * @throws OptionError (`FST_SESSION_OPTION`) for a transport without `receive()`
   */
  async sessionOf (reply: ReplyHeaders): Promise<TokenSession<Data> | undefined> {
    const token = tokenIn(this.#settings.transport, reply)
    return token === undefined ? undefined : this.load(token)
  }

  /** @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`) if the store's server answers, and cannot be used */
  readonly checkAtBoot: BootCheck['checkAtBoot'] = (log) => checkSettings(this.#settings, log)

  /**
   * Writes a session of no visitor, reads it and ends it, for readiness probes. A full store is only read.
   * @throws OptionError (`FST_SESSION_OPTION`), and nothing else
   */
  readonly ping: Pinging['ping'] = pingOf(() => pingStore(this.#settings))

  /** Frees the provider's own timers, subscriptions and signals. What it was given, a Redis client say, stays open. */
  async close (): Promise<void> {
    await Promise.all([...this.#settings.followers].map((follower) => follower.close()))
    await this.#settings.store.close()
  }

  #opener (own: Checked<TokenRouteOptions & TokenCallOptions>): SessionOpener<Promise<TokenSession>> {
    const { ttl, maxAge, load, onStoreError } = { ...this.#options, ...own }
    return requestSessions({ ...this.#settings, lifetime: { ttl, maxAge }, onStoreError }, load === 'onRequest', own)
  }

  /** A session outside of a request: its user commits it. */
  #session (call: string, identity: Identity, record: SessionRecord): TokenSession<Data> {
    const context = { route: call, request: undefined, reply: undefined, log: undefined, canSendHeaders: true, isConditional: true }
    return new TokenSession<Data>(new SessionState({ ...this.#settings, onStoreError: 'fail' }, context).opened(identity, record))
  }

  async #load (token: string, call: string): Promise<TokenSession<Data> | undefined> {
    const id = idOf(token)
    return callStore(() => this.#settings.store.load(id), (found) => found === undefined || 'successor' in found ? undefined : this.#session(call, { token, id }, found))
  }
}
