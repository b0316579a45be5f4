import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { CommitResult, SessionChange, SessionRecord, SessionStore } from '../stores/store.js'
import type { ConformanceOptions } from './index.js'

/** One promise of the contract. */
export interface Case {
  readonly name: string
  /** The option without which the case cannot run. */
  readonly needs?: 'damage'
  readonly test: (bench: Bench) => Promise<void>
}

/** What a case has at hand: the store, time, and short words for records and changes. */
export class Bench {
  readonly store: SessionStore
  /** Milliseconds that `record()` lives. */
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

  /** A fresh id; with `like`, one that begins as that does. */
  id (like = randomBytes(2).toString('hex').slice(0, 2)): string {
    return like.slice(0, 2) + randomBytes(32).toString('base64url')
  }

  record (fields: Record<string, string> = {}, more: Partial<SessionRecord> = {}): SessionRecord {
    const now = Date.now()
    return {
      fields: new Map(Object.entries(fields)),
      createdAt: now,
      expiresAt: now + this.lifetime,
      ttl: undefined,
      deleteSession: true,
      name: undefined,
      generation: undefined,
      maxAge: undefined,
      subject: undefined,
      ...more,
    }
  }

  /** Creates a session and gives its id. */
  async created (fields: Record<string, string> = {}, more: Partial<SessionRecord> = {}): Promise<string> {
    const id = this.id()
    assert.equal(await this.store.create(id, this.record(fields, more)), true, 'create answers true for a fresh id')
    return id
  }

  change (change: Partial<SessionChange>): SessionChange {
    return {
      expect: new Map(), clear: false, set: new Map(), remove: [], increment: new Map(), expiresAt: undefined, ttl: undefined, subject: undefined, generation: undefined, ...change,
    }
  }

  async commit (id: string, change: Partial<SessionChange>): Promise<CommitResult> {
    return this.store.commit(id, this.change(change))
  }

  async committed (id: string, change: Partial<SessionChange>): Promise<readonly number[]> {
    const result = await this.commit(id, change)
    assert.equal(result.status, 'committed')
    return result.status === 'committed' ? [...result.increments] : []
  }

  async loaded (id: string): Promise<SessionRecord> {
    const record = await this.store.load(id)
    assert.ok(record !== undefined, 'the session is there')
    return record
  }

  async hasData (id: string, fields: Record<string, string>): Promise<void> {
    assert.deepEqual(sorted((await this.loaded(id)).fields), sorted(new Map(Object.entries(fields))))
  }

  async isGone (id: string): Promise<void> {
    assert.equal(await this.store.load(id), undefined, 'load answers undefined')
    assert.equal((await this.commit(id, { set: new Map([['back', '1']]) })).status, 'missing', 'commit answers missing')
    assert.equal((await this.store.renew(id, this.id(id), this.change({}))).status, 'missing', 'renew answers missing')
    assert.equal(await this.store.end(id), false, 'end answers false')
    assert.equal(await this.store.load(id), undefined, 'nothing has brought it back')
  }

  /** Compares whole records, whatever the order of their keys. */
  async is (id: string, expected: SessionRecord): Promise<void> {
    const { fields, ...rest } = await this.loaded(id)
    const { fields: expectedFields, ...expectedRest } = expected
    assert.deepEqual(sorted(fields), sorted(expectedFields))
    assert.deepEqual({ ...rest }, { ...expectedRest })
  }
}

function sorted (fields: ReadonlyMap<string, string>): Array<[string, string]> {
  return [...fields].sort(([a], [b]) => (a < b ? -1 : 1))
}
