import { SessionNotLoadedError } from '../errors.js'
import { channels, type SessionEvent } from '../core/events.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import type { OpenContext, OpenSession } from '../core/provider.js'
import type { SessionRecord } from '../stores/store.js'
import { isTooOld } from './expiry.js'
import { SessionLife, type Identity, type SessionHome, type SessionOwner } from './session-state.js'
import { TokenSession } from './session.js'
import { storeFailure } from './ask-store.js'
import { idOf } from './tokens.js'
import type { PlacedTransport, TokenTransport } from './transport.js'

/** How one route (or call) opens token sessions: checked and merged once. */
export interface OpeningRules {
  readonly home: SessionHome
  readonly transport: TokenTransport
  readonly onStoreError: 'fail' | 'anonymous'
  /** The token to open, where it does not come from a request. */
  readonly token?: string | undefined
}

/** A token session within one scope: loaded at first use, saved at commit. It holds nothing between the two. */
export class OpenTokenSession implements OpenSession<Promise<TokenSession>>, SessionOwner {
  readonly session: Promise<TokenSession>
  readonly #rules: OpeningRules
  readonly #context: OpenContext
  #life: SessionLife | undefined
  #committed = false
  #cutOff = false

  constructor (rules: OpeningRules, context: OpenContext) {
    this.#rules = rules
    this.#context = context
    this.session = asUnloaded(this.#load())
  }

  beforeHeaders (): void {
    this.#protect()
    this.#life?.announce()
  }

  commit (): MaybePromise<void> {
    this.#protect()
    return this.#life === undefined ? this.#commitOnceLoaded() : this.#commit(this.#life)
  }

  rollback (): void {}

  /** A token may have been written by `commit()` in the handler, before the reply's headers and status were final. */
  #protect (): void {
    const { reply } = this.#context
    if (reply !== undefined && this.reachable) (this.#rules.transport as Partial<PlacedTransport>).protect?.(reply)
  }

  close (): void {
    if (this.#life === undefined) return
    if (this.#committed && !this.#cutOff && this.#life.isDirty) {
      this.warn('the session was changed after it was saved: that was not kept. Call commit() after the last change.')
    }
    this.#life.close()
  }

  get route (): string { return this.#context.route }

  get cutOff (): boolean { return this.#cutOff }

  get reachable (): boolean { return this.#context.reply?.raw.headersSent !== true }

  tell (token: string, expiresAt: number | null): void {
    const { reply } = this.#context
    if (reply !== undefined && !this.#cutOff) this.#rules.transport.write(reply, token, expiresAt)
  }

  forget (): void {
    const { reply } = this.#context
    if (reply !== undefined && this.reachable && !this.#cutOff) this.#rules.transport.write(reply, undefined, null)
  }

  warn (problem: string): void {
    const { log, route } = this.#context
    if (log !== undefined) log.warn({ route }, `${route}: ${problem}`)
    else process.emitWarning(`${route}: ${problem}`, 'FastifyRequestSessionWarning')
  }

  cutOffFor (error: unknown): void {
    if (this.#rules.onStoreError === 'fail') throw error
    this.#cutOff = true
    this.#context.log?.error({ err: error, route: this.route }, 'the session cannot be read: the visitor is anonymous')
  }

  #load (): Promise<TokenSession> {
    const { transport, home } = this.#rules
    const { request } = this.#context
    const token = request === undefined ? this.#rules.token : transport.read(request)
    if (typeof token !== 'string' || !home.tokens.valid(token)) return Promise.resolve(this.#opened())
    const identity = { token, id: idOf(token) }
    try {
      const record = home.store.load(identity.id)
      if (!isPromise(record)) return Promise.resolve(this.#found(identity, record))
      return record.then((record) => this.#found(identity, record), (error: unknown) => this.#storeFailed(error))
    } catch (error) {
      return Promise.resolve(error).then((error: unknown) => this.#storeFailed(error))
    }
  }

  #found (identity: Identity, record: SessionRecord | undefined): TokenSession {
    if (record !== undefined && !isTooOld(record, this.#rules.home.lifetime)) return this.#opened(identity, record)
    if (channels.expire.hasSubscribers) channels.expire.publish({ name: this.#context.name, kind: 'token', route: this.route } satisfies SessionEvent)
    return this.#opened()
  }

  #opened (identity?: Identity, record?: SessionRecord): TokenSession {
    this.#life = new SessionLife(this.#rules.home, this, identity, record)
    return new TokenSession(this.#life)
  }

  /** @throws what the store failed with, unless the route says that its visitors are anonymous then */
  #storeFailed (error: unknown): TokenSession {
    this.session.catch(nothing) // a handler that does not wait for it has not failed
    this.cutOffFor(storeFailure(error))
    return this.#opened()
  }

  async #commitOnceLoaded (): Promise<void> {
    try {
      await this.session
    } catch {
      return // whoever used the session has been told
    }
    if (this.#life !== undefined) await this.#commit(this.#life)
  }

  #commit (life: SessionLife): MaybePromise<void> {
    try {
      const saved = life.save()
      if (isPromise(saved)) return saved.then(() => { this.#committed = true }, (error: unknown) => this.#saveFailed(life, error))
      this.#committed = true
    } catch (error) {
      this.#saveFailed(life, error)
    }
  }

  /** A mere use that could not be noted is no failure where visitors may be anonymous. */
  #saveFailed (life: SessionLife, error: unknown): void {
    if (this.#rules.onStoreError === 'fail' || life.isDirty) throw error
    this.#context.log?.error({ err: error, route: this.#context.route }, 'the expiry of the session could not be written')
  }
}

/** A promise whose session methods say what is missing: it is still a promise, and awaits as fast as any. */
const unloadedPrototype = Object.create(Promise.prototype, Object.fromEntries(
  Object.entries(Object.getOwnPropertyDescriptors(TokenSession.prototype))
    .filter(([name]) => name !== 'constructor')
    .map(([name, { value }]) => {
      const refuse = (): never => { throw new SessionNotLoadedError(typeof value === 'function' ? `${name}()` : name) }
      return [name, typeof value === 'function' ? { value: refuse } : { get: refuse }]
    }))) as object

function asUnloaded (promise: Promise<TokenSession>): Promise<TokenSession> {
  return Object.setPrototypeOf(promise, unloadedPrototype) as Promise<TokenSession>
}
