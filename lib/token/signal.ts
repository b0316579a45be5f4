import type { Socket } from 'node:net'
import { SessionOverError } from '../errors.js'
import { report } from '../core/events.js'
import { requireInterface } from '../stores/contract-helpers.js'
import type { SessionStore } from '../stores/store.js'
import { nothing } from '../util/maybe-promise.js'
import { Subscription, type SessionUpdate } from './manage/subscribe.js'
import { look } from './look.js'
import { signals, type Following, type SessionState } from './session-state.js'

/** Milliseconds until a store that failed is called again, at first and at most. */
const firstPause = 250
const longestPause = 8000

/**
 * The signal of a session, which is followed from the first call. Each call returns the same one.
 * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`); SessionClosedError (`FST_SESSION_CLOSED`) at a first call after the request's end
 */
export function signalOf (state: SessionState): AbortSignal {
  const known = signals.get(state) as SessionSignal | undefined
  if (known === undefined) return follow(state).signal
  known.tellUser()
  return known.signal
}

/** Stops following a session. The next call of `signalOf` starts again. */
export function releaseSignal (state: SessionState): void {
  signals.get(state)?.release()
  if (state.phase !== 'closed') signals.delete(state)
}

/** Closes the socket of an upgraded request once its session is over, unless the handler has read the signal by then: then the handler decides. */
export function closeAtEnd (state: SessionState, socket: Socket): void {
  if ('watch' in state.settings.store) follow(state, socket)
}

function follow (state: SessionState, socket?: Socket): SessionSignal {
  const signal = new SessionSignal(state, socket)
  signals.set(state, signal)
  return signal
}

/** The stores that failed to follow a session: logged once. */
const failing = new WeakSet<SessionStore>()

/** Aborts a signal once the store confirms that the session is over. A session that this request renews itself stays followed. */
class SessionSignal implements Following {
  readonly #state: SessionState
  readonly #controller = new AbortController()
  /** The socket to close; `undefined`: the signal aborts instead. */
  #socket: Socket | undefined
  #subscription: Subscription | undefined
  #retry: NodeJS.Timeout | undefined
  #pause = firstPause
  #isReleased = false

  constructor (state: SessionState, socket?: Socket) {
    if (state.phase === 'closed') state.refuseWrites()
    requireInterface('watch', state.settings.store, 'session.signal')
    this.#state = state
    this.#socket = socket
    if (state.phase === 'live') this.stored()
    else this.#abort(state.phase === 'renewed' ? 'renewed' : 'ended')
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  tellUser (): void {
    this.#socket = undefined
  }

  /** Follows the session, if the store has it. */
  stored (): void {
    const { identity, settings: { store, followers } } = this.#state
    if (identity === undefined || this.#isReleased) return
    followers.add(this)
    this.#subscription?.close().catch(nothing)
    const failed = (error: unknown): void => this.#failed(error)
    const subscription: Subscription = new Subscription(store, identity.id, (update) => this.#take(subscription, identity.id, update).catch(failed), nothing)
    this.#subscription = subscription
    subscription.start().then((isThere) => {
      this.#pause = firstPause
      failing.delete(store)
      return isThere ? undefined : this.#take(subscription, identity.id)
    }).catch(failed)
  }

  close (): Promise<void> | undefined {
    this.#isReleased = true
    clearTimeout(this.#retry)
    this.#state.settings.followers.delete(this)
    return this.#subscription?.close()
  }

  release (): void {
    this.close()?.catch(nothing) // a connection that cannot be stopped is lost anyway
  }

  #failed (err: unknown): void {
    if (this.#isReleased) return
    const { settings: { store }, context: { log, route } } = this.#state
    if (!failing.has(store)) report(log, 'warn', { err, route }, 'the end of a session cannot be followed: its signal waits until the store can be asked again')
    failing.add(store)
    this.#retry = setTimeout(() => this.stored(), this.#pause).unref()
    this.#pause = Math.min(longestPause, this.#pause * 2)
  }

  /**
   * @param update `undefined`: the store has no such session any more
   * @throws the error of a store that cannot say why
   */
  async #take (subscription: Subscription, id: string, update?: SessionUpdate): Promise<void> {
    if (update?.type === 'changed') return
    const state = this.#state
    const why = update?.type === 'expired' ? 'expired' : update?.renewed ? 'renewed' : update?.reason ?? await this.#whyGone(id, update)
    // A save under way may be the very one that has given the session another id. Any other one tells its user itself that the session is over.
    while (state.saving !== undefined) await state.saving.catch(nothing)
    if (this.#isReleased || this.#subscription !== subscription) return
    const goesOn = state.phase === 'live' && state.identity?.id !== id && !state.isSuperseded
    if (goesOn) this.stored()
    else this.#abort(why)
  }

  /** Tells a session that has a successor from one that has none, which the feed need not have told. */
  async #whyGone (id: string, update: SessionUpdate | undefined): Promise<SessionOverError['why']> {
    const { settings: { store }, record } = this.#state
    const found = await look(store, id)
    if (found !== undefined && 'successor' in found) return 'renewed'
    const wasDue = record !== undefined && record.expiresAt !== null && record.expiresAt <= Date.now()
    return update === undefined && wasDue ? 'expired' : 'ended'
  }

  #abort (why: SessionOverError['why']): void {
    this.release()
    this.#state.over(why)
    this.#controller.abort(new SessionOverError(this.#state.context.route, why))
    this.#socket?.destroySoon()
  }
}
