import { setTimeout as delay } from 'node:timers/promises'
import { deadlinesOf, type Deadlines, type TimedCall } from '../../util/call-timeouts.js'
import { OutcomeUnknownError, RecordError, StoreUnavailableError, StoreUnsupportedError } from '../../errors.js'
import { alone, redirected, type BatchingClient, type CommandName, type Pipeline } from './pipelines.js'
import type { Effect, Script } from './script.js'
import { hashSlotOf, parseInfo, type ServerInfo } from './servers.js'

interface SharedClient extends BatchingClient {
  readonly options: {
    readonly keyPrefix?: string | Buffer | undefined
    readonly host?: string | undefined
    readonly port?: number | undefined
    readonly path?: string | undefined
    readonly name?: string | undefined
    readonly db?: number | undefined
  }
}

/** A single server, or the master that Sentinel names: an ioredis `Redis`. */
export interface RedisServer extends SharedClient {
  /** Another connection to it. */
  duplicate (options: { autoResubscribe: false, lazyConnect: false, maxRetriesPerRequest: null }): RedisSubscriber
}

/** An ioredis `Cluster`. */
interface RedisCluster extends SharedClient {
  nodes (role: 'master'): RedisServer[]
  readonly options: SharedClient['options'] & { readonly scaleReads?: unknown }
}

/**
 * The part of a client that `redisStore()` uses: an ioredis `Redis` or `Cluster` has it.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { redisStore, type CompleteStore, type RedisClient } from 'fastify-request-session'
 *
 * const storeOn = (client: RedisClient): CompleteStore => redisStore(client, { prefix: 'shop:' })
 * const client = new Redis(process.env['REDIS_URL'] ?? '', { lazyConnect: true })
 * await storeOn(client).close()
 * client.disconnect()
 * ```
 */
export type RedisClient = RedisServer | RedisCluster

/** A connection that listens to channels. */
export interface RedisSubscriber {
  subscribe (...channels: string[]): Promise<unknown>
  unsubscribe (...channels: string[]): Promise<unknown>
  disconnect (): void
  on (event: 'message', listener: (channel: string, message: string) => void): unknown
  on (event: 'ready' | 'end' | 'error', listener: () => void): unknown
}

/** The error for a command whose reply is lost: a write may have been applied. */
const LostReply = { read: StoreUnavailableError, write: OutcomeUnknownError } satisfies Record<Effect, unknown>

/** Errors by which a node of a cluster says that it does not have the key, or not yet. */
const redirections = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |same slots allocation group/
/** The client's error for a command that it did not send, without its queue for commands that wait for a connection. */
const unsent = /enableOfflineQueue options is false/
/** The error of a server that does not know the first line of the scripts. */
const tooOld = /Error compiling script/
/** Errors of a server that restarts, or changes its role. */
const passing = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK'])
/** Milliseconds. */
const pauseBeforeResend = 20
/** Milliseconds after a reconnection in which a client gives the replies that it still can. */
const replyAfterReady = 100

/** The commands of all stores on a client, so that each is told of its reconnections. */
const known = new WeakMap<BatchingClient, Set<RedisCommands>>()

/**
 * Sends commands and scripts, waits for replies no longer than the timeout, and translates Redis's errors into the store's.
 *
 * All commands of one turn of the event loop go out together: Redis needs a third of the time for each then, whatever the
 * client's options are. In a cluster there is a batch for each node. The pipelines are the store's own. With
 * `enableAutoPipelining` ioredis would wait for its last pipeline before it sends the next one, for ever if the connection was
 * lost in between. With `autoResendUnfulfilledCommands: false` it forgets the commands that had no reply then: they are sent
 * again here, as long as the call may take.
 */
export class RedisCommands {
  readonly client: RedisClient
  /** The prefix that the client itself puts before keys, though not before patterns and channels. */
  readonly keyPrefix: string
  readonly #deadlines: Deadlines
  /** The batches that are sent at the end of this turn, by the nodes of their keys. */
  #waiting = new Map<string, Batch>()
  readonly #unanswered = new Set<Batch>()

