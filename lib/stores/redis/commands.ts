import { setTimeout as delay } from 'node:timers/promises'
import { within } from '../../util/within.js'
import { deadlinesOf, type Deadlines, type TimedCall } from '../../util/call-timeouts.js'
import { OutcomeUnknownError, RecordError, StoreUnavailableError, StoreUnsupportedError } from '../../errors.js'
import type { CommandName, Pipeline, RedisConnection, RedisServer, Reply } from './clients/connection.js'
import type { Effect, Script } from './script.js'
import { hashSlotOf, parseInfo, type ServerInfo } from './servers.js'

/** The error for a command with a lost reply: a write may have been applied. */
const LostReply = { read: StoreUnavailableError, write: OutcomeUnknownError } satisfies Record<Effect, unknown>

/** The error of a server that does not know the first line of the scripts. */
const tooOld = /Error compiling script/
/** Errors of a server that restarts, or changes its role. */
const passing = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK'])
/** Milliseconds. */
const pauseBeforeResend = 20
/** Milliseconds after a reconnection in which a client delivers the replies that it still has. */
const replyAfterReady = 100

/**
 * Sends commands and scripts, waits for replies no longer than the timeout, and translates Redis's errors into the store's.
 *
 * All commands of one turn of the event loop are sent together, with any options of the client: Redis then needs a third of the
 * time for each. A cluster has a batch per node. Commands that the client forgets with a lost connection are sent again, within
 * the timeout.
 */
export class RedisCommands {
  readonly connection: RedisConnection
  /** Milliseconds that one call may take. */
  readonly timeout: number
  readonly #deadlines: Deadlines
  /** The batches that are sent at the end of this turn, by the nodes of their keys. */
  #waiting = new Map<string, Batch>()
  readonly #unanswered = new Set<Batch>()
  /** Stops listening to the client. */
  readonly close: () => void

