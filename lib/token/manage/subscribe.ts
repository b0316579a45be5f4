import { AsyncResource } from 'node:async_hooks'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { SessionStore, StoreEvent, StoreWatch } from '../../stores/store.js'
import { lookUp } from './list.js'
import { nothing } from '../../util/maybe-promise.js'

/** Milliseconds until the next check of a session that is overdue by this clock, or whose store failed. */
const checkAgainAfter = 250
/** The longest that a timer can wait, in milliseconds. */
const maxDelay = 2_147_483_647

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
  #generation: string | undefined
  /** The expiry, in milliseconds since the epoch; `null`: never; `undefined` until it is known. */
  #expiresAt: number | null | undefined
  #over = false

  /** @internal Subscriptions come from `subscribe()`. */
  constructor (store: SessionStore, id: string, listener: UpdateListener, closed: (subscription: Subscription) => void) {
    this.#store = store
    this.#id = id
    this.#queue = new UpdateQueue(listener)
    this.#closed = closed
  }

  /** True once no update will come any more: the subscription was closed, or the session is gone. */
  get closed (): boolean {
    return this.#over
  }

  /** @internal Begins to watch. @returns false, without an update, if there is no such session */
  async start (): Promise<boolean> {
    const watch = await requireInterface('watch', this.#store, 'subscribe()').watch(this.#id, (event) => this.#take(event))
    if (watch === undefined) return false
    this.#watch = watch
    try {
      const summary = await lookUp(this.#store, this.#id)
      if (summary === undefined) {
        await this.close()
        return false
      }
      this.#generation = summary.generation
      if (this.#expiresAt === undefined) this.#await(summary.expiresAt)
    } catch (error) {
      await this.close()
      throw error
    }
    if (this.#over) await watch.stop()
    this.#queue.start()
    return true
  }

  /** Stops: the listener is not called any more, though it may still be at work. */
  async close (): Promise<void> {
    this.#queue.clear()
    await this.#end()
  }

  #take (event: StoreEvent): void {
    if (this.#over) return
    switch (event.type) {
      case 'changed':
        if (event.keys.length > 0) this.#queue.changed(event.keys)
        this.#await(event.expiresAt)
        break
      case 'ended':
        this.#queue.add({ type: 'ended', renewed: event.renewed })
        this.#gone()
        break
      case 'interrupted':
        this.#check(true)
    }
  }

  #await (expiresAt: number | null, atLeast = 1): void {
    this.#expiresAt = expiresAt
    clearTimeout(this.#timer)
    if (expiresAt === null || this.#over) return
    const delay = Math.min(maxDelay, Math.max(atLeast, expiresAt - Date.now()))
    this.#timer = setTimeout(() => this.#check(false), delay).unref()
  }

  /** @param missed true if events may have been lost */
  #check (missed: boolean): void {
    Promise.resolve(lookUp(this.#store, this.#id)).then((summary) => {
      if (this.#over) return
      const isDue = typeof this.#expiresAt === 'number' && this.#expiresAt <= Date.now()
      if (summary === undefined || summary.generation !== this.#generation) {
        this.#queue.add(isDue ? { type: 'expired' } : { type: 'ended', renewed: false })
        this.#gone()
      } else if (!summary.deleteSession && summary.size === 0 && isDue) {
        this.#queue.add({ type: 'expired' })
        this.#await(null)
      } else {
        if (missed) this.#queue.changed(undefined)
        this.#await(summary.expiresAt, checkAgainAfter)
      }
    }, () => {
      clearTimeout(this.#timer)
      if (!this.#over) this.#timer = setTimeout(() => this.#check(missed), checkAgainAfter).unref()
    })
  }

  #gone (): void {
    this.#end().catch(nothing) // a connection that cannot be stopped is lost anyway
  }

  async #end (): Promise<void> {
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
  /** The session was ended or, if `renewed`, got another token, which is not part of the update. */
  | { readonly type: 'ended', readonly renewed: boolean }

/**
 * Receives one update after the other: the next one waits for the promise of the last.
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

/** The most keys that one update names, and the most updates that wait. */
const maxKeys = 1000
const maxUpdates = 100

/**
 * Updates that wait for a listener. For a slow listener several changes become one, so that the queue is bounded; the
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
    if (last?.type !== 'changed') return this.add({ type: 'changed', keys })
    const all = keys && last.keys && [...new Set([...last.keys, ...keys])]
    this.#waiting[this.#waiting.length - 1] = { type: 'changed', keys: all && all.length <= maxKeys ? all : undefined }
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
        process.emitWarning(`a listener of subscribe() failed: ${String(Object(error).message ?? error)}`, 'FastifyRequestSessionWarning')
      }
    }
    this.#state = 'idle'
  }
}
