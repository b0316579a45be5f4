import { checkOptions, rules, wholeNumber, withMethods } from '../../util/option-rules.js'
import { OptionError, RecordError } from '../../errors.js'
import type { CommitResult, CompleteStore, SessionChange, SessionRecord, SessionSummary, StoreEvent, StoreWatch } from '../store.js'
import { RedisCalls } from './commands.js'
import type { RedisClient } from './client.js'
import { encodeText, formatDescription, formatSeconds, parseRecord, tagOf, type IndexEntry } from './record-format.js'
import { RedisFeed } from './change-feed.js'
import { scanIds } from './list-ids.js'
import { commitScript, createScript, describeScript, endScript, replaceScript, watchScript } from './scripts.js'
import { RedisSubjects, type Member } from './subject-index.js'
import { slotOf } from '../slot.js'

/** Options of the Redis store. */
export interface RedisStoreOptions {
  /**
   * What the store's keys begin with.
   * @default 'session:'
   */
  prefix?: string | undefined
  /**
   * Milliseconds that one call may take, waiting for a connection included; then it fails with
   * `FST_SESSION_STORE_UNAVAILABLE`, or a write with `FST_SESSION_OUTCOME_UNKNOWN`.
   * @default 1000
   */
  timeout?: number | undefined
}

/**
 * Sessions in Redis 7 or newer (a single server, Sentinel or Cluster), or Valkey, through an ioredis client: one
 * `HGETALL` to read, one script to write, expiry by Redis itself. The client stays the app's own: it is not closed.
 * While sessions are watched there is one more connection, made by the client's `duplicate()`.
 *
 * Make a `Redis` with `autoResendUnfulfilledCommands: false`, and a `Cluster` with `retryDelayOnFailover: 0`. By default
 * ioredis sends a command again if the connection broke before its answer came, so that an increment or an update
 * which Redis had applied already counts twice; without that it fails with `FST_SESSION_OUTCOME_UNKNOWN`.
 *
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function redisStore (client: RedisClient, options?: RedisStoreOptions): CompleteStore {
  const isClient = withMethods('an ioredis client', 'hgetall', 'evalsha', 'eval')
  if (!isClient.test(client)) throw new OptionError('redisStore()', `the first argument must be ${isClient.allowed}`)
  const { prefix = 'session:', timeout = 1000 } = checkOptions<RedisStoreOptions>('redisStore()', options, {
    prefix: rules.text,
    timeout: wholeNumber('milliseconds', 1, 2_147_483_647),
  })
  return new RedisStore(new RedisCalls(client, timeout), prefix)
}

class RedisStore implements CompleteStore {
  readonly #calls: RedisCalls
  readonly #prefix: string
  readonly #subjects: RedisSubjects
  readonly #feed: RedisFeed

  constructor (calls: RedisCalls, prefix: string) {
    this.#calls = calls
    this.#prefix = prefix
    this.#subjects = new RedisSubjects(calls, prefix)
    this.#feed = new RedisFeed(calls)
  }

  load (id: string): Promise<SessionRecord | undefined> {
    return this.#calls.read(this.#calls.client.hgetall(this.#key(id)), (hash) => {
      const record = readRecord(hash)
      return record?.deleteSession === false ? this.#loadData(id, record) : record
    })
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    const entry = await this.#indexed(id, record)
    const created = await this.#calls.run(createScript, this.#keys(id), recordArgs(record, entry), (created) => created === 1)
    if (!created && entry !== undefined) await this.#subjects.remove(entry.subject, { id, tag: entry.tag })
    return created
  }

  async replace (id: string, record: SessionRecord): Promise<void> {
    const entry = await this.#indexed(id, record)
    await this.#calls.run(replaceScript, this.#keys(id), recordArgs(record, entry), ([subject, tag]: [string, string]) => this.#unindex(subject, id, tag))
  }

  commit (id: string, change: SessionChange): Promise<CommitResult> {
    return this.#commit(id, id, this.#keys(id), change)
  }

  renew (id: string, newId: string, change: SessionChange): Promise<CommitResult> {
    return this.#commit(id, newId, [...this.#keys(id), ...this.#keys(newId)], change)
  }

  end (id: string, generation = ''): Promise<boolean> {
    return this.#calls.run(endScript, this.#keys(id), [generation], async ([ended, subject, tag]: [number, string?, string?]) => {
      await this.#unindex(subject, id, tag)
      return ended > 0
    })
  }

  ids (): AsyncIterable<readonly string[]> {
    return scanIds(this.#calls, this.#prefix)
  }

  async * idsOf (subject: string): AsyncGenerator<string[], undefined> {
    for await (const members of this.#subjects.members(subject)) {
      const live = await Promise.all(members.map((member) => this.#isIndexed(member)))
      const stale = members.filter((member, i) => !live[i] && this.#subjects.isSettled(member))
      await this.#subjects.remove(encodeText(subject), ...stale)
      const ids = members.flatMap(({ id }, i) => live[i] ? [id] : [])
      if (ids.length > 0) yield ids
    }
  }

  describe (id: string): Promise<SessionSummary | undefined> {
    return this.#calls.ask(describeScript, this.#keys(id), ([description, size]: [string?, number?]) => {
      if (description === undefined || size === undefined) return undefined
      const { fields, ...summary } = parseRecord(description, new Map())
      return { ...summary, expiresAt: !summary.deleteSession && size === 0 ? null : summary.expiresAt, size }
    })
  }

  async watch (id: string, listener: (event: StoreEvent) => void): Promise<StoreWatch | undefined> {
    // A cluster's client is connected, and knows its servers, once it has answered.
    if (await this.#description(id) === null) return undefined
    const watch = await this.#feed.listen(this.#key(id), listener)
    let exists = false
    try {
      exists = await this.#calls.run(watchScript, [this.#key(id)], [], (exists) => exists === 1)
      return exists ? watch : undefined
    } finally {
      if (!exists) await watch.stop()
    }
  }

  close (): void {
    this.#feed.close()
  }

  /** The data of a session that outlives it. */
  #loadData (id: string, record: SessionRecord): Promise<SessionRecord> {
    return this.#calls.read(this.#calls.client.hgetall(this.#dataKey(id)), (data) => {
      record.fields = new Map(Object.entries(data))
      if (record.fields.size === 0) record.expiresAt = null
      return record
    })
  }

  /**
   * @param newId the id that the session has afterwards
   * @param entry what was written to the index of its subject for this commit
   */
  #commit (id: string, newId: string, keys: string[], change: SessionChange, entry?: IndexEntry): Promise<CommitResult> {
    return this.#calls.run(commitScript, keys, commitArgs(change, entry), (answer: 1 | string[] | Moved) => {
      if (answer === 1) return committed
      if (isMoved(answer)) return this.#moved(id, newId, answer, change, entry)
      const [status] = answer
      if (status === 'index') return this.#index(id, newId, keys, answer, change, entry)
      const result = parseResult(answer, change)
      return entry === undefined || status === 'committed' ? result : this.#unindex(entry.subject, newId, entry.tag).then(() => result)
    })
  }

  /** Writes the entry without which the session must not be written, and commits again. */
  async #index (id: string, newId: string, keys: string[], [, subject, needed]: string[], change: SessionChange, useless?: IndexEntry): Promise<CommitResult> {
    await this.#unindex(useless?.subject, newId, useless?.tag)
    const entry = await this.#subjects.add(newId, subject as string, needed === '-' ? null : Number(needed))
    return this.#commit(id, newId, keys, change, entry)
  }

  async #moved (id: string, newId: string, [, answer, subject, tag]: Moved, change: SessionChange, entry?: IndexEntry): Promise<CommitResult> {
    await this.#unindex(subject, tag === entry?.tag ? newId : id, tag)
    return parseResult(answer, change)
  }

  /** The entry that a new session's subject has to have in the index before the session is written. */
  async #indexed (id: string, { subject, deleteSession, expiresAt }: SessionRecord): Promise<IndexEntry | undefined> {
    return subject === undefined ? undefined : this.#subjects.add(id, encodeText(subject), deleteSession ? expiresAt : null)
  }

  /** @param tag '' or `undefined`: there is no entry */
  async #unindex (subject: string | undefined, id: string, tag: string | undefined): Promise<void> {
    if (subject && tag) await this.#subjects.remove(subject, { id, tag })
  }

  /** Whether there is a session that knows of this entry in the index of its subject, or one that cannot be read. */
  async #isIndexed ({ id, tag }: Member): Promise<boolean> {
    try {
      const description = await this.#description(id)
      return description !== null && [tag, undefined].includes(tagOf(description))
    } catch (error) {
      if (error instanceof RecordError) return true
      throw error
    }
  }

  #description (id: string): Promise<string | null> {
    return this.#calls.read(this.#calls.client.hget(this.#key(id), ''), (description) => description)
  }

  #keys (id: string): [session: string, data: string] {
    return [this.#key(id), this.#dataKey(id)]
  }

  /** The braces are a hash tag: the keys of a session, and those of its renewal, are in one slot of a cluster. */
  #key (id: string): string {
    return `${this.#prefix}{${slotOf(id)}}${id}`
  }

  #dataKey (id: string): string {
    return `${this.#key(id)}:data`
  }
}