  /** @param timeout milliseconds that one call may take */
  constructor (connection: RedisConnection, timeout: number) {
    this.connection = connection
    this.timeout = timeout
    this.#deadlines = deadlinesOf(timeout)
    this.close = connection.onForgotten(() => this.#reconnected())
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
      throw storeError(error as Error, effect, this.#isLost(error as Error))
    }
  }

  /**
   * Sends a command and waits for its reply. It throws as `waitFor` does.
   * @param key the key that it names
   * @param more the arguments after the key
   */
  async send<Reply> (effect: Effect, name: Exclude<CommandName, 'eval' | 'evalsha' | 'scan'>, key: string, ...more: Array<string | number>): Promise<Reply> {
    const end = performance.now() + this.#deadlines.timeout
    const args = [key, ...more]
    try {
      return await this.#inBatch(key, name, args) as Reply
    } catch (error) {
      return await this.#again(error, effect, end, () => this.#inBatch(key, name, args)) as Reply
    }
  }

  /** Runs a script and reads its reply. It throws as `waitFor` does. */
  async runScript<Args extends unknown[], Reply, Result> (script: Script<Args, Reply, Result>, keys: string[], ...args: Args): Promise<Result> {
    const end = performance.now() + this.#deadlines.timeout
    const key = keys[0] as string
    const sent = [keys.length, ...keys, ...script.args(...args)]
    let reply: unknown
    try {
      reply = await this.#inBatch(key, 'evalsha', [script.sha, ...sent])
    } catch (error) {
      // A server that does not know the script, or has forgotten it, gets its text.
      reply = await this.#again(error, script.effect, end, (isUnknown) =>
        isUnknown ? this.#inBatch(key, 'eval', [script.text, ...sent]) : this.#inBatch(key, 'evalsha', [script.sha, ...sent]))
    }
    return script.read(reply as Reply, ...args)
  }

  /**
   * The servers that together have all keys. It throws as `waitFor` does.
   * @param prefix the start of keys that the user may read
   */
  async allServers (prefix: string): Promise<readonly RedisServer[]> {
    if (this.connection.servers.length === 0) await this.send('read', 'hget', `${prefix}{}`, '')
    return this.connection.servers
  }

  /** Reads the `INFO` of a server. It throws as `waitFor` does. */
  async info (server: RedisServer): Promise<ServerInfo> {
    return parseInfo(String(await this.waitFor(server.send('info', []), 'read')))
  }

  /** Reads a page of the keys of one server. It throws as `waitFor` does. */
  async scan (server: RedisServer, cursor: string, pattern: string, size: number): Promise<[cursor: string, keys: string[]]> {
    return this.waitFor(server.send('scan', [cursor, 'MATCH', pattern, 'COUNT', size]), 'read') as Promise<[string, string[]]>
  }

  /**
   * Continues after an error: sends a command again that got no answer because the connection was lost, within the timeout. The
   * result of each write is that of one application.
   *
   * @param end by `performance.now()`: the clock of the day may be set back meanwhile
   * @param send called with true if the server did not know the script
   * @param wasLost true once a reply was lost: a command that is refused later may have been applied before
   */
  async #again (error: unknown, effect: Effect, end: number, send: (isUnknown: boolean) => Promise<unknown>, wasLost = false): Promise<unknown> {
    const code = errorCode(error)
    const isUnknown = code === 'NOSCRIPT'
    const isLost = wasLost || this.#isLost(error as Error)
    if (!isUnknown) {
      const passes = isLost && (code === undefined || passing.has(code))
      if (!passes || this.connection.isClosed || performance.now() >= end) throw storeError(error as Error, effect, isLost)
      await delay(pauseBeforeResend)
    }
    try {
      return await within(Math.max(1, end - performance.now()), send(isUnknown), () => { throw this.#timedOut() })
    } catch (next) {
      return this.#again(next, effect, end, send, isLost)
    }
  }

  /** Adds a command to the batch of this turn. */
  #inBatch (key: string, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
    const { slots, keyPrefix } = this.connection
    const group = slots === undefined ? '' : slots[hashSlotOf(keyPrefix + key)]?.join() ?? ''
    let batch = this.#waiting.get(group)
    if (batch === undefined) {
      if (this.#waiting.size === 0) setImmediate(this.#sendAll)
      batch = new Batch(this.connection.pipeline(), () => this.#timedOut())
      this.#waiting.set(group, batch)
    }
    batch.pipeline[name](args)
    const i = batch.size++
    return batch.replies.then((replies) => {
      const [error, reply] = replies[i] as Reply
      if (error === null) return reply
      const redirect = this.connection.redirect(error, name, args)
      if (redirect === undefined) throw error
      return this.#deadlines.limit(redirect, () => this.#timedOut())
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

  /** True if the command of this error may have been applied. */
  #isLost (error: Error): boolean {
    return errorCode(error) === undefined && !this.connection.isUnsent(error)
  }

  #timedOut (): Error {
    return new Error(`Redis did not answer within ${this.#deadlines.timeout} milliseconds`)
  }
}

/** The commands of one turn for one server, with one deadline. No member is `#private`: V8 would run an initializer for each. */
class Batch implements TimedCall {
  older: TimedCall | undefined
  newer: TimedCall | undefined
  began: number
  readonly pipeline: Pipeline
  size: number
  readonly replies: Promise<Reply[]>
  private readonly timedOut: () => Error
  resolve!: (replies: Reply[] | Promise<Reply[]>) => void
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

function storeError (cause: Error, effect: Effect, isLost: boolean): Error {
  // ioredis adds the command with all arguments, the session's data among them: errors are logged with their causes.
  Reflect.deleteProperty(cause, 'command')
  if (errorCode(cause) === 'WRONGTYPE') return new RecordError(cause.message, { cause })
  if (tooOld.test(cause.message)) return new StoreUnsupportedError('the server cannot run the scripts: the store needs Redis 7, or Valkey', { cause })
  return new (isLost ? LostReply[effect] : StoreUnavailableError)(cause.message, { cause })
}

/** Returns the code of Redis's error reply that is the cause of a store's error; `undefined`: none. */
export function causeCode (error: unknown): string | undefined {
  return errorCode((error as Error).cause)
}

/**
 * Returns the code of an error that Redis replied with, which the protocol puts first in the message; `undefined` for an error of
 * the client. The class's name is unreliable: a minifier changes it.
 */
function errorCode (error: unknown): string | undefined {
  return /^[A-Z][A-Z0-9_]+(?= |$)/.exec((error as Error | undefined)?.message ?? '')?.[0]
}
