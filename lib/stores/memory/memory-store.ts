import cluster from 'node:cluster'
import { successorLife } from '../contract-helpers.js'
import type { CompleteStore, SessionSummary, StoreEvent, StoreWatch } from '../optional-interfaces.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from '../store.js'
import type { LeasingStore, TrackableStore } from '../track.js'
import { Entry, ownCopy, SubjectIndex, Watchers } from './entry.js'
import { Leases, Trackers } from './track.js'
import { SegmentedLru } from './segmented-lru.js'
import { checkMemoryOptions, type MemoryStoreOptions } from './options.js'

/**
 * Keeps sessions in this process: they end with it, and other processes do not see them. The store keeps JSON texts,
 * never live objects, is bounded, and sweeps expired sessions in slices of about a millisecond.
 *
 * @throws OptionError (`FST_SESSION_OPTION`)
 * @example
 * ```ts
 * import { getSession, memoryStore, tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>({ store: memoryStore({ maxSessions: 10_000 }), ttl: 1800 })
 * await getSession(users, null, (session) => { session.increment('visits') })
 * await users.close()
 * ```
 */
export function memoryStore (options?: MemoryStoreOptions): CompleteStore & TrackableStore & LeasingStore {
  return new MemoryStore(checkMemoryOptions(options).maxSessions)
}

/** Many small maps instead of one: growing a map of a million entries would hold the event loop for long. */
const shardCount = 256
/** Milliseconds between two slices of the sweep. */
const sliceInterval = 100
/** Milliseconds that one slice may take. */
const sliceBudget = 1
/** Entries that a slice sweeps before it reads the clock again. */
const sliceStep = 64
/** Ids in one page of a listing. */
const pageSize = 256
/** Milliseconds between two reports of evicted sessions. */
const reportInterval = 60_000

type Log = Pick<Console, 'warn'>

/** The log of a store that no plugin was registered with. */
const processWarnings: Log = { warn: (message: string) => { process.emitWarning(message, 'FastifyRequestSessionWarning') } }

const ownSessionsWarning = 'memoryStore() keeps the sessions of this process alone, which is one of several (node:cluster or PM2): a visitor whom another one ' +
  'serves has no session there. redisStore() shares sessions between processes'

const missing = Object.freeze({ status: 'missing' })
const limit = Object.freeze({ status: 'limit' })

class MemoryStore implements CompleteStore, TrackableStore, LeasingStore {
  readonly #maxSessions: number
  readonly #shards = Array.from({ length: shardCount }, () => new Map<string, Entry>())
  readonly #entries: SegmentedLru
  readonly #subjects = new SubjectIndex()
  readonly #watchers = new Watchers()
  readonly #trackers = new Trackers()
  readonly #leases = new Leases()
  /** The successors of replaced ids, the oldest first. */
  readonly #successors = new Map<string, Successor & { readonly until: number }>()
  #evicted = 0
  /** The number of evicted sessions that were logged, and the time. */
  #reported = 0
  #reportedAt = -Infinity
  #log: Log | undefined
  readonly track: TrackableStore['track'] = (listener) => this.#trackers.track(listener)
  readonly lease: LeasingStore['lease'] = (...args) => this.#leases.lease(...args)
  readonly finish: LeasingStore['finish'] = (...args) => this.#leases.finish(...args)
  #timer: NodeJS.Timeout | undefined
  /** The shard that is being swept, and the rest of its entries. */
  #sweptShard = 0
  #unswept: Iterator<Entry> | undefined

  constructor (maxSessions: number) {
    this.#maxSessions = maxSessions
    this.#entries = new SegmentedLru(maxSessions)
  }

