import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Batches, type BatchingClient, type CommandName } from './batches.js'
import { deadlinesOf, type Deadlines } from '../../util/call-timeouts.js'
import { OutcomeUnknownError, RecordError, StoreUnavailableError } from '../../errors.js'

/** The effect of a command or script: after a write without a reply the outcome is unknown. */
export type Effect = 'read' | 'write'

/** A Lua script, with all that knows its arguments (ARGV) and its reply. */
export interface Script<Args extends unknown[], Reply, Result> {
  readonly text: string
  /** The hash by which Redis knows the text. */
  readonly sha: string
  readonly effect: Effect
  args (...args: Args): string[]
  read (reply: Reply, ...args: Args): Result
}

/**
 * Makes a script of a body in Lua.
 *
 * @param flags as in Redis's `#!lua flags=…`. The line itself makes Redis refuse a script as a whole, before its first write, when
 * memory is full.
 */
export function script<Args extends unknown[], Reply, Result> (
  flags: '' | 'no-writes' | 'allow-oom',
  body: string,
  args: (...args: Args) => string[],
  read: (reply: Reply, ...args: Args) => Result
): Script<Args, Reply, Result> {
  const text = `#!lua${flags && ` flags=${flags}`}${body}`
  return { text, sha: createHash('sha1').update(text).digest('hex'), effect: flags === 'no-writes' ? 'read' : 'write', args, read }
}

/**
 * Lua functions of all scripts that write. Redis does not undo the writes of a script that fails later: each command that the
 * user of the connection might not be allowed to run is checked before the first write, and a message that cannot be
 * published is dropped.
 */
export const luaAccess = `
local function check (command, ...)
  if not redis.acl_check_cmd(command, ...) then error({ err = 'NOPERM this Redis user may not run ' .. command }) end
end
local function publish (message)
  redis.pcall('PUBLISH', KEYS[1], message)
end
`

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

/** Sends scripts, waits for replies no longer than the timeout, and translates Redis's errors into the store's. */
export class RedisCommands {
  readonly client: RedisClient
  /** The prefix that the client itself puts before keys, though not before patterns and channels. */
  readonly keyPrefix: string
  readonly #batches: Batches
  readonly #deadlines: Deadlines

  /** @param timeout milliseconds that one call may take */
  constructor (client: RedisClient, timeout: number) {
    this.client = client
    this.keyPrefix = String(client.options?.keyPrefix ?? '')
    this.#batches = Batches.of(client)
    this.#deadlines = deadlinesOf(timeout)
  }

  /** The servers that together have all keys. A cluster's client knows none before its first reply. */
  get servers (): RedisServer[] {
    return 'nodes' in this.client ? this.client.nodes('master') : [this.client]
  }

  /** The server, for errors. All clusters have one name: their nodes can be given in any order. */
  get address (): string {
    if ('nodes' in this.client) return 'the cluster'
    const { host, port, path, name, db } = this.client.options
    return `${name ?? path ?? `${host}:${port}`}/${db ?? 0}`
  }

  /**
   * Waits for the reply to a command.
   * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`), or OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if a
   * write may have been applied
   * @throws RecordError (`FST_SESSION_RECORD`) for a key of another type
   */
  async waitFor<T> (reply: Promise<T>, effect: Effect): Promise<T> {
    try {
      return await this.#deadlines.limit(reply, () => new LostReply[effect](`Redis did not answer within ${this.#deadlines.timeout} milliseconds`))
    } catch (error) {
      throw error instanceof LostReply[effect] ? error : storeError(error as Error, effect)
    }
  }

  /**
   * Sends a command and waits for its reply. It throws as `waitFor` does.
   * @param key the key that it names
   * @param more the arguments after the key
   */
  async send<Reply> (effect: Effect, name: Exclude<CommandName, 'eval' | 'evalsha' | 'scan'>, key: string, ...more: Array<string | number>): Promise<Reply> {
    const reply = this.#untilAnswered(() => this.#batches.send(this.keyPrefix + key, name, [key, ...more]))
    return this.waitFor(reply, effect) as Promise<Reply>
  }

  /** Reads a page of the keys of one server. It throws as `waitFor` does. */
  async scan (server: RedisServer, cursor: string, pattern: string, size: number): Promise<[cursor: string, keys: string[]]> {
    return this.waitFor(Batches.only(server, 'scan', [cursor, 'MATCH', pattern, 'COUNT', size]), 'read') as Promise<[string, string[]]>
  }

  /** Runs a script and reads its reply. It throws as `waitFor` does. */
  async runScript<Args extends unknown[], Reply, Result> (script: Script<Args, Reply, Result>, keys: string[], ...args: Args): Promise<Result> {
    const sent = [keys.length, ...keys, ...script.args(...args)]
    const reply = this.#untilAnswered(() => this.#evaluate(script, this.keyPrefix + keys[0], sent))
    return script.read(await this.waitFor(reply, script.effect) as Reply, ...args)
  }

  /**
   * Sends again what had no answer since the connection was lost, as long as the call may take: every write comes out as if
   * it was applied once.
   */
  async #untilAnswered (send: () => Promise<unknown>): Promise<unknown> {
    const end = Date.now() + this.#deadlines.timeout
    for (;;) {
      try {
        return await send()
      } catch (error) {
        const { message } = error as Error
        if (errorCode(error) !== undefined || unsent.test(message) || this.client.status === 'end' || Date.now() >= end) throw error
      }
      await delay(pauseBeforeResend)
    }
  }

  /** A server that does not know the script yet, or no more, is sent its text. */
  async #evaluate ({ sha, text }: { sha: string, text: string }, key: string, args: Array<string | number>): Promise<unknown> {
    try {
      return await this.#batches.send(key, 'evalsha', [sha, ...args])
    } catch (error) {
      if (errorCode(error) !== 'NOSCRIPT') throw error
      return this.#batches.send(key, 'eval', [text, ...args])
    }
  }
}

/** Milliseconds. */
const pauseBeforeResend = 20

/** The client's error for a command that it did not send, without its queue for commands that wait for a connection. */
const unsent = /enableOfflineQueue options is false/

function storeError (cause: Error, effect: Effect): Error {
  const code = errorCode(cause)
  if (code === 'WRONGTYPE') return new RecordError(cause.message, { cause })
  if (code !== undefined || unsent.test(cause.message)) return new StoreUnavailableError(cause.message, { cause })
  return new LostReply[effect](cause.message, { cause })
}

/**
 * Returns the code of an error that Redis replied with, which the protocol puts first in the message; `undefined` for an error of
 * the client. The class's name does not tell: a minifier changes it.
 */
function errorCode (error: unknown): string | undefined {
  return /^[A-Z][A-Z0-9_]+(?= |$)/.exec((error as Error).message)?.[0]
}
