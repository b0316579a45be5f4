import { checkOptions, wholeNumber } from '../check.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore } from './store.js'

/** Options of the embedded store. */
export interface MemoryStoreOptions {
  /**
   * The most sessions that are kept; beyond it the least recently used goes first.
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
export function memoryStore (options?: MemoryStoreOptions): SessionStore {
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

class MemoryStore implements SessionStore {
  readonly #maxSessions: number
  readonly #shards = Array.from({ length: shardCount }, () => new Map<string, Entry>())
  /** The ring of all entries, from the least recently used (`next`) to the most recently used (`previous`). */
  readonly #ring = new Entry('', noFields, 0, Infinity, undefined)
  #size = 0
  #timer: NodeJS.Timeout | undefined
  #shard = 0
  #slice: Iterator<Entry> | undefined

  constructor (maxSessions: number) {
    this.#maxSessions = maxSessions
  }

  load (id: string): SessionRecord | undefined {
    const entry = this.#live(id)
    if (entry === undefined) return undefined
    this.#use(entry)
    return entry.record()
  }

  create (id: string, record: SessionRecord): boolean {
    if (this.#live(id) !== undefined) return false
    const { ttl, keep, name } = record
    const extra = ttl !== undefined || keep || name !== undefined ? { ttl, keep, name } : undefined
    this.#add(new Entry(flat(id), flatten(record.fields), record.createdAt, record.expiresAt ?? Infinity, extra))
    return true
  }

  commit (id: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined) return missing
    this.#use(entry)
    return entry.apply(change)
  }

  renew (id: string, newId: string, change: SessionChange): CommitResult {
    const entry = this.#live(id)
    if (entry === undefined) return missing
    const result = entry.apply(change)
    if (result.status === 'committed') {
      this.#remove(entry)
      entry.id = flat(newId)
      this.#add(entry)
    }
    return result
  }

  end (id: string): boolean {
    const entry = this.#live(id)
    if (entry === undefined) return false
    this.#remove(entry)
    return true
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

  /** Deletes an expired session, or empties it if it is to stay. */
  #expire (entry: Entry): boolean {
    if (entry.extra?.keep) {
      entry.empty()
      return false
    }
    this.#remove(entry)
    return true
  }

  #add (entry: Entry): void {
    this.#shardOf(entry.id).set(entry.id, entry)
    this.#ring.insertBefore(entry)
    if (++this.#size > this.#maxSessions) this.#remove(this.#ring.next)
    this.#timer ??= setInterval(() => this.#sweep(), sliceInterval).unref()
  }

  #remove (entry: Entry): void {
    this.#shardOf(entry.id).delete(entry.id)
    entry.unlink()
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

const missing = Object.freeze({ status: 'missing' })
const noIncrements: readonly number[] = Object.freeze([])
const committed = Object.freeze({ status: 'committed', increments: noIncrements })
const noFields: string[] = []

/** What few sessions have: kept apart so that the others stay small. */
interface Extra {
  ttl: number | null | undefined
  keep: boolean
  name: string | undefined
}

/** One session, laid out to be small: its data is a flat list of key, JSON text, key, JSON text. */
class Entry {
  id: string
  fields: string[]
  createdAt: number
  expiresAt: number
  extra: Extra | undefined
  previous: Entry = this
  next: Entry = this

  constructor (id: string, fields: string[], createdAt: number, expiresAt: number, extra: Extra | undefined) {
    this.id = id
    this.fields = fields
    this.createdAt = createdAt
    this.expiresAt = expiresAt
    this.extra = extra
    this.#freeIfEmpty()
  }

  expired (now: number): boolean {
    return this.expiresAt <= now
  }

  empty (): void {
    this.fields = noFields
    this.#freeIfEmpty()
  }

  /** What outlives its data has no expiry without data. */
  #freeIfEmpty (): void {
    if (this.extra?.keep && this.fields.length === 0) this.expiresAt = Infinity
  }

  record (): SessionRecord {
    const fields = new Map<string, string>()
    for (let i = 0; i < this.fields.length; i += 2) fields.set(this.fields[i] as string, this.fields[i + 1] as string)
    return {
      fields,
      createdAt: this.createdAt,
      expiresAt: this.expiresAt === Infinity ? null : this.expiresAt,
      ttl: this.extra?.ttl,
      keep: this.extra?.keep ?? false,
      name: this.extra?.name,
    }
  }

  apply (change: SessionChange): CommitResult {
    if (change.expect.size > 0) {
      const current = new Map([...change.expect.keys()].map((key) => [key, this.#get(key)]))
      for (const [key, text] of change.expect) if (current.get(key) !== text) return { status: 'conflict', current }
    }
    let increments = noIncrements
    if (change.increment.size > 0) {
      const sums: number[] = []
      for (const [key, by] of change.increment) {
        const text = change.clear ? undefined : this.#get(key)
        const sum = Number(text ?? 0) + by
        if (!/^-?\d+$/.test(text ?? '0') || !Number.isSafeInteger(sum)) return { status: 'not-a-number', key }
        sums.push(sum)
      }
      increments = sums
    }
    this.#write(change, increments)
    if (change.expiresAt !== undefined) this.expiresAt = change.expiresAt ?? Infinity
    if (change.ttl !== undefined) this.extra = { keep: false, name: undefined, ...this.extra, ttl: change.ttl }
    this.#freeIfEmpty()
    return increments === noIncrements ? committed : { status: 'committed', increments }
  }

  /** Replaces texts in place; the list is laid out anew only when keys come or go. */
  #write (change: SessionChange, increments: readonly number[]): void {
    if (change.clear) this.fields = noFields
    let added: Array<readonly [string, string]> | undefined
    for (const entry of change.set) if (!this.#replace(entry[0], entry[1])) (added ??= []).push(entry)
    let i = 0
    for (const key of change.increment.keys()) {
      const text = String(increments[i++])
      if (!this.#replace(key, text)) (added ??= []).push([key, text])
    }
    if (added === undefined && change.remove.length === 0) return
    const all = new Map<string, string>()
    for (let i = 0; i < this.fields.length; i += 2) all.set(this.fields[i] as string, this.fields[i + 1] as string)
    for (const key of change.remove) all.delete(key)
    for (const [key, text] of added ?? []) all.set(key, text)
    this.fields = flatten(all)
  }

  #replace (key: string, text: string): boolean {
    const at = this.#find(key)
    if (at >= 0) this.fields[at + 1] = text
    return at >= 0
  }

  #get (key: string): string | undefined {
    const at = this.#find(key)
    return at < 0 ? undefined : this.fields[at + 1]
  }

  #find (key: string): number {
    for (let i = 0; i < this.fields.length; i += 2) if (this.fields[i] === key) return i
    return -1
  }

  insertBefore (entry: Entry): void {
    entry.previous = this.previous
    entry.next = this
    this.previous.next = entry
    this.previous = entry
  }

  unlink (): void {
    this.previous.next = this.next
    this.next.previous = this.previous
  }
}

function flatten (fields: ReadonlyMap<string, string>): string[] {
  const list = new Array<string>(fields.size * 2)
  let i = 0
  for (const [key, text] of fields) {
    list[i++] = key.length < 13 ? key : flat(key)
    list[i++] = text
  }
  return list
}

/** A copy of its own: a long string that was cut out of another keeps that other alive (a whole request, say). */
function flat (text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