  checkAtBoot (log: Log): void {
    if (this.#log === undefined && isOneOfSeveral()) log.warn(ownSessionsWarning)
    this.#log = log
  }

  counts (): { evicted: number } {
    return { evicted: this.#evicted }
  }

  get full (): boolean {
    return this.#entries.size >= this.#maxSessions
  }

  load (id: string, look?: boolean): SessionRecord | Successor | undefined {
    const entry = this.#live(id)
    if (entry === undefined) return this.#successorOf(id)
    if (look !== true) this.#entries.comeBack(entry)
    return entry.record()
  }

  create (id: string, record: SessionRecord, atMost?: number): boolean | 'limit' {
    if (this.#live(id) !== undefined) return false
    if (atMost !== undefined && this.#isBeyond(atMost, record.subject)) return 'limit'
    this.#add(new Entry(id, record))
    return true
  }

  commit (id: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined || isAnother(entry, change)) return this.#missing(id)
    this.#entries.touch(entry)
    return this.#apply(entry, change)
  }

  renew (id: string, newId: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined || isAnother(entry, change)) return this.#missing(id)
    const result = this.#apply(entry, change)
    if (result.status === 'committed') {
      this.#watchers.notify(entry, { type: 'ended', renewed: true })
      this.#remove(entry)
      this.#giveUp(entry.id, newId, 'renewed')
      entry.id = ownCopy(newId)
      this.#add(entry)
    }
    return result
  }

  regenerate (id: string, newId: string, record: SessionRecord, atMost?: number): boolean | 'limit' {
    if (this.#live(newId) !== undefined) return false
    const entry = this.#live(id)
    if (atMost !== undefined && entry?.extra?.subject !== record.subject && this.#isBeyond(atMost, record.subject)) return 'limit'
    if (entry !== undefined) this.#end(entry)
    if (this.#successorOf(id) === undefined) this.#giveUp(ownCopy(id), newId, 'regenerated')
    this.#add(new Entry(newId, record, entry?.isProtected))
    return true
  }

  end (id: string, { generation, subject, usedAt, reason }: Parameters<SessionStore['end']>[1] = {}): boolean | Successor {
    const entry = this.#live(id)
    if (entry === undefined || isOtherGeneration(entry, generation)) return this.#successorOf(id) ?? false
    if ((subject !== undefined && entry.extra?.subject !== subject) || (usedAt !== undefined && entry.createdAt + entry.usedAfter !== usedAt)) return false
    this.#end(entry, reason)
    return true
  }

  replace (id: string, record: SessionRecord): void {
    const entry = this.#live(id)
    if (entry === undefined) return this.#add(new Entry(id, record))
    const keys = this.#watchers.has(entry) ? [...new Set([...entry.record().fields.keys(), ...record.fields.keys()])] : undefined
    this.#subjects.remove(entry)
    entry.replace(record)
    this.#subjects.add(entry)
    this.#trackers.changed(id)
    if (keys !== undefined) this.#watchers.notify(entry, { type: 'changed', keys, timeLeft: entry.timeLeft(Date.now()) })
  }

  async * ids (): AsyncGenerator<string[], undefined> {
    let page: string[] = []
    for (const shard of this.#shards) {
      for (const entry of shard.values()) {
        if (entry.isGone(Date.now())) continue
        if (page.push(entry.id) < pageSize) continue
        yield page
        page = []
      }
    }
    if (page.length > 0) yield page
  }

  async * idsOf (subject: string): AsyncGenerator<string[], undefined> {
    const entries = [...this.#subjects.of(subject) ?? []]
    for (let i = 0; i < entries.length; i += pageSize) {
      const now = Date.now()
      const page = entries.slice(i, i + pageSize).filter((entry) => this.#subjects.of(subject)?.has(entry) && !entry.isGone(now))
      if (page.length > 0) yield page.map(({ id }) => id)
    }
  }

  describe (id: string): SessionSummary | undefined {
    const entry = this.#live(id)
    if (entry === undefined) return undefined
    const { fields, ...summary } = entry.record()
    return { ...summary, size: fields.size, timeLeft: entry.timeLeft(Date.now()) }
  }

  watch (id: string, listener: (event: StoreEvent) => void): StoreWatch | undefined {
    const entry = this.#live(id)
    return entry && { look: () => this.#live(id) === entry ? this.describe(id) : undefined, stop: this.#watchers.watch(entry, listener) }
  }

  close (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #live (id: string): Entry | undefined {
    const entry = this.#shardOf(id).get(id)
    if (entry === undefined || !entry.expired(Date.now())) return entry
    return this.#expire(entry) ? undefined : entry
  }

  #successorOf (id: string): Successor | undefined {
    const found = this.#successors.size === 0 ? undefined : this.#successors.get(id)
    return found !== undefined && found.until > Date.now() ? { successor: found.successor, how: found.how } : undefined
  }

  #missing (id: string): CommitResult {
    const successor = this.#successorOf(id)
    return successor === undefined ? missing : { status: 'moved', ...successor }
  }

  /** Drops successors after their minute, and the oldest beyond the bound. */
  #giveUp (id: string, newId: string, how: Successor['how']): void {
    const now = Date.now()
    for (const [old, { until }] of this.#successors) {
      if (until > now && this.#successors.size < this.#maxSessions) break
      this.#successors.delete(old)
    }
    this.#successors.delete(id)
    this.#successors.set(id, { successor: ownCopy(newId), how, until: now + successorLife })
  }

  /** True if the subject already has this many sessions. */
  #isBeyond (atMost: number, subject: string | undefined): boolean {
    if (subject === undefined) return false
    const now = Date.now()
    let count = 0
    for (const entry of this.#subjects.of(subject) ?? []) if (!entry.isGone(now)) count++
    return count >= atMost
  }

  #apply (entry: Entry, change: SessionChange): CommitResult {
    if (change.atMost !== undefined && change.subject != null && change.subject !== entry.extra?.subject && this.#isBeyond(change.atMost, change.subject)) return limit
    const keys = this.#watchers.has(entry) ? entry.changedKeys(change) : undefined
    if (change.subject !== undefined) this.#subjects.remove(entry)
    const result = entry.apply(change)
    if (change.subject !== undefined) this.#subjects.add(entry)
    if (result.status === 'committed') this.#trackers.changed(entry.id)
    if (keys !== undefined && result.status === 'committed') {
      this.#watchers.notify(entry, { type: 'changed', keys, timeLeft: entry.timeLeft(Date.now()) })
    }
    return result
  }

  #end (entry: Entry, reason?: 'limit'): void {
    this.#watchers.notify(entry, { type: 'ended', renewed: false, ...reason !== undefined && { reason } })
    this.#remove(entry)
  }

  /** Deletes an expired session (true), or empties one that outlives its data (false). */
  #expire (entry: Entry): boolean {
    if (entry.extra?.deleteSession === false) {
      entry.deleteData()
      this.#trackers.changed(entry.id)
      return false
    }
    this.#remove(entry)
    return true
  }

  #add (entry: Entry): void {
    if (this.full) this.#makeRoom()
    this.#shardOf(entry.id).set(entry.id, entry)
    this.#entries.add(entry)
    this.#subjects.add(entry)
    this.#trackers.changed(entry.id)
    this.#timer ??= setInterval(() => this.#sweep(), sliceInterval).unref()
  }

  #remove (entry: Entry): void {
    this.#shardOf(entry.id).delete(entry.id)
    this.#entries.remove(entry)
    this.#subjects.remove(entry)
    this.#watchers.remove(entry)
    this.#trackers.changed(entry.id)
    if (this.#entries.size === 0) this.close()
  }

  /** Evicts the next session. An expired one is no loss, and is not counted. */
  #makeRoom (): void {
    const now = Date.now()
    const entry = this.#entries.next(now)
    if (entry.isGone(now)) return this.#remove(entry)
    this.#end(entry)
    this.#evicted++
    this.#reportEvicted(now)
  }

  /** Logs the evicted sessions, unless that was done less than a minute ago: then the sweep logs them later. */
  #reportEvicted (now: number): void {
    const count = this.#evicted - this.#reported
    if (count === 0 || now - this.#reportedAt < reportInterval) return
    this.#reported = this.#evicted
    this.#reportedAt = now
    ;(this.#log ?? processWarnings).warn(`the session store is full: ${count} session(s) that had not expired were evicted to make room for new ones. ` +
      `Raise maxSessions of memoryStore(), which is ${this.#maxSessions}, or keep the sessions in redisStore()`)
  }

  #shardOf (id: string): Map<string, Entry> {
    return this.#shards[(id.charCodeAt(id.length - 1) * 31 + id.charCodeAt(id.length - 2)) & (shardCount - 1)] as Map<string, Entry>
  }

  /** Sweeps one slice: goes on where the last one stopped, until its time is up or it has been through an eighth of the shards. */
  #sweep (): void {
    const now = Date.now()
    const end = performance.now() + sliceBudget
    this.#reportEvicted(now)
    for (let shards = 0; shards < shardCount / 8;) {
      this.#unswept ??= this.#shards[this.#sweptShard]?.values()
      for (let i = 0; i < sliceStep; i++) {
        const { value, done } = this.#unswept?.next() ?? { value: undefined, done: true }
        if (done) {
          this.#unswept = undefined
          this.#sweptShard = (this.#sweptShard + 1) % shardCount
          shards++
          break
        }
        if ((value as Entry).expired(now)) this.#expire(value as Entry)
      }
      if (performance.now() > end) return
    }
  }
}

/** True in a worker of node:cluster or a process of PM2: others serve the same application. */
function isOneOfSeveral (): boolean {
  return cluster.isWorker || process.env['NODE_APP_INSTANCE'] !== undefined || process.env['pm_id'] !== undefined
}

/** True for a session that the change is not meant for. */
function isAnother (entry: Entry, { generation, expectSubject }: SessionChange): boolean {
  return isOtherGeneration(entry, generation) || (expectSubject !== undefined && entry.extra?.subject !== expectSubject)
}

/** True for another shared session than the expected one: it was created under the same name after that one had ended. */
function isOtherGeneration (entry: Entry, expected: string | undefined): boolean {
  return expected !== undefined && entry.extra?.generation !== expected
}
