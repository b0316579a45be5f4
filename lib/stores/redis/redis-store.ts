import { randomUUID } from 'node:crypto'
import { RecordError, StoreUnsupportedError } from '../../errors.js'
import type { CompleteStore, SessionSummary, StoreEvent, StoreWatch } from '../optional-interfaces.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from '../store.js'
import type { Lease, LeasingStore, Tracking, TrackListener, TrackableStore } from '../track.js'
import { slotOf } from '../contract-helpers.js'
import { ChangeFeed } from './change-feed.js'
import { causeCode, RedisCommands } from './commands.js'
import { listIds } from './listing.js'
import { redisStoreOptions, refuseUnusable, type RedisClient, type RedisStoreOptions } from './options.js'
import { describedAfterUse, encodeText, entryTagOf, feedOf, lacksData, newNonce, parseDescription, parseHash, parseTimeLeft, subjectIn, type IndexEntry } from './record-format.js'
import { commitScript } from './commit-script.js'
import { plainCommitScript, plainRecordOf } from './plain-commit.js'
import { createScript, describeScript, endScript, leaseScript, regenerateScript, replaceScript, watchScript } from './scripts.js'
import type { Int, Script } from './script.js'
import { describeServers, describeUntold, refuseTooOld, type ServerInfo } from './servers.js'
import { SubjectIndex, type IndexLimit, type Member } from './subject-index.js'
import { KeyTracking } from './tracking.js'

/**
 * Keeps sessions in Redis 7 or newer (a single server, Sentinel or Cluster), or Valkey, through a client of ioredis or node-redis: one
 * `HGETALL` to read, one script to write, expiry by Redis itself. The app owns the client: the store does not close it.
 * While sessions are watched there is one more connection, by the client's `duplicate()`.
 *
 * Commands of one turn of the event loop are sent together. A write with a lost reply is sent again, with any options of the
 * client. It adds up once; if it only sets and removes keys, it overwrites what others have written to them meanwhile.
 *
 * @param client an ioredis `Redis` or `Cluster`, or a node-redis client of `createClient()`, `createCluster()` or `createSentinel()`
 * @throws OptionError (`FST_SESSION_OPTION`)
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { getSession, redisStore, tokenSessions } from 'fastify-request-session'
 *
 * const client = new Redis(process.env['REDIS_URL'] ?? '')
 * const users = tokenSessions<{ visits: number }>({ store: redisStore(client, { prefix: 'shop:' }), ttl: 1800 })
 * await getSession(users, null, (session) => { session.increment('visits') })
 * await users.close()
 * client.disconnect()
 * ```
 */
export function redisStore (client: RedisClient, options?: RedisStoreOptions): CompleteStore & TrackableStore & LeasingStore {
  const { connection, prefix, timeout } = redisStoreOptions(client, options)
  return new RedisStore(new RedisCommands(connection, timeout), prefix)
}

const evictionWarning = 'the session store may lose sessions: its server evicts keys when its memory is full (maxmemory-policy). ' +
  'Users are logged out early then, and the sessions of a subject are found by looking at all sessions. Set it to noeviction, and watch its memory'

/** Maximum remembered ids, which save their commits a second script. */
const maxOutliving = 10_000

class RedisStore implements CompleteStore, TrackableStore, LeasingStore {
  readonly #commands: RedisCommands
  readonly #prefix: string
  readonly #subjects: SubjectIndex
  readonly #feed: ChangeFeed
  /** Sessions that are known to outlive their data. */
  readonly #outliving = new Set<string>()
  readonly keyspace: string

  constructor (commands: RedisCommands, prefix: string) {
    this.#commands = commands
    this.#prefix = prefix
    this.#subjects = new SubjectIndex(commands, prefix)
    this.#feed = new ChangeFeed(commands)
    this.keyspace = `keys ${commands.connection.keyPrefix}${prefix} of ${commands.connection.address}`
  }