  /** @param timeout milliseconds that one call may take */
  constructor (client: RedisClient, timeout: number) {
    this.client = client
    this.keyPrefix = String(client.options?.keyPrefix ?? '')
    this.#deadlines = deadlinesOf(timeout)
    const others = known.get(client)
    if (others !== undefined) {
      others.add(this)
      return
    }
    const all = new Set([this as RedisCommands])
    known.set(client, all)
    client.on('ready', () => { for (const commands of all) commands.#reconnected() })
  }

  /** The servers that together have all keys, as far as the client knows: that of a cluster knows none before its first reply. */
  get servers (): RedisServer[] {
    return 'nodes' in this.client ? this.client.nodes('master') : [this.client]
  }

  /** The server, for errors. All clusters have one name: their nodes can be given in any order. */
  get address (): string {
    if ('nodes' in this.client) return 'the cluster'
    const { host, port, path, name, db } = this.client.options
    return `${name ?? path ?? `${host}:${port}`}/${db ?? 0}`
  }

  close (): void {
    known.get(this.client)?.delete(this)
  }

  /**
   * Waits for the reply to a command.
   * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`), or OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if a
   * write may have been applied
   * @throws RecordError (`FST_SESSION_RECORD`) for a key of another type
   */
  async waitFor<T> (reply: Promise<T>, effect: Effect): Promise<T> {
    try {
      return await this.#deadlines.limit(reply, () => this.#timedOut())
    } catch (error) {
      throw storeError(error as Error, effect)
    }
  }

  /**
   * Sends a command and waits for its reply. It throws as `waitFor` does.
   * @param key the key that it names
   * @param more the arguments after the key
   */
  async send<Reply> (effect: Effect, name: Exclude<CommandName, 'eval' | 'evalsha' | 'scan'>, key: string, ...more: Array<string | number>): Promise<Reply> {
    const end = Date.now() + this.#deadlines.timeout
    const args = [key, ...more]
    try {
      return await this.#inBatch(key, name, args) as Reply
    } catch (error) {
      return await this.#again(error, effect, end, () => this.#inBatch(key, name, args)) as Reply
    }
  }

  /** Runs a script and reads its reply. It throws as `waitFor` does. */
  async runScript<Args extends unknown[], Reply, Result> (script: Script<Args, Reply, Result>, keys: string[], ...args: Args): Promise<Result> {
    const end = Date.now() + this.#deadlines.timeout
    const key = keys[0] as string
    const sent = [keys.length, ...keys, ...script.args(...args)]
    let reply: unknown
    try {
      reply = await this.#inBatch(key, 'evalsha', [script.sha, ...sent])
    } catch (error) {
      // A server that does not know the script yet, or no more, is sent its text.
      reply = await this.#again(error, script.effect, end, (isUnknown) =>
        isUnknown ? this.#inBatch(key, 'eval', [script.text, ...sent]) : this.#inBatch(key, 'evalsha', [script.sha, ...sent]))
    }
    return script.read(reply as Reply, ...args)
  }

  /**
   * The servers that together have all keys. It throws as `waitFor` does.
   * @param prefix the start of keys that the user may read
   */
  async allServers (prefix: string): Promise<RedisServer[]> {
    if (this.servers.length === 0) await this.send('read', 'hget', `${prefix}{}`, '')
    return this.servers
  }

  /** Reads what a server tells about itself. It throws as `waitFor` does. */
  async info (server: RedisServer): Promise<ServerInfo> {
    return parseInfo(String(await this.waitFor(alone(server, 'info', []), 'read')))
  }

  /** Reads a page of the keys of one server. It throws as `waitFor` does. */
  async scan (server: RedisServer, cursor: string, pattern: string, size: number): Promise<[cursor: string, keys: string[]]> {
    return this.waitFor(alone(server, 'scan', [cursor, 'MATCH', pattern, 'COUNT', size]), 'read') as Promise<[string, string[]]>
  }

  /**
   * Goes on after an error: sends again what had no answer since the connection was lost, as long as the call may take. Every
   * write comes out as if it was applied once.
   *
   * @param end milliseconds since the epoch
   * @param send given true where the server did not know the script
   * @param wasLost true once a reply was lost: what is refused from then on may have been applied before
   */
  async #again (error: unknown, effect: Effect, end: number, send: (isUnknown: boolean) => Promise<unknown>, wasLost = false): Promise<unknown> {
    const code = errorCode(error)
    const isUnknown = code === 'NOSCRIPT'
    const isLost = wasLost || (code === undefined && !unsent.test((error as Error).message))
    if (!isUnknown) {
      const passes = isLost && (code === undefined || passing.has(code))
      if (!passes || this.client.status === 'end' || Date.now() >= end) throw storeError(error as Error, effect, isLost)
      await delay(pauseBeforeResend)
    }
    try {
      return await within(Math.max(1, end - Date.now()), send(isUnknown), () => this.#timedOut())
    } catch (next) {
      return this.#again(next, effect, end, send, isLost)
    }
  }

  /** Adds a command to the batch of this turn. */
  #inBatch (key: string, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
    const { slots } = this.client
    const group = slots === undefined ? '' : slots[hashSlotOf(this.keyPrefix + key)]?.join() ?? ''
    let batch = this.#waiting.get(group)
    if (batch === undefined) {
      if (this.#waiting.size === 0) setImmediate(this.#sendAll)
      batch = new Batch(this.client.pipeline(), () => this.#timedOut())
      this.#waiting.set(group, batch)
    }
    Reflect.apply(batch.pipeline[name], batch.pipeline, [args]) // in a list: a call takes no more than about 120,000 arguments
    const i = batch.size++
    return batch.replies.then((replies) => {
      const [error, reply] = replies?.[i] ?? [new Error('the client gave no reply')]
      if (error === null) return reply
      if (slots !== undefined && redirections.test(error.message)) return this.#deadlines.limit(redirected(this.client, name, args), () => this.#timedOut())
      throw error
    })
  }

  readonly #sendAll = (): void => {
    const batches = this.#waiting
    this.#waiting = new Map()
    for (const batch of batches.values()) {
      this.#unanswered.add(batch)
      this.#deadlines.start(batch)
      const settled = (): void => {
        this.#unanswered.delete(batch)
        this.#deadlines.end(batch)
      }
      batch.replies.then(settled, settled)
      batch.pipeline.exec().then(batch.resolve, batch.reject)
    }
  }

  #reconnected (): void {
    const lost = [...this.#unanswered]
    if (lost.length === 0) return
    setTimeout(() => {
      for (const batch of lost) if (this.#unanswered.has(batch)) batch.reject(new Error('the connection was lost before the reply'))
    }, replyAfterReady).unref()
  }

  #timedOut (): Error {
    return new Error(`Redis did not answer within ${this.#deadlines.timeout} milliseconds`)
  }
}

type Replies = Array<[error: Error | null, reply: unknown]> | null

/** The commands of one turn for one server, with one deadline. No member is `#private`: V8 would run an initializer for each. */
class Batch implements TimedCall {
  older: TimedCall | undefined
  newer: TimedCall | undefined
  began: number
  readonly pipeline: Pipeline
  size: number
  readonly replies: Promise<Replies>
  private readonly timedOut: () => Error
  resolve!: (replies: Replies | Promise<Replies>) => void
  reject!: (error: unknown) => void

  constructor (pipeline: Pipeline, timedOut: () => Error) {
    this.older = this.newer = undefined
    this.began = -1
    this.pipeline = pipeline
    this.timedOut = timedOut
    this.size = 0
    this.replies = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  expire (): void {
    this.reject(this.timedOut())
  }
}

/** Rejects unless the reply comes within so many milliseconds. */
async function within (ms: number, reply: Promise<unknown>, timedOut: () => Error): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((_resolve, reject) => { timer = setTimeout(() => reject(timedOut()), ms) })
  return Promise.race([reply, late]).finally(() => clearTimeout(timer))
}

function storeError (cause: Error, effect: Effect, isLost = false): Error {
  const code = errorCode(cause)
  if (code === 'WRONGTYPE') return new RecordError(cause.message, { cause })
  if (tooOld.test(cause.message)) return new StoreUnsupportedError('the server cannot run the scripts: the store needs Redis 7, or Valkey', { cause })
  if (!isLost && (code !== undefined || unsent.test(cause.message))) return new StoreUnavailableError(cause.message, { cause })
  return new LostReply[effect](cause.message, { cause })
}

/** Returns the code of the reply of Redis that an error of the store has as its cause; `undefined` if it has none. */
export function causeCode (error: unknown): string | undefined {
  return errorCode((error as Error).cause)
}

/**
 * Returns the code of an error that Redis replied with, which the protocol puts first in the message; `undefined` for an error of
 * the client. The class's name does not tell: a minifier changes it.
 */
function errorCode (error: unknown): string | undefined {
  return /^[A-Z][A-Z0-9_]+(?= |$)/.exec((error as Error | undefined)?.message ?? '')?.[0]
}
