import { checkOptions, describeType, rules, show, type Rule } from '../util/option-rules.js'
import { NameError, NoSecretError, OptionError, SessionExistsError, StoreUnavailableError } from '../errors.js'
import { requireInterface } from '../stores/require-interface.js'
import type { SessionRecord } from '../stores/store.js'
import { deadline } from './expiry.js'
import { infoOf, lookUp, type SessionInfo } from './manage/info.js'
import { checkName, newGeneration, type SharedTokens } from './names.js'
import { SessionLife, type Identity, type SessionHome } from './session-state.js'
import { TokenSession, type SessionData } from './session.js'
import { CodeOwner } from './code-owner.js'
import { ask } from './ask-store.js'
import { idOf } from './tokens.js'
import { checkKey, checkValue, isStorableObject } from './values.js'

/** A session as it is created outside of a request. */
export interface NewSession<Data extends object = SessionData> {
  /** 1 to 256 characters. A shared session needs one; two sessions that are not shared may have the same. */
  name?: string | undefined
  /** Whether any process can open it by its name: the token follows from that, under the provider's `secret`. @default false */
  shared?: boolean | undefined
  /** Seconds that it lives without being used; `null`: for ever. @default the provider's */
  ttl?: number | null | undefined
  /** Seconds that it lives at the most; `null`: for ever. @default the provider's */
  maxAge?: number | null | undefined
  /** `false`: when it expires its data is deleted, and the session itself stays, empty, its token valid. @default the provider's */
  deleteSession?: boolean | undefined
  /** Whom it belongs to: 1 to 256 characters. */
  subject?: string | undefined
  /** What it begins with. */
  data?: Partial<Data> | undefined
}

/**
 * Which session is meant: a text is a token. `name` is that of a shared session, `id` what a listing says: a session
 * can be told of and ended by its id, but not opened.
 */
export type SessionAddress = string | { readonly token: string } | { readonly name: string } | { readonly id: string }

/** Which of some tokens belong to a session. */
export interface ExistingSessions {
  readonly count: number
  readonly tokens: readonly string[]
}

const newSessionRules: Record<keyof NewSession, Rule> = {
  name: { allowed: 'a text', test: () => true },
  shared: rules.boolean,
  ttl: rules.seconds,
  maxAge: rules.seconds,
  deleteSession: rules.boolean,
  subject: { allowed: 'a text', test: () => true },
  data: { allowed: 'a plain object without getters, hidden properties and symbols as keys', test: isStorableObject },
}

/** So many random tokens that are taken are no coincidence. */
const maxTokens = 3
/** Sessions that are asked for at once. */
const atOnce = 256

/** Opens, makes, ends and tells of token sessions, for code that is not in a request. It needs the small contract of a store. */
export class SessionManager<Data extends object> {
  protected readonly home: SessionHome
  readonly #shared: SharedTokens | undefined

  constructor (home: SessionHome, shared: SharedTokens | undefined) {
    this.home = home
    this.#shared = shared
  }

  /**
   * Makes a session, which the store has from then on. What is changed in it later counts with `await session.commit()`.
   *
   * @throws SessionExistsError (`FST_SESSION_EXISTS`) if there is a shared session of this name; NameError
   *   (`FST_SESSION_NAME`), NoSecretError (`FST_SESSION_NO_SECRET`), OptionError, KeyError, ValueError
   */
  async create (options: NewSession<Data> = {}): Promise<TokenSession<Data>> {
    const call = 'create()'
    const checked = checkOptions<NewSession>(call, options, newSessionRules)
    const { name, shared = false, subject } = checked
    if (name !== undefined) checkName(`${call}: name`, name)
    if (shared && name === undefined) throw new NameError(`${call}: name`, 'a shared session needs one.')
    if (subject !== undefined) {
      checkName(`${call}: subject`, subject)
      requireInterface('subjects', this.home.store, `${call} with a subject`)
    }
    const record = this.#newRecord(checked)
    const identity = shared ? await this.#createShared(name as string, record) : await this.#createOwn(record)
    return new TokenSession<Data>(new SessionLife(this.home, new CodeOwner(call), identity, record))
  }

  /**
   * The shared session of a name; `undefined` if there is none.
   * @throws NameError (`FST_SESSION_NAME`), NoSecretError (`FST_SESSION_NO_SECRET`)
   */
  async open (name: string): Promise<TokenSession<Data> | undefined> {
    for (const token of this.#tokensOf(name, 'open()')) {
      const session = await this.#load(token, 'open()')
      if (session?.shared) return session
    }
    return undefined
  }

