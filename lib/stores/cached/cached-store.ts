import { RecordError, StoreUnsupportedError } from '../../errors.js'
import { attempt, type MaybePromise } from '../../util/maybe-promise.js'
import { elapsed } from '../../util/elapsed.js'
import { addOptionalMethods, keyspaceOf, requireInterface } from '../contract-helpers.js'
import { SegmentedLru } from '../memory/segmented-lru.js'
import type { CompleteStore } from '../optional-interfaces.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from '../store.js'
import type { LeasingStore, Tracking, TrackListener, TrackableStore } from '../track.js'
import { KeptSession } from './kept-session.js'
import { cachedOptions, type CachedOptions } from './options.js'

/** The layer has the known methods of the inner store. */
type Layer<S> = SessionStore & Pick<S, Extract<keyof S, keyof CompleteStore | keyof TrackableStore | keyof LeasingStore>>

/**
 * Keeps the sessions that this process has read in memory, in front of a store that reports changes. A read of a cached session
 * sends nothing. Writes go to the store, which alone decides about them; this process sees its own writes at once.
 * A read is never older than `maxAge`: while changes may have been missed, sessions are read from the store.
 *
 * `sessionStats()` has its counts: `hits`, `misses`, `bypasses` (reads past the cache), `invalidations` and `stale` (reads while the
 * store was away).
 *
 * @throws OptionError (`FST_SESSION_OPTION`), StoreLacksError (`FST_SESSION_STORE_LACKS`) for a store without `track()`
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { cached, getSession, redisStore, tokenSessions } from 'fastify-request-session'
 *
 * const client = new Redis(process.env['REDIS_URL'] ?? '')
 * const users = tokenSessions<{ visits: number }>({ store: cached(redisStore(client), { maxSessions: 50_000 }) })
 * await getSession(users, null, (session) => { session.increment('visits') })
 * await users.close()
 * client.disconnect()
 * ```
 */
export function cached<S extends TrackableStore> (store: S, options?: CachedOptions): Layer<S> {
  const checked = cachedOptions(store, options)
  const layer = new CachedStore(requireInterface('track', store, 'cached()'), checked)
  const { replace } = store as Partial<CompleteStore>
  return addOptionalMethods(layer, store, { replace: (id, record) => layer.write(() => replace?.call(store, id, record), [id]) }) as SessionStore as Layer<S>
}

/** Proofs within `maxAge` that no change was missed. */
const proofsPerAge = 4
/** Milliseconds after a failure of the store in which cached sessions are read without a call. */
const pauseAfterFailure = 250

type Loaded = SessionRecord | Successor | undefined

/** The running loads of one session, and its changes since the first of them was sent. */
interface Loads {
  count: number
  changes: number
}

class CachedStore implements SessionStore, TrackListener {
  readonly #store: TrackableStore
  readonly #maxSessions: number
  readonly #maxAge: number
  /** Milliseconds. */
  readonly #staleIfError: number
  readonly #entries = new Map<string, KeptSession>()
  #order: SegmentedLru
  readonly #loads = new Map<string, Loads>()
  #tracking: Tracking | undefined
  #isClosed = false
  /** Moments that made all earlier reads uncertain. */
  #losses = 0
  #failedAt = -Infinity
  readonly #counts = { hits: 0, misses: 0, bypasses: 0, invalidations: 0, stale: 0 }
  readonly keyspace: string

  constructor (store: TrackableStore, { maxSessions, maxAge, staleIfError }: ReturnType<typeof cachedOptions>) {
    this.#store = store
    this.#maxSessions = maxSessions
    this.#maxAge = maxAge
    this.#staleIfError = staleIfError * 1000
    this.#order = new SegmentedLru(maxSessions)
    this.keyspace = keyspaceOf(store)
  }

  /** A look goes to the store, since it decides about the next write. */
  load (id: string, look?: boolean): MaybePromise<Loaded> {
    const isSure = this.#lag() < this.#maxAge
    if (look === true) {
      this.#counts.bypasses++
      return this.#store.load(id, true)
    }
    const entry = this.#entries.get(id)
    if (isSure && entry?.isUsable() === true) {
      this.#counts.hits++
      this.#order.comeBack(entry)
      return entry.record()
    }
    this.#counts[isSure ? 'misses' : 'bypasses']++
    return this.#orStale(id, () => this.#read(id, isSure))
  }

