import { inspect } from 'node:util'
import { channels, type SessionEvent } from '../core/events.js'
import type { OpenContext, OpenSession, SessionOpener } from '../core/provider.js'
import { SessionNotLoadedError } from '../errors.js'
import type { SessionRecord } from '../stores/store.js'
import { nothing } from '../util/maybe-promise.js'
import { storeFailure, save } from './persistence.js'
import { isPastMaxAge } from './expiry.js'
import { SessionState, type Identity, type SessionSettings } from './session-state.js'
import { TokenSession } from './session.js'
import { idOf } from './tokens.js'
import type { PlacedTransport } from './transport.js'

/** Opens the sessions of one route, or (with a token) of one call outside of a request. */
export function requestSessions (settings: SessionSettings, early: boolean, token?: string): SessionOpener<Promise<TokenSession>> {
  return {
    early,
    open: (context) => new RequestSession(settings, context, token),
    standIn: (open) => new StandIn(open),
  }
}

/** A token session within one scope: read at first use, saved at commit. It holds nothing between the two. */
class RequestSession extends SessionState implements OpenSession<Promise<TokenSession>> {
  readonly readableAfterEnd = true
  readonly session: Promise<TokenSession>
  /** The user's view, once the session is loaded. */
  loaded: TokenSession | undefined = undefined
  /** The work that the request's commit has failed to save. */
  #unsaved: string | undefined = undefined

  constructor (settings: SessionSettings, context: OpenContext, token?: string) {
    super(settings, context)
    const given = context.request === undefined ? token : settings.transport.read(context.request)
    const session = typeof given === 'string' && settings.tokens.valid(given) ? this.#read(given) : Promise.resolve(this.#take(undefined, undefined))
    this.session = Object.setPrototypeOf(session, unloadedPrototype) as Promise<TokenSession>
    ;(this.session as Promise<TokenSession> & Unloaded)[kState] = this
  }

  beforeHeaders (): void {
    if (this.isTokenSent) this.#protect()
    if (this.loaded !== undefined) this.announce()
  }

  commit (): Promise<void> | undefined {
    // A session that could not be loaded was reported to its user.
    if (this.loaded === undefined) return this.session.then(() => this.commit(), nothing)
    if (this.isTokenSent) this.#protect()
    try {
      return save(this)?.catch((error: unknown) => this.#saveFailed(error))
    } catch (error) {
      this.#saveFailed(error)
      return undefined
    }
  }

  close (): void {
    if (this.isSaved && !this.isDegraded && this.isDirty) {
      this.warn('the session was changed after it was saved: that was not kept. Call commit() after the last change.')
    } else if (!this.isSaved && this.#unsaved !== undefined && this.#unsaved !== this.#work()) {
      this.warn('the session was changed after its commit had failed: that was not kept. Call commit() after the last change.')
    }
    this.phase = 'closed'
  }

  #read (token: string): Promise<TokenSession> {
    const identity = { token, id: idOf(token) }
    try {
      const record = this.settings.store.load(identity.id)
      if (record === undefined || !('then' in record)) return Promise.resolve(this.#take(identity, record))
      return record.then((record) => this.#take(identity, record), (error: unknown) => this.#storeFailed(error))
    } catch (error) {
      return Promise.resolve(error).then((error: unknown) => this.#storeFailed(error))
    }
  }

  /** Takes the answer of the store: without a record the session is new. */
  #take (identity: Identity | undefined, record: SessionRecord | undefined): TokenSession {
    if (record !== undefined && !isPastMaxAge(record, this.settings.lifetime)) {
      this.opened(identity, record)
    } else {
      if (identity !== undefined) this.#publishExpiry()
      this.opened(undefined, undefined)
    }
    const session = new TokenSession(this)
    this.loaded = session
    return session
  }

  /** All that waits to be saved, as a text to compare. */
  #work (): string {
    const { draft, ttl, nextToken, nextSubject, isEnded } = this
    try {
      return inspect([draft.texts(), ttl, nextToken, nextSubject, isEnded], { maxArrayLength: null, maxStringLength: null })
    } catch {
      return 'a value that JSON does not keep'
    }
  }

  #publishExpiry (): void {
    const { name, route } = this.context as OpenContext
    if (channels.expire.hasSubscribers) channels.expire.publish({ name, kind: 'token', route } satisfies SessionEvent)
  }

