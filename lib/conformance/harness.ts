import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from '../stores/store.js'
import { newChange, newRecord, requireInterface, type OptionalInterface, type OptionalInterfaces } from '../stores/contract-helpers.js'

/**
 * Options of `storeConformance()`: the store under test, and control over its time.
 *
 * @example
 * ```ts
 * import { memoryStore } from 'fastify-request-session'
 * import type { ConformanceOptions } from 'fastify-request-session/conformance'
 *
 * // A store with a clock of its own: sessions live for a second, and `advance` waits.
 * const options: ConformanceOptions = {
 *   create: () => memoryStore(),
 *   advance: (ms) => new Promise((resolve) => { setTimeout(resolve, ms) }),
 *   lifetime: 1000,
 * }
 * ```
 */
export interface ConformanceOptions {
  /** Makes the store for one case. It may hold other sessions: each case uses ids of its own. */
  create (): SessionStore | Promise<SessionStore>
  /**
   * Lets this many milliseconds pass, for `Date.now()` and for the store: moves a fake clock, rewinds the expiry
   * times that a server keeps, or just waits.
   */
  advance (ms: number): void | Promise<void>
  /**
   * Lifetime of the suite's sessions, in milliseconds. If `advance` waits, make it short, but longer than a case may
   * take: some cases look at a session shortly before it expires.
   * @default 60000
   */
  lifetime?: number | undefined
  /**
   * Optional interfaces to test as well: `'list'` (ListingStore), `'subjects'` (SubjectStore), `'restore'`
   * (RestorableStore), `'watch'` (WatchableStore), `'track'` (TrackableStore), `'lease'` (LeasingStore).
   * @default none
   */
  abilities?: readonly OptionalInterface[] | undefined
  /** Makes a stored session unreadable, bypassing the store. Without it the case of damaged records is skipped. */
  damage? (store: SessionStore, id: string): void | Promise<void>
  /** Runs after each case, when its store is closed. */
  destroy? (store: SessionStore): void | Promise<void>
}

/** A test of what one sentence of the store's contract says. */
export type Case = (harness: Harness) => Promise<void>

/** Cases by their names. */
export type Cases = Readonly<Record<string, Case>>

/** Keys of a session, and their JSON texts. */
type Fields = Record<string, string>

/** A change with its keys as plain objects. */
export interface Change extends Partial<Omit<SessionChange, 'expect' | 'set' | 'increment'>> {
  expect?: Record<string, string | undefined>
  set?: Fields
  increment?: Record<string, number>
}

/** Tools of a test case: the store, control over time, shorthands for records and changes, and assertions. */
export class Harness {
  readonly store: SessionStore
  /** Lifetime of the sessions that `record()` describes, in milliseconds. */
  readonly lifetime: number
  readonly #options: ConformanceOptions

  constructor (store: SessionStore, options: ConformanceOptions) {
    this.store = store
    this.lifetime = options.lifetime ?? 60_000
    this.#options = options
  }

  async advance (ms: number): Promise<void> {
    await this.#options.advance(ms)
  }

  async damage (id: string): Promise<void> {
    await this.#options.damage?.(this.store, id)
  }

  /** Makes a fresh id. With `like` it begins with the same two characters, as the new id of a renewal must: both share a slot. */
  id (like = randomBytes(2).toString('hex').slice(0, 2)): string {
    return like.slice(0, 2) + randomBytes(32).toString('base64url')
  }

  /** The store, with an optional interface. */
  storeWith<I extends OptionalInterface> (name: I): OptionalInterfaces[I] {
    return requireInterface(name, this.store, 'the suite')
  }

  record (fields: Fields = {}, more: Partial<SessionRecord> = {}): SessionRecord {
    const now = Date.now()
    return newRecord({ fields: new Map(Object.entries(fields)), createdAt: now, expiresAt: now + this.lifetime, ...more })
  }

