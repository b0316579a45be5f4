import { checkOptions, rules, wholeNumber, withMethods } from '../check.js'
import { OptionError, OutcomeUnknownError, RecordError, StoreUnavailableError } from '../errors.js'
import { commitScript, createScript, type Script } from './redis-scripts.js'
import { slotOf, type CommitResult, type SessionChange, type SessionRecord, type SessionStore } from './store.js'

/** What the store needs of a client: an ioredis `Redis` or `Cluster` has it. */
export interface RedisClient {
  hgetall (key: string): Promise<Record<string, string>>
  evalsha (sha: string, keys: number, ...args: string[]): Promise<unknown>
  eval (script: string, keys: number, ...args: string[]): Promise<unknown>
  unlink (...keys: string[]): Promise<number>
}

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
 *
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function redisStore (client: RedisClient, options?: RedisStoreOptions): SessionStore {
  const isClient = withMethods('an ioredis client', 'hgetall', 'evalsha', 'eval', 'unlink')
  if (!isClient.test(client)) throw new OptionError('redisStore()', `the first argument must be ${isClient.allowed}`)
  const { prefix = 'session:', timeout = 1000 } = checkOptions<RedisStoreOptions>('redisStore()', options, {
    prefix: rules.text,
    timeout: wholeNumber('milliseconds', 1, 2_147_483_647),
  })
  return new RedisStore(client, prefix, timeout)
}

class RedisStore implements SessionStore {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #timeout: number

  constructor (client: RedisClient, prefix: string, timeout: number) {
    this.#client = client
    this.#prefix = prefix
    this.#timeout = timeout
  }

  load (id: string): Promise<SessionRecord | undefined> {
    return this.#deadline(this.#client.hgetall(this.#key(id)), false, (hash) => {
      const record = parseRecord(hash)
      return record?.keep ? this.#loadData(id, record) : record
    })
  }

  create (id: string, record: SessionRecord): Promise<boolean> {
    const { createdAt, expiresAt, ttl, keep, name } = record
    const description = `1 ${createdAt} ${expiresAt ?? '-'} ${formatTtl(ttl)} ${keep ? 1 : 0} ${name ?? ''}`
    const args = [description, timeLeft(expiresAt), keep ? '1' : '0']
    for (const [key, text] of record.fields) args.push(key, text)
    return this.#write(createScript, [this.#key(id), this.#dataKey(id)], args, (created) => created === 1)
  }

  commit (id: string, change: SessionChange): Promise<CommitResult> {
    return this.#commit([this.#key(id), this.#dataKey(id)], change)
  }

  renew (id: string, newId: string, change: SessionChange): Promise<CommitResult> {
    return this.#commit([this.#key(id), this.#dataKey(id), this.#key(newId), this.#dataKey(newId)], change)
  }

  end (id: string): Promise<boolean> {
    return this.#deadline(this.#client.unlink(this.#key(id), this.#dataKey(id)), true, (count) => count > 0)
  }

  close (): void {}

  /** The data of a session that outlives it. */
  #loadData (id: string, record: SessionRecord): Promise<SessionRecord> {
    return this.#deadline(this.#client.hgetall(this.#dataKey(id)), false, (data) => {
      record.fields = new Map(Object.entries(data))
      if (record.fields.size === 0) record.expiresAt = null
      return record
    })
  }

  #commit (keys: string[], change: SessionChange): Promise<CommitResult> {
    const { expiresAt } = change
    const args = [
      expiresAt === undefined ? '' : String(expiresAt ?? '-'),
      expiresAt === undefined ? '' : timeLeft(expiresAt),
      change.ttl === undefined ? '' : formatTtl(change.ttl),
      change.clear ? '1' : '0',
      String(change.expect.size),
    ]
    for (const [key, text] of change.expect) args.push(key, text ?? '')
    args.push(String(change.remove.length), ...change.remove, String(change.set.size))
    for (const [key, text] of change.set) args.push(key, text)
    args.push(String(change.increment.size))
    for (const [key, by] of change.increment) args.push(key, String(by))
    return this.#write(commitScript, keys, args, (reply) => parseResult(reply as string[], change))
  }

  /** The braces are a hash tag: the keys of a session, and those of its renewal, are in one slot of a cluster. */
  #key (id: string): string {
    return `${this.#prefix}{${slotOf(id)}}${id}`
  }

  #dataKey (id: string): string {
    return `${this.#key(id)}:data`
  }

  #write<R> (script: Script, keys: string[], args: string[], read: (reply: unknown) => R): Promise<R> {
    const answer = this.#client.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: unknown) => {
      if (!isReply(error, 'NOSCRIPT')) throw error
      return this.#client.eval(script.text, keys.length, ...keys, ...args)
    })
    return this.#deadline(answer, true, read)
  }

  /**
   * Waits for an answer and reads it, for as long as a call may take.
   * @throws StoreUnavailableError, or OutcomeUnknownError for a write that may have been applied
   */
  #deadline<T, R> (answer: Promise<T>, write: boolean, read: (answer: T) => R | Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      const Lost = write ? OutcomeUnknownError : StoreUnavailableError
      const timer = setTimeout(() => reject(new Lost(`Redis did not answer within ${this.#timeout} milliseconds`)), this.#timeout)
      answer.then((answer) => {
        clearTimeout(timer)
        try {
          resolve(read(answer))
        } catch (error) {
          reject(error)
        }
      }, (cause: unknown) => {
        clearTimeout(timer)
        reject(storeError(cause, Lost))
      })
    })
  }
}