  /** A token may have been sent by `commit()` in the handler, before the reply's headers and status were final. */
  #protect (): void {
    const { reply } = this.context
    if (reply !== undefined && this.canSendToken) (this.settings.transport as Partial<PlacedTransport>).protect?.(reply)
  }

  /** @throws the store's error, unless the route's visitors are anonymous then */
  #storeFailed (error: unknown): TokenSession {
    this.session.catch(nothing) // a handler that does not wait for it has not failed
    this.degrade(storeFailure(error))
    return this.#take(undefined, undefined)
  }

  /** A mere use that could not be noted is no failure where visitors may be anonymous. */
  #saveFailed (err: unknown): void {
    if (this.settings.onStoreError === 'fail' || this.isDirty) {
      this.#unsaved = this.#work()
      throw err
    }
    const { log, route } = this.context
    log?.error({ err, route }, 'the expiry of the session could not be written')
  }
}

const kState = Symbol('fastify-request-session.state')

interface Unloaded { [kState]: RequestSession }

/** The members of a session, for promises of one: a method or a getter by its name. */
const members = Object.entries(Object.getOwnPropertyDescriptors(TokenSession.prototype)).filter(([name]) => !['constructor', 'then', 'toJSON'].includes(name))

/**
 * A promise whose session members say that the session is not loaded. After the request's end they read it, so that
 * a log serializer may look. It is still a promise, and awaits as fast as any.
 */
const unloadedPrototype = Object.create(Promise.prototype, Object.fromEntries(members.map(([name, { value }]) => {
  function member (this: Unloaded, args: unknown[]): unknown {
    const { loaded, phase } = this[kState]
    if (phase !== 'closed') throw new SessionNotLoadedError(typeof value === 'function' ? `${name}()` : name)
    if (loaded === undefined) return undefined
    return typeof value === 'function' ? Reflect.apply(value, loaded, args) : Reflect.get(loaded, name)
  }
  return [name, typeof value === 'function'
    ? { value (this: Unloaded, ...args: unknown[]) { return Reflect.apply(member, this, [args]) } }
    : { get (this: Unloaded) { return Reflect.apply(member, this, [[]]) } }]
}))) as object

/** Members that only look: without a session they give `undefined`. */
const looks = new Set(['get', 'has', 'keys', 'entries', 'find', 'data', 'size', 'token', 'name', 'shared', 'subject', 'isNew', 'ended', 'createdAt', 'expiresAt', 'ttl'])

/** A session that nobody has opened: it is opened once it is awaited, and a mere look finds nothing. */
class StandIn implements Promise<TokenSession> {
  readonly [Symbol.toStringTag] = 'Promise'
  readonly #open: () => Promise<TokenSession>

  static {
    for (const [name, { value }] of members) {
      const get = (): unknown => {
        if (!looks.has(name)) throw new SessionNotLoadedError(name)
        return undefined
      }
      Object.defineProperty(this.prototype, name, typeof value === 'function' ? { value: get } : { get })
    }
  }

  constructor (open: () => Promise<TokenSession>) {
    this.#open = open
  }

  then<A = TokenSession, B = never> (
    onFulfilled?: ((session: TokenSession) => A | PromiseLike<A>) | null, onRejected?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    return this.#opened().then(onFulfilled, onRejected)
  }

  catch<B = never> (onRejected?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<TokenSession | B> {
    return this.#opened().catch(onRejected)
  }

  finally (onFinally?: (() => void) | null): Promise<TokenSession> {
    return this.#opened().finally(onFinally)
  }

  async #opened (): Promise<TokenSession> {
    return this.#open()
  }
}
