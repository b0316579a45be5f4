import { AsyncResource } from 'node:async_hooks'
import { report } from '../../core/events.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { SessionSummary, StoreEvent, StoreWatch } from '../../stores/optional-interfaces.js'
import type { SessionStore } from '../../stores/store.js'
import { callStore } from '../call-store.js'
import { elapsed } from '../../util/elapsed.js'
import { nothing } from '../../util/maybe-promise.js'

/** Milliseconds until a store that failed is called again, at first and at most. */
const firstPause = 250
const longestPause = 8000
/** The least and the most milliseconds that a timer waits. */
const minDelay = 20
const maxDelay = 2_147_483_647
/** A session that is missing this many milliseconds before its time counts as expired: timers and clocks are not more accurate. */
const tolerance = 100

/**
 * Follows one session for one listener. The store reports commits and the end; expiry is detected here, by reading
 * the store when the time is up. Redis's keyspace events would not do: a server may not allow them, sends them only when
 * it deletes the key, and does not repeat them after a lost connection.
 *
 * @example
 * ```ts
 * import { tokenSessions, type Subscription } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const { token } = await users.create()
 * const subscription: Subscription | undefined = await users.subscribe({ token }, (update) => console.log(update))
 * await subscription?.close()
 * ```
 */
export class Subscription {
  readonly #store: SessionStore
  readonly #id: string
  readonly #queue: UpdateQueue
  readonly #closed: (subscription: Subscription) => void
  #watch: StoreWatch | undefined
  #timer: NodeJS.Timeout | undefined
  /** The expiry, by `elapsed()`; `Infinity`: never; `undefined` until it is known. */
  #end: number | undefined
  #look: 'none' | 'under way' | 'outdated' = 'none'
  #pause = firstPause
  /** True if events may have been lost. */
  #missed = false
  /** The reported end that the store has not confirmed yet. */
  #reported: SessionUpdate | undefined
  #over = false

  /** @internal Subscriptions come from `subscribe()`. */
  constructor (store: SessionStore, id: string, listener: UpdateListener, closed: (subscription: Subscription) => void) {
    this.#store = store
    this.#id = id
    this.#queue = new UpdateQueue(listener)
    this.#closed = closed
  }

  /** True once no update will follow: the subscription was closed, or the session is gone. */
  get closed (): boolean {
    return this.#over
  }