const committed: CommitResult = Object.freeze({ status: 'committed', increments: Object.freeze([]) })

/** A script's answer, and the entry of an index that is of no use any more. */
type Moved = ['moved', answer: string[], subject: string, tag: string]

function isMoved (answer: string[] | Moved): answer is Moved {
  return answer[0] === 'moved'
}

function readRecord (hash: Record<string, string>): SessionRecord | undefined {
  const fields = new Map<string, string>()
  let description: string | undefined
  for (const key in hash) {
    if (key === '') description = hash[key]
    else fields.set(key, hash[key] as string)
  }
  if (description !== undefined) return parseRecord(description, fields)
  if (fields.size > 0) throw new RecordError('its description is missing')
  return undefined
}

function recordArgs (record: SessionRecord, entry: IndexEntry | undefined): string[] {
  const args = [formatDescription(record, entry), timeLeft(record.expiresAt), record.deleteSession ? '0' : '1']
  for (const [key, text] of record.fields) args.push(key, text)
  return args
}

function commitArgs (change: SessionChange, entry: IndexEntry | undefined): string[] {
  const { expiresAt, ttl, clear, subject, generation, expect, remove, set, increment } = change
  const expiry = expiresAt === undefined ? ' ' : `${expiresAt ?? '-'} ${timeLeft(expiresAt)}`
  const seconds = ttl === undefined ? '' : formatSeconds(ttl)
  const owner = subject === undefined ? '' : subject === null ? '-' : `+${encodeText(subject)}`
  const index = entry === undefined ? '  ' : `${entry.tag} ${entry.limit} ${entry.subject}`
  const lengths = `${expect.size} ${remove.length} ${set.size} ${increment.size}`
  const args = [`${expiry} ${seconds} ${clear ? '1' : ''} ${owner} ${encodeText(generation)} ${index} ${lengths}`]
  for (const [key, text] of expect) args.push(key, text ?? '')
  for (const key of remove) args.push(key)
  for (const [key, text] of set) args.push(key, text)
  for (const [key, by] of increment) args.push(key, String(by))
  return args
}

function parseResult ([status, ...rest]: string[], change: SessionChange): CommitResult {
  switch (status) {
    case 'committed': return { status, increments: rest.map(Number) }
    case 'missing': return { status }
    case 'conflict': return { status, current: new Map([...change.expect.keys()].map((key, i) => [key, rest[i] || undefined])) }
    case 'not-a-number': return { status, key: rest[0] as string }
    default: throw new RecordError('its description is damaged, or of another version')
  }
}

/** Milliseconds from now, as Redis takes them: a difference, so that its clock need not agree with ours. */
function timeLeft (expiresAt: number | null): string {
  return expiresAt === null ? '-' : String(Math.max(1, expiresAt - Date.now()))
}