  async load (id: string): Promise<SessionRecord | Successor | undefined> {
    const key = this.#key(id)
    const record = parseHash(await this.#commands.send('read', 'hgetall', key))
    if (record === undefined || 'successor' in record || record.deleteSession) return record
    this.#noteOutliving(id)
    record.fields = new Map(Object.entries(await this.#commands.send<Record<string, string>>('read', 'hgetall', dataKeyOf(key))))
    if (record.fields.size === 0) record.expiresAt = null
    return record
  }

  async create (id: string, record: SessionRecord, atMost?: number): Promise<boolean | 'limit'> {
    const entry = await this.#addToIndex(id, record, atMost)
    if (entry === 'limit') return entry
    const created = await this.#run(createScript, id, undefined, !record.deleteSession, record, entry)
    if (!created) await this.#subjects.remove(id, entry)
    return created
  }

  async replace (id: string, record: SessionRecord): Promise<void> {
    const entry = await this.#addToIndex(id, record) as IndexEntry | undefined
    const oldEntry = await this.#run(replaceScript, id, undefined, !record.deleteSession, record, entry)
    if (oldEntry?.tag !== entry?.tag) await this.#subjects.remove(id, oldEntry) // the same: it was sent twice
  }

  /**
   * Commits; a second time, if the session lacks a needed index entry.
   * @param newId the id that the session is renewed under
   * @param again for a repeated commit: its nonce, and the index entry that was written for it
   */
  async commit (id: string, change: SessionChange, newId?: string, again?: { nonce: string | undefined, entry: IndexEntry }): Promise<CommitResult> {
    // A commit that only sets and removes writes the same when it is sent twice.
    const isRepeatable = change.expect.size + change.increment.size === 0 && change.dataVersion === undefined && (change.subject === undefined || change.expectSubject === undefined)
    const nonce = again !== undefined ? again.nonce : isRepeatable ? undefined : newNonce()
    const record = newId === undefined && again === undefined ? plainRecordOf(change) : undefined
    if (record !== undefined) {
      const afterUse = (change.expiresAt ?? change.usedAt) === undefined ? undefined : describedAfterUse(record.described, change)
      const result = await this.#commands.runScript(plainCommitScript, [this.#key(id)], change, record, afterUse, nonce)
      if (afterUse !== undefined && result?.status === 'committed') record.described = afterUse
      if (result !== undefined) return result
    }
    const entry = again?.entry
    const finalId = newId ?? id
    const answer = await this.#run(commitScript, id, newId, false, change, entry, newId, nonce)
    if ('missingEntry' in answer) {
      await this.#subjects.remove(finalId, entry)
      const { subject, timeLeft, isNew } = answer.missingEntry
      const added = await this.#subjects.add(finalId, subject, timeLeft, isNew ? this.#limitOf(change.atMost, id) : undefined)
      return added === 'limit' ? { status: added } : this.commit(id, change, newId, { nonce, entry: added })
    }
    const { result, obsoleteEntry } = answer
    if (entry !== undefined && result.status !== 'committed') await this.#subjects.remove(finalId, entry)
    if (obsoleteEntry !== undefined) await this.#subjects.remove(obsoleteEntry.tag === entry?.tag ? finalId : id, obsoleteEntry)
    return result
  }

  renew (id: string, newId: string, change: SessionChange): Promise<CommitResult> {
    return this.commit(id, change, newId)
  }

  async regenerate (id: string, newId: string, record: SessionRecord, atMost?: number): Promise<boolean | 'limit'> {
    let entry = await this.#addToIndex(newId, record, atMost, id)
    const isBeyond = entry === 'limit'
    if (entry === 'limit') {
      if (!await this.#isOneTooMany(id, encodeText(record.subject), atMost as number)) return entry
      entry = await this.#addToIndex(newId, record) as IndexEntry
    }
    const { created, oldEntry } = await this.#run(regenerateScript, id, newId, !record.deleteSession, { how: 'regenerated', successor: newId }, record, entry, isBeyond)
    await (created === true ? this.#subjects.remove(id, oldEntry) : this.#subjects.remove(newId, entry))
    return created
  }

  async end (id: string, only: Parameters<SessionStore['end']>[1] = {}): Promise<boolean | Successor> {
    const { ended, entry } = await this.#run(endScript, id, undefined, false, only)
    await this.#subjects.remove(id, entry)
    return ended
  }

  ids (): AsyncIterable<readonly string[]> {
    return listIds(this.#commands, this.#prefix)
  }

  async * idsOf (subject: string): AsyncGenerator<string[], undefined> {
    const encoded = encodeText(subject)
    const found = new Set<string>()
    for await (const ids of this.#indexedIdsOf(encoded)) {
      for (const id of ids) found.add(id)
      yield ids
    }
    if (!await this.#mayLackEntries()) return
    for await (const ids of this.ids()) {
      const descriptions = await Promise.all(ids.map((id) => found.has(id) ? null : this.#description(id)))
      const others = ids.filter((_, i) => subjectIn(descriptions[i] ?? '') === encoded)
      if (others.length > 0) yield others
    }
  }

  async * #indexedIdsOf (encoded: string): AsyncGenerator<string[], undefined> {
    for await (const members of this.#subjects.members(encoded)) {
      const valid = await Promise.all(members.map((member) => this.#isNamed(member)))
      await this.#subjects.removeOld(encoded, members.filter((_, i) => !valid[i]))
      const ids = members.flatMap(({ id }, i) => valid[i] ? [id] : [])
      if (ids.length > 0) yield ids
    }
  }

  describe (id: string): Promise<SessionSummary | undefined> {
    return this.#describe(id, undefined)
  }

  async watch (id: string, listener: (event: StoreEvent) => void): Promise<StoreWatch | undefined> {
    const key = this.#key(id)
    const feed = await this.#commands.runScript(watchScript, [key], randomUUID())
    if (feed === '') return undefined
    const stop = await this.#feed.listen(`${key}:${feed}`, listener)
    return { look: () => this.#describe(id, feed), stop }
  }

  track (listener: TrackListener, every: number): Tracking {
    return new KeyTracking(this.#commands, this.#prefix, listener, every)
  }

  lease (work: string, holder: string, ms: number): Promise<Lease> {
    return this.#commands.runScript(leaseScript, [this.#leaseKey(work)], holder, ms)
  }

  async finish (work: string, ms: number): Promise<void> {
    await this.#commands.runScript(leaseScript, [this.#leaseKey(work)], '', ms)
  }

  async checkAtBoot (log: Pick<Console, 'info' | 'warn' | 'error'>): Promise<void> {
    refuseUnusable(this.#commands.connection, this.#prefix)
    try {
      const servers = await Promise.all(await this.#info())
      refuseTooOld(servers)
      log.info(describeServers(servers))
      const untold = describeUntold(servers)
      if (untold !== undefined) log.warn(untold)
      if (servers.some(({ evicts }) => evicts)) log.warn(evictionWarning)
    } catch (error) {
      if (error instanceof StoreUnsupportedError) throw error
      log.warn(`the server of the session store does not describe itself: ${((error as Error).cause as Error).message}`)
      if (causeCode(error) === 'NOPERM') return
      this.#commands.connection.onceReady(() => { this.checkAtBoot(log).catch((error: unknown) => { log.error(error, 'the session store cannot be used') }) })
    }
  }

  close (): void {
    this.#feed.close()
    this.#commands.close()
  }

  /** @param feed the id of the feed that the session must have; `undefined`: any, or none */
  async #describe (id: string, feed: string | undefined): Promise<SessionSummary | undefined> {
    const key = this.#key(id)
    const found = await this.#commands.runScript(describeScript, [key])
    if (found === undefined || (feed !== undefined && feedOf(found.description) !== feed)) return undefined
    const { fields, ...summary } = parseDescription(found.description, new Map())
    if (summary.deleteSession) return { ...summary, size: found.size, timeLeft: found.timeLeft }
    const dataKey = dataKeyOf(key)
    const [size, left] = await Promise.all([this.#commands.send<Int>('read', 'hlen', dataKey), this.#commands.send<Int>('read', 'pttl', dataKey)])
    return { ...summary, expiresAt: Number(size) === 0 ? null : summary.expiresAt, size: Number(size), timeLeft: parseTimeLeft(left) }
  }

  /** Writes the index entry of a session with a subject, before the session itself is written. */
  async #addToIndex (id: string, { subject, deleteSession, expiresAt }: SessionRecord, atMost?: number, oldId = id): Promise<IndexEntry | undefined | 'limit'> {
    if (subject === undefined) return undefined
    return this.#subjects.add(id, encodeText(subject), deleteSession && expiresAt !== null ? expiresAt - Date.now() : null, this.#limitOf(atMost, oldId))
  }

  /** True for a session of a subject that has more than it may have, not counting places whose sessions are not written yet. */
  async #isOneTooMany (id: string, subject: string, atMost: number): Promise<boolean> {
    const found: string[] = []
    for await (const ids of this.#indexedIdsOf(subject)) found.push(...ids)
    return found.includes(id) && found.length > atMost
  }

  #limitOf (atMost: number | undefined, oldId: string): IndexLimit | undefined {
    return atMost === undefined ? undefined : { atMost, oldId, isNamed: (member) => this.#isNamed(member) }
  }

  /**
   * Runs a script on a session, and on the one that it becomes. The keys of their data are named if a session is known to
   * outlive its data, or turns out to.
   */
  async #run<Args extends unknown[], Reply, Result> (script: Script<Args, Reply, Result>, id: string, newId: string | undefined, outlivesData: boolean, ...args: Args): Promise<Result> {
    const keys = newId === undefined ? [this.#key(id)] : [this.#key(id), this.#key(newId)]
    if (!outlivesData && !this.#outliving.has(id)) {
      try {
        return await this.#commands.runScript(script, keys, ...args)
      } catch (error) {
        if (causeCode(error) !== lacksData) throw error
        this.#noteOutliving(id)
      }
    }
    return this.#commands.runScript(script, [...keys, ...keys.map(dataKeyOf)], ...args)
  }

  #noteOutliving (id: string): void {
    if (this.#outliving.size >= maxOutliving) this.#outliving.clear()
    this.#outliving.add(id)
  }

  /** True if the member's session exists and names this index entry, or cannot be read, or was renewed since it was listed. */
  async #isNamed ({ id, tag }: Member): Promise<boolean> {
    try {
      const description = await this.#description(id)
      return description !== null && [tag, undefined].includes(entryTagOf(description))
    } catch (error) {
      if (error instanceof RecordError) return true
      throw error
    }
  }

  async #info (): Promise<Array<Promise<ServerInfo>>> {
    return (await this.#commands.allServers(this.#prefix)).map((server) => this.#commands.info(server))
  }

  /** True if the index of a subject may have been evicted, or the server hides its policy. Unreachable servers are skipped. */
  async #mayLackEntries (): Promise<boolean> {
    const answers = await Promise.allSettled(await this.#info())
    return answers.some((answer) => answer.status === 'fulfilled' ? answer.value.evicts !== false : causeCode(answer.reason) === 'NOPERM')
  }

  #description (id: string): Promise<string | null> {
    return this.#commands.send('read', 'hget', this.#key(id), '')
  }

  #leaseKey (work: string): string {
    return `${this.#prefix}lease:{${encodeText(work)}}`
  }

  /** The braces are a hash tag: the keys of a session, and those of its renewal, are in one slot of a cluster. */
  #key (id: string): string {
    return `${this.#prefix}{${slotOf(id)}}${id}`
  }
}

/** The key of the data of a session that outlives its data. */
function dataKeyOf (key: string): string {
  return `${key}:data`
}