  create (...args: Parameters<SessionStore['create']>): MaybePromise<boolean | 'limit'> {
    return this.write(() => this.#store.create(...args), [args[0]])
  }

  /** Applies the change to the cached session as well, after the store, so that a session with occasional writes is not read again each time. */
  commit (id: string, change: SessionChange): MaybePromise<CommitResult> {
    const entry = this.#beginCommit(id)
    return this.write(() => this.#store.commit(id, change), [id], (result) => entry !== undefined && this.#entries.get(id) === entry && entry.endCommit(change, result))
  }

  renew (id: string, newId: string, change: SessionChange): MaybePromise<CommitResult> {
    return this.write(() => this.#store.renew(id, newId, change), [id, newId])
  }

  regenerate (...args: Parameters<SessionStore['regenerate']>): MaybePromise<boolean | 'limit'> {
    return this.write(() => this.#store.regenerate(...args), [args[0], args[1]])
  }

  end (...args: Parameters<SessionStore['end']>): MaybePromise<boolean | Successor> {
    return this.write(() => this.#store.end(...args), [args[0]])
  }

  /**
   * Writes. The sessions are read again afterwards, even if the outcome is unknown.
   * @param isCurrent returns true if the cached session has the change too, and stays
   */
  write<T> (call: () => MaybePromise<T>, ids: readonly string[], isCurrent: (answer: T) => boolean = () => false): MaybePromise<T> {
    const written = (stays: boolean): void => {
      for (const id of ids) {
        this.#noteChange(id)
        if (!stays) this.#drop(id)
      }
    }
    return attempt(call, (answer) => {
      written(isCurrent(answer))
      return answer
    }, (error) => {
      written(false)
      throw error
    })
  }

  get full (): boolean {
    return this.#store.full ?? false
  }

  async checkAtBoot (log: Pick<Console, 'info' | 'warn' | 'error'>): Promise<void> {
    await this.#store.checkAtBoot?.(log)
    await this.#track()?.checkAtBoot(log)
  }

  counts (): Readonly<Record<string, number>> {
    return { ...this.#store.counts?.(), ...this.#counts }
  }

  async close (): Promise<void> {
    this.#isClosed = true
    this.#tracking?.stop()
    this.#tracking = undefined
    this.#clear()
    await this.#store.close()
  }

  changed (id: string | undefined): void {
    if (id === undefined) {
      this.#counts.invalidations += this.#entries.size
      this.#clear()
      return
    }
    this.#noteChange(id)
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.isOwnEcho()) return
    this.#counts.invalidations++
    this.#drop(id)
  }

  lost (): void {
    this.#losses++
    if (this.#staleIfError === 0) this.#clear()
    else for (const entry of this.#entries.values()) entry.lose(elapsed())
  }

  #lag (): number {
    return this.#track()?.lag() ?? Infinity
  }

  #track (): Tracking | undefined {
    if (!this.#isClosed) this.#tracking ??= this.#store.track(this, this.#maxAge / proofsPerAge)
    return this.#tracking
  }

  /**
   * Reads a session from the store and keeps it, unless it has changed while the answer was on its way. One that is gone is not kept. While
   * changes may be missed a session is kept for `staleIfError` alone, in the place of what was known of it before.
   */
  async #read (id: string, isSure: boolean): Promise<Loaded> {
    let loads = this.#loads.get(id)
    if (loads === undefined) this.#loads.set(id, loads = { count: 0, changes: 0 })
    loads.count++
    const { changes } = loads
    const losses = this.#losses
    const asked = elapsed()
    try {
      const found = await this.#store.load(id)
      if (found === undefined || !('fields' in found)) this.#drop(id)
      else if (changes === loads.changes) {
        if (isSure && losses === this.#losses) this.#keep(id, found)
        else if (this.#staleIfError > 0 && this.#entries.get(id)?.isUsable() !== true) this.#keep(id, found).lose(asked)
      }
      return found
    } finally {
      if (--loads.count === 0) this.#loads.delete(id)
    }
  }

  /** Reads a session; the cached one, if the store is away and `staleIfError` allows it. */
  #orStale (id: string, read: () => MaybePromise<Loaded>): MaybePromise<Loaded> {
    if (this.#staleIfError === 0) return read()
    const now = elapsed()
    if (now - this.#failedAt < pauseAfterFailure) {
      const record = this.#staleRecord(id, now)
      if (record !== undefined) return record
    }
    return attempt(read, (found) => found, (error) => {
      if (error instanceof RecordError || error instanceof StoreUnsupportedError) throw error
      this.#failedAt = elapsed()
      const record = this.#staleRecord(id, this.#failedAt)
      if (record === undefined) throw error
      return record
    })
  }

  #staleRecord (id: string, now: number): SessionRecord | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.expired(Date.now()) || now - entry.lostAt >= this.#staleIfError) return undefined
    this.#counts.stale++
    return entry.record()
  }

  #keep (id: string, record: SessionRecord): KeptSession {
    this.#drop(id)
    if (this.#entries.size >= this.#maxSessions) this.#drop(this.#order.next(Date.now()).id)
    const entry = new KeptSession(id, record)
    this.#entries.set(entry.id, entry)
    this.#order.add(entry)
    return entry
  }

  #drop (id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#order.remove(entry)
  }

  #clear (): void {
    this.#losses++
    this.#entries.clear()
    this.#order = new SegmentedLru(this.#maxSessions)
  }

  /** Running loads of the session may return its state from before. */
  #noteChange (id: string): void {
    const loads = this.#loads.get(id)
    if (loads !== undefined) loads.changes++
  }

  /** The cached session to apply the change to; `undefined` if the store may have another one, or two commits overlap. */
  #beginCommit (id: string): KeptSession | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const left = this.#maxAge - this.#lag()
    if (left > 0 && entry.isUsable() && entry.beginCommit(elapsed() + left)) return entry
    this.#drop(id)
    return undefined
  }
}