  /** @internal Begins to watch. @returns false, without an update, if there is no such session */
  async start (): Promise<boolean> {
    const watch = await requireInterface('watch', this.#store, 'subscribe()').watch(this.#id, (event) => this.#take(event))
    if (watch === undefined) return false
    this.#watch = watch
    let found: SessionSummary | undefined
    try {
      found = await callStore(() => watch.look())
      if (found !== undefined && this.#end === undefined) this.#expectEnd(found.timeLeft)
    } finally {
      if (found === undefined) await this.close()
      if (this.#over) await watch.stop()
    }
    if (found !== undefined) this.#queue.start()
    return found !== undefined
  }

  /** Stops: the listener is not called any more, but may still be running. */
  async close (): Promise<void> {
    this.#queue.clear()
    await this.#stop()
  }

  #take (event: StoreEvent): void {
    if (this.#over) return
    switch (event.type) {
      case 'changed':
        if (event.keys.length > 0) this.#queue.changed(event.keys)
        if (event.timeLeft !== undefined) this.#expectEnd(event.timeLeft)
        break
      case 'ended':
        this.#reported = event
        this.#check()
        break
      case 'interrupted':
        this.#missed = true
        this.#check()
    }
  }

  #expectEnd (timeLeft: number | null): void {
    this.#end = timeLeft === null ? Infinity : elapsed() + timeLeft
    if (this.#look === 'under way') this.#look = 'outdated'
    this.#checkIn(timeLeft)
  }

  #checkIn (ms: number | null): void {
    clearTimeout(this.#timer)
    if (ms !== null && !this.#over) this.#timer = setTimeout(() => this.#check(), Math.min(maxDelay, Math.max(minDelay, ms + 1))).unref()
  }

  /** Reads the session: only the store is trusted, since any client can publish on a channel of Redis. One read at a time. */
  #check (): void {
    const watch = this.#watch
    if (watch === undefined) return // it has only begun, and is about to look
    const isUnderWay = this.#look !== 'none'
    this.#look = isUnderWay ? 'outdated' : 'under way'
    if (isUnderWay) return
    new Promise<SessionSummary | undefined>((resolve) => { resolve(watch.look()) }).then((found) => {
      const isOutdated = this.#look === 'outdated'
      this.#look = 'none'
      this.#pause = firstPause
      if (this.#over) return
      if (isOutdated) this.#check()
      else this.#found(found)
    }, () => {
      this.#look = 'none'
      this.#checkIn(this.#pause)
      this.#pause = Math.min(longestPause, this.#pause * 2)
    })
  }

  #found (found: SessionSummary | undefined): void {
    const isDue = elapsed() + tolerance >= (this.#end ?? Infinity)
    if (found === undefined) {
      this.#queue.add(this.#reported ?? (isDue ? { type: 'expired' } : { type: 'ended', renewed: false }))
      this.#stop().catch(nothing) // a connection that cannot be stopped is lost anyway
      return
    }
    if (!found.deleteSession && found.size === 0 && isDue) this.#queue.add({ type: 'expired' })
    else if (this.#missed) this.#queue.changed(undefined)
    this.#missed = false
    this.#reported = undefined
    this.#expectEnd(found.timeLeft)
  }

  async #stop (): Promise<void> {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#closed(this)
    await this.#watch?.stop()
  }
}

/**
 * An update of a session, for a subscriber.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionUpdate } from 'fastify-request-session'
 *
 * function print (update: SessionUpdate): void {
 *   console.log(update.type === 'changed' ? update.keys ?? 'unknown keys' : update.type)
 * }
 * const users = tokenSessions()
 * await users.subscribe({ token: (await users.create()).token }, print)
 * ```
 */
export type SessionUpdate =
  /**
   * Keys were written or removed. `undefined`: there were too many, or the connection was lost for a while; read the
   * session.
   */
  | { readonly type: 'changed', readonly keys: readonly string[] | undefined }
  /** The time is up: the session is gone, or (with `deleteSession: false`) its data. */
  | { readonly type: 'expired' }
  /** The session was ended (`reason`: by `maxSessions` of its subject) or, if `renewed`, got another token, which is not part of the update. */
  | { readonly type: 'ended', readonly renewed: boolean, readonly reason?: 'limit' }

/**
 * Receives one update at a time: the next one waits for the promise of the last.
 *
 * @example
 * ```ts
 * import { tokenSessions, type UpdateListener } from 'fastify-request-session'
 *
 * const listener: UpdateListener = async ({ type }) => console.log(type)
 * const users = tokenSessions()
 * const session = await users.create()
 * await users.subscribe({ token: session.token }, listener)
 * session.set('fruit', 'fig')
 * await session.commit()
 * ```
 */
export type UpdateListener = (update: SessionUpdate) => unknown

/** Maximum keys of one update, and maximum waiting updates. */
const maxKeys = 1000
const maxUpdates = 100

/**
 * Updates that wait for a listener. For a slow listener several changes are merged, so that the queue is bounded; the
 * end is never lost.
 */
export class UpdateQueue {
  readonly #listener: UpdateListener
  #waiting: SessionUpdate[] = []
  #state: 'unstarted' | 'idle' | 'delivering' = 'unstarted'

  /** @param listener it runs in the AsyncLocalStorage context of this call, not in that of the writer */
  constructor (listener: UpdateListener) {
    this.#listener = AsyncResource.bind(listener)
  }

  /** Delivers the waiting updates in a later turn of the event loop, and from then on each new one. */
  start (): void {
    this.#state = 'idle'
    setImmediate(() => this.#deliver())
  }

  /** @param keys `undefined`: not known */
  changed (keys: readonly string[] | undefined): void {
    const last = this.#waiting.at(-1)
    const all = last?.type !== 'changed' ? keys : keys && last.keys && [...new Set([...last.keys, ...keys])]
    const update: SessionUpdate = { type: 'changed', keys: all && all.length <= maxKeys ? all : undefined }
    if (last?.type === 'changed') this.#waiting[this.#waiting.length - 1] = update
    else this.add(update)
  }

  add (update: SessionUpdate): void {
    if (this.#waiting.length === maxUpdates) this.#waiting = [{ type: 'changed', keys: undefined }]
    this.#waiting.push(update)
    if (this.#state === 'idle') this.#deliver()
  }

  clear (): void {
    this.#waiting = []
  }

  async #deliver (): Promise<void> {
    if (this.#state !== 'idle') return
    this.#state = 'delivering'
    for (let update = this.#waiting.shift(); update !== undefined; update = this.#waiting.shift()) {
      try {
        await this.#listener(update)
      } catch (error) {
        report(undefined, 'warn', { err: error }, 'a listener of subscribe() failed')
      }
    }
    this.#state = 'idle'
  }
}