  /** The session of a token; `undefined` if there is none. Reading alone does not prolong its life: `touch()` and `commit()` do. */
  async load (token: string): Promise<TokenSession<Data> | undefined> {
    return this.home.tokens.valid(token) ? this.#load(token, 'load()') : undefined
  }

  /** Deletes a session and its data. `false` if there was none. */
  async end (address: SessionAddress): Promise<boolean> {
    const { store } = this.home
    const ended = await Promise.all(this.idsAt(address, 'end()').map((id) => ask(() => store.end(id), (ended) => ended)))
    return ended.includes(true)
  }

  /** Which of these tokens belong to a session. */
  async exists (tokens: string | Iterable<string>): Promise<ExistingSessions> {
    const asked = typeof tokens === 'string' ? [tokens] : [...new Set(tokens)]
    const existing: string[] = []
    for (let i = 0; i < asked.length; i += atOnce) {
      const some = asked.slice(i, i + atOnce)
      const found = await Promise.all(some.map((token) => this.home.tokens.valid(token) ? lookUp(this.home.store, idOf(token)) : undefined))
      existing.push(...some.filter((_, n) => found[n] !== undefined))
    }
    return { count: existing.length, tokens: existing }
  }

  /** What a session is, but for its data and its token. `undefined` if there is none. */
  async info (address: SessionAddress): Promise<SessionInfo | undefined> {
    for (const id of this.idsAt(address, 'info()')) {
      const summary = await lookUp(this.home.store, id)
      if (summary !== undefined) return infoOf(id, summary, this.home.lifetime)
    }
    return undefined
  }

  /** Frees what the provider itself holds: timers and subscriptions. What it was given, a Redis client say, stays open. */
  async close (): Promise<void> {
    await this.home.store.close()
  }

  /** The ids that a session may be found under: one, or one for each secret. None for what can be no token. */
  protected idsAt (address: SessionAddress, call: string): string[] {
    if (typeof address === 'string') return this.home.tokens.valid(address) ? [idOf(address)] : []
    const { token, name, id } = Object(address) as { token?: unknown, name?: unknown, id?: unknown }
    if (typeof token === 'string') return this.idsAt(token, call)
    if (name !== undefined) return this.#tokensOf(name, call).map(idOf)
    if (typeof id === 'string') return [id]
    throw new OptionError(call, `a session is addressed by its token, { token }, { name } or { id }; got ${describeType(address)}`)
  }

  #tokensOf (name: unknown, call: string): readonly [string, ...string[]] {
    const checked = checkName(`${call}: name`, name)
    if (this.#shared === undefined) throw new NoSecretError(call)
    return this.#shared.of(checked)
  }

  #newRecord ({ name, shared, ttl, maxAge, deleteSession, subject, data = {} }: NewSession): SessionRecord {
    const fields = new Map<string, string>()
    for (const [key, value] of Object.entries(data)) {
      checkKey(key)
      if (value !== undefined) fields.set(key, JSON.stringify(checkValue(key, value)))
    }
    const { lifetime } = this.home
    const now = Date.now()
    const own = { ttl: ttl === undefined ? lifetime.ttl : ttl, maxAge: maxAge === undefined ? lifetime.maxAge : maxAge }
    return {
      fields,
      createdAt: now,
      expiresAt: deadline(now, now, own),
      ttl,
      maxAge,
      deleteSession: deleteSession ?? this.home.deleteSession,
      name,
      generation: shared ? newGeneration() : undefined,
      subject,
    }
  }

  async #createOwn (record: SessionRecord): Promise<Identity> {
    for (let i = 0; i < maxTokens; i++) {
      const identity = await this.#create(this.home.tokens.create(), record)
      if (identity !== undefined) return identity
    }
    throw new StoreUnavailableError('the ids of new sessions are taken')
  }

  /** There is one session of a name, under whichever secret: one that was made under an older secret counts until it ends. */
  async #createShared (name: string, record: SessionRecord): Promise<Identity> {
    const [newest, ...older] = this.#tokensOf(name, 'create()')
    for (const token of older) if (await lookUp(this.home.store, idOf(token)) !== undefined) throw new SessionExistsError(show(name))
    const identity = await this.#create(newest, record)
    if (identity === undefined) throw new SessionExistsError(show(name))
    return identity
  }

  async #create (token: string, record: SessionRecord): Promise<Identity | undefined> {
    const id = idOf(token)
    const created = await ask(() => this.home.store.create(id, record), (created) => created)
    return created ? { token, id } : undefined
  }

  async #load (token: string, call: string): Promise<TokenSession<Data> | undefined> {
    const id = idOf(token)
    const record = await ask(() => this.home.store.load(id), (record) => record)
    return record && new TokenSession<Data>(new SessionLife(this.home, new CodeOwner(call), { token, id }, record))
  }
}