function storeError (cause: unknown, Lost: new (what: string, options: ErrorOptions) => Error): Error {
  const { name, message } = cause as Error
  if (isReply(cause, 'WRONGTYPE')) return new RecordError(message, { cause })
  if (name === 'ReplyError') return new StoreUnavailableError(message, { cause })
  return new Lost(message, { cause })
}

/** Whether Redis answered with this error code: the first word of its message, by the protocol. */
function isReply (error: unknown, code: string): boolean {
  const { name, message } = error as Error
  return name === 'ReplyError' && message.startsWith(`${code} `)
}

function parseRecord (hash: Record<string, string>): SessionRecord | undefined {
  const fields = new Map<string, string>()
  let description: string | undefined
  for (const key in hash) {
    if (key === '') description = hash[key]
    else fields.set(key, hash[key] as string)
  }
  if (description !== undefined) return parseDescription(description, fields)
  if (fields.size > 0) throw new RecordError('its description is missing')
  return undefined
}

function parseDescription (description: string, fields: Map<string, string>): SessionRecord {
  const parts = /^1 (\d+) (-|\d+) (=|-|\d+) ([01]) (.*)$/s.exec(description)
  if (parts === null) throw new RecordError(problemOf(description))
  const [, createdAt, expiresAt, ttl, keep, name] = parts
  return {
    fields,
    createdAt: Number(createdAt),
    expiresAt: expiresAt === '-' ? null : Number(expiresAt),
    ttl: ttl === '=' ? undefined : ttl === '-' ? null : Number(ttl),
    keep: keep === '1',
    name: name === '' ? undefined : name,
  }
}

function problemOf (description: string): string {
  const version = /^\d+(?= )/.exec(description)?.[0]
  return version === undefined || version === '1' ? 'its description is damaged' : `it is of version ${version}, and this is version 1`
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

function formatTtl (ttl: number | null | undefined): string {
  return ttl === undefined ? '=' : ttl === null ? '-' : String(ttl)
}

/** Milliseconds from now, as Redis takes them: a difference, so that its clock need not agree with ours. */
function timeLeft (expiresAt: number | null): string {
  return expiresAt === null ? '-' : String(Math.max(1, expiresAt - Date.now()))
}
