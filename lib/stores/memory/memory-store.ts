import { checkOptions, wholeNumber } from '../../util/option-rules.js'
import type { CommitResult, CompleteStore, SessionChange, SessionRecord, SessionSummary, StoreEvent, StoreWatch } from '../store.js'
import { Entry, flat } from './entry.js'
import { MemorySubjects } from './subjects.js'
import { MemoryWatchers } from './watchers.js'

/** Options of the embedded store. */
export interface MemoryStoreOptions {
  /**
   * The most sessions that are kept; beyond it the least recently used goes first. `restore` stops there.
   * @default 100000
   */
  maxSessions?: number | undefined
}

/**
 * The embedded store: sessions in this process, gone when it ends, not shared with others. It keeps JSON texts,
 * never live objects, is bounded, and sweeps what has expired in slices of about a millisecond.
 *
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function memoryStore (options?: MemoryStoreOptions): CompleteStore {
  const checked = checkOptions<MemoryStoreOptions>('memoryStore()', options, {
    maxSessions: wholeNumber('sessions', 1),
  })
  return new MemoryStore(checked.maxSessions ?? 100_000)
}

/** Many small maps instead of one: growing a map of a million entries would hold the event loop for long. */
const shardCount = 256
/** Milliseconds between two slices of the sweep. */
const sliceInterval = 100
/** Milliseconds that one slice may take. */
const sliceBudget = 1
/** Entries between two looks at the clock. */
const sliceStep = 64
/** Ids in one page of a listing. */
const pageSize = 256

const missing = Object.freeze({ status: 'missing' })
/** Stands before the first and behind the last of the ring. */
const nobody: SessionRecord = {
  fields: new Map(), createdAt: 0, expiresAt: null, ttl: undefined, maxAge: undefined, deleteSession: true, name: undefined, generation: undefined, subject: undefined,
}

class MemoryStore implements CompleteStore {
  readonly #maxSessions: number
  readonly #shards = Array.from({ length: shardCount }, () => new Map<string, Entry>())
  /** The ring of all entries, from the least recently used (`next`) to the most recently used (`previous`). */
  readonly #ring = new Entry('', nobody)
  readonly #subjects = new MemorySubjects()
  readonly #watchers = new MemoryWatchers()
  #size = 0
  #timer: NodeJS.Timeout | undefined
  #shard = 0
  #slice: Iterator<Entry> | undefined

  constructor (maxSessions: number) {
    this.#maxSessions = maxSessions
  }

  get full (): boolean {
    return this.#size >= this.#maxSessions
  }

  load (id: string): SessionRecord | undefined {
    const entry = this.#live(id)
    if (entry === undefined) return undefined
    this.#use(entry)
    return entry.record()
  }

  create (id: string, record: SessionRecord): boolean {
    if (this.#live(id) !== undefined) return false
    this.#add(new Entry(id, record))
    return true
  }

  commit (id: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined || isAnother(entry, change.generation)) return missing
    this.#use(entry)
    return this.#apply(entry, change)
  }

  renew (id: string, newId: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined || isAnother(entry, change.generation)) return missing
    const result = this.#apply(entry, change)
    if (result.status === 'committed') {
      this.#watchers.tell(entry, { type: 'ended', renewed: true })
      this.#remove(entry)
      entry.id = flat(newId)
      this.#add(entry)
    }
    return result
  }

  end (id: string, generation?: string): boolean {
    const entry = this.#live(id)
    if (entry === undefined || isAnother(entry, generation)) return false
    this.#end(entry)
    return true
  }

  replace (id: string, record: SessionRecord): void {
    const entry = this.#live(id)
    if (entry === undefined) return this.#add(new Entry(id, record))
    this.#subjects.remove(entry)
    entry.replace(record)
    this.#subjects.add(entry)
    if (this.#watchers.has(entry)) this.#watchers.tell(entry, { type: 'changed', keys: [...record.fields.keys()], expiresAt: record.expiresAt })
  }

  async * ids (): AsyncGenerator<string[], undefined> {
    let page: string[] = []
    for (const shard of this.#shards) {
      for (const entry of shard.values()) {
        if (isOver(entry, Date.now())) continue
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
      const page = entries.slice(i, i + pageSize).filter((entry) => this.#subjects.of(subject)?.has(entry) && !isOver(entry, now))
      if (page.length > 0) yield page.map(({ id }) => id)
    }
  }

  describe (id: string): SessionSummary | undefined {
    const entry = this.#live(id)
    return entry && { ...entry.description, size: entry.fields.length / 2 }
  }

  watch (id: string, listener: (event: StoreEvent) => void): StoreWatch | undefined {
    const entry = this.#live(id)
    return entry && this.#watchers.watch(entry, listener)
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

  #apply (entry: Entry, change: SessionChange): CommitResult {
    const keys = this.#watchers.has(entry) ? entry.touched(change) : undefined
    if (change.subject !== undefined) this.#subjects.remove(entry)
    const result = entry.apply(change)
    if (change.subject !== undefined) this.#subjects.add(entry)
    if (keys !== undefined && result.status === 'committed') {
      this.#watchers.tell(entry, { type: 'changed', keys, expiresAt: entry.expiresAt === Infinity ? null : entry.expiresAt })
    }
    return result
  }

  #end (entry: Entry): void {
    this.#watchers.tell(entry, { type: 'ended', renewed: false })
    this.#remove(entry)
  }

  /** Deletes an expired session, or empties it if it is to stay. */
  #expire (entry: Entry): boolean {
    if (entry.extra?.deleteSession === false) {
      entry.empty()
      return false
    }
    this.#remove(entry)
    return true
  }

  #add (entry: Entry): void {
    this.#shardOf(entry.id).set(entry.id, entry)
    this.#ring.insertBefore(entry)
    this.#subjects.add(entry)
    if (++this.#size > this.#maxSessions) this.#end(this.#ring.next)
    this.#timer ??= setInterval(() => this.#sweep(), sliceInterval).unref()
  }

  #remove (entry: Entry): void {
    this.#shardOf(entry.id).delete(entry.id)
    entry.unlink()
    this.#subjects.remove(entry)
    this.#watchers.drop(entry)
    if (--this.#size === 0) this.close()
  }

  #use (entry: Entry): void {
    if (this.#ring.previous === entry) return
    entry.unlink()
    this.#ring.insertBefore(entry)
  }

  #shardOf (id: string): Map<string, Entry> {
    return this.#shards[(id.charCodeAt(id.length - 1) * 31 + id.charCodeAt(id.length - 2)) & (shardCount - 1)] as Map<string, Entry>
  }

  /** One slice: goes on where the last one stopped, and stops when its time is up or all shards were seen. */
  #sweep (): void {
    const now = Date.now()
    const end = performance.now() + sliceBudget
    for (let shards = 0; shards < shardCount / 8;) {
      this.#slice ??= this.#shards[this.#shard]?.values()
      for (let i = 0; i < sliceStep; i++) {
        const { value, done } = this.#slice?.next() ?? { value: undefined, done: true }
        if (done) {
          this.#slice = undefined
          this.#shard = (this.#shard + 1) % shardCount
          shards++
          break
        }
        if ((value as Entry).expired(now)) this.#expire(value as Entry)
      }
      if (performance.now() > end) return
    }
  }
}

/** Whether an entry waits only to be swept. */
function isOver (entry: Entry, now: number): boolean {
  return entry.expired(now) && entry.extra?.deleteSession !== false
}

/** Whether a shared session is not the one meant, but one that got its name after it. */
function isAnother (entry: Entry, generation: string | undefined): boolean {
  return generation !== undefined && entry.extra?.generation !== generation
}