  /** Creates a session and returns its id. */
  async createSession (fields: Fields = {}, more: Partial<SessionRecord> = {}): Promise<string> {
    return this.create(this.record(fields, more))
  }

  /** Creates the session of a record and returns its id. */
  async create (record: SessionRecord): Promise<string> {
    const id = this.id()
    assert.equal(await this.store.create(id, record), true, 'create answers true for a fresh id')
    return id
  }

  /** Renews a session and returns its new id. */
  async renew (id: string, change: Change = {}): Promise<string> {
    const newId = this.id(id)
    assert.equal((await this.renewTo(id, newId, change)).status, 'committed')
    return newId
  }

  async renewTo (id: string, newId: string, change: Change = {}): Promise<CommitResult> {
    return this.store.renew(id, newId, storeChange(change))
  }

  async commit (id: string, change: Change): Promise<CommitResult> {
    return this.store.commit(id, storeChange(change))
  }

  async commitOk (id: string, change: Change): Promise<readonly number[]> {
    const result = await this.commit(id, change)
    assert.equal(result.status, 'committed')
    return result.status === 'committed' ? [...result.increments] : []
  }

  async loadExisting (id: string): Promise<SessionRecord> {
    const record = await this.store.load(id)
    assert.ok(record !== undefined && !('successor' in record), 'the session is there')
    return record
  }

  async assertData (id: string, fields: Fields): Promise<void> {
    assert.deepEqual(sorted((await this.loadExisting(id)).fields), sorted(fields))
  }

  async assertGone (id: string): Promise<void> {
    assert.equal(await this.store.load(id), undefined, 'load answers undefined')
    assert.equal((await this.commit(id, { set: { back: '1' } })).status, 'missing', 'commit answers missing')
    assert.equal((await this.renewTo(id, this.id(id))).status, 'missing', 'renew answers missing')
    assert.equal(await this.store.end(id), false, 'end answers false')
    assert.equal(await this.store.load(id), undefined, 'nothing has brought it back')
  }

  /** Asserts that an id was replaced, and that every method returns its successor. */
  async assertMoved (id: string, successor: string, how: Successor['how']): Promise<void> {
    const change = { set: { late: '1' }, expiresAt: null, ttl: 1 }
    for (let i = 0; i < 2; i++) {
      assert.deepEqual({ ...await this.store.load(id) }, { successor, how }, 'load answers the successor')
      assert.deepEqual({ ...await this.commit(id, change) }, { status: 'moved', successor, how }, 'commit answers the successor')
      assert.deepEqual({ ...await this.renewTo(id, this.id(id), change) }, { status: 'moved', successor, how }, 'renew answers the successor')
      assert.deepEqual({ ...await this.store.end(id) as Successor }, { successor, how }, 'end answers the successor')
    }
  }

  /** Asserts that the stored record equals `expected`. The order of its keys and properties that the store has added do not count. */
  async assertRecord (id: string, expected: Omit<SessionRecord, 'fields'> & { fields: Fields | SessionRecord['fields'] }): Promise<void> {
    const found = await this.loadExisting(id)
    const { fields, ...rest } = Object.fromEntries(Object.keys(newRecord(found)).map((part) => [part, Reflect.get(found, part) as unknown]))
    const { fields: expectedFields, ...expectedRest } = expected
    assert.deepEqual(sorted(fields as SessionRecord['fields']), sorted(expectedFields))
    assert.deepEqual(rest, { ...expectedRest })
  }
}

function sorted (fields: Fields | SessionRecord['fields']): Array<[string, string]> {
  return (fields instanceof Map ? [...fields] : Object.entries(fields)).sort(([a], [b]) => (a < b ? -1 : 1))
}

function storeChange ({ expect = {}, set = {}, increment = {}, ...more }: Change): SessionChange {
  return newChange({ expect: new Map(Object.entries(expect)), set: new Map(Object.entries(set)), increment: new Map(Object.entries(increment)), ...more })
}
