import { setImmediate as nextTurn } from 'node:timers/promises'
import { deadlinesOf } from '../../../util/call-timeouts.js'
import { refuseClosed, typeMapping, type NodeRedisServer, type Send, type SendOptions, type SharedClient } from './node-redis-server.js'

/** The client of a master that Sentinel names, as node-redis's `createSentinel()` returns it. */
export interface NodeRedisSentinel extends SharedClient {
  readonly _keyPrefix?: string | Buffer | undefined
  /**
   * Calls `work` with a connection to the master, which is found anew where it is lost.
   * @param isReadonly true: a replica will do
   */
  _execute<T> (isReadonly: boolean, work: (connection: NodeRedisServer) => Promise<T>): Promise<T>
  /** `undefined` while it is connected to none. */
  getMasterNode (): { readonly host: string, readonly port: number } | undefined
  on (event: 'topology-change', listener: (event: { readonly type: string }) => void): unknown
}

/** The begin of the error for commands that were not sent. */
export const noMaster = 'no master: '

/** One instance for each client. */
const known = new WeakMap<NodeRedisSentinel, SentinelMaster>()

/**
 * The master that Sentinel names. The client only finds the connection to it, and the store sends by itself: the client would
 * send a command again whose reply was lost, at any later time, and could not tell then that it may have been applied before.
 */
export class SentinelMaster {
  readonly #client: NodeRedisSentinel
  /** The connections of the client that were seen. */
  readonly #seen = new WeakSet<NodeRedisServer>()
  /** Those of them that lead to a master. */
  readonly #checked = new WeakSet<NodeRedisServer>()
  readonly #listeners = new Set<() => void>()

  static of (client: NodeRedisSentinel): SentinelMaster {
    let master = known.get(client)
    if (master === undefined) known.set(client, master = new SentinelMaster(client))
    return master
  }

  private constructor (client: NodeRedisSentinel) {
    this.#client = client
    client.on('topology-change', ({ type }) => { if (type === 'MASTER_CHANGE') this.#changed() })
  }

  get address (): string {
    const { host, port } = this.#client.getMasterNode() ?? {}
    return `${host}:${port}`
  }

  /** Calls the listener each time that the client has another master, or another connection to it. Returns a function that stops it. */
  onChange (listener: () => void): () => void {
    const own = (): void => { listener() }
    this.#listeners.add(own)
    return () => { this.#listeners.delete(own) }
  }

  /**
   * Finds the connection to the master. It fails before the call does that waits for it, of which nothing was sent.
   * @param timeout milliseconds that the call may take
   */
  async connection (timeout: number): Promise<NodeRedisServer> {
    refuseClosed(this.#client)
    const own = Math.ceil(timeout * 0.9)
    try {
      return await deadlinesOf(own).limit(this.#find(own), () => new Error(`none was found within ${own} milliseconds`))
    } catch (cause) {
      throw new Error(`${noMaster}${(cause as Error).message}`, { cause })
    }
  }

  /** Returns the way of the commands of one batch: all go over one connection. */
  way ({ timeout }: SendOptions): Send {
    const end = performance.now() + timeout
    let found: Promise<NodeRedisServer> | undefined
    return async (_firstKey, args) => {
      const connection = await (found ??= this.connection(timeout))
      try {
        const reply = await connection.sendCommand(args, { typeMapping, timeout: Math.max(1, Math.ceil(end - performance.now())) })
        // A command that was not written yet goes over the next connection.
        if (!this.#checked.has(connection)) throw new Error('the connection was lost before the reply')
        return reply
      } catch (error) {
        if ((error as Error).message.startsWith('READONLY')) this.#checked.delete(connection)
        throw error
      }
    }
  }

  /** In a turn of its own: of two commands of one turn the client lets the second wait until it has none under way. */
  async #find (timeout: number): Promise<NodeRedisServer> {
    await nextTurn()
    return this.#client._execute(false, (connection) => this.#check(connection, timeout))
  }

  /**
   * A master that comes back as a replica would read ended sessions. The client looks for the master anew after an error that
   * begins with `READONLY`.
   */
  async #check (connection: NodeRedisServer, timeout: number): Promise<NodeRedisServer> {
    if (this.#checked.has(connection)) return connection
    if (!this.#seen.has(connection)) {
      this.#seen.add(connection)
      connection.on('connect', () => {
        this.#checked.delete(connection)
        this.#changed()
      })
    }
    if (/^role:slave/m.test(await replicationOf(connection, timeout))) throw new Error('READONLY the server is a replica now')
    this.#checked.add(connection)
    return connection
  }

  #changed (): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

/** The part of `INFO` about replication; nothing where the user may not run it. */
async function replicationOf (connection: NodeRedisServer, timeout: number): Promise<string> {
  try {
    return String(await connection.sendCommand(['INFO', 'replication'], { typeMapping, timeout }))
  } catch (error) {
    if (/^NOPERM /.test((error as Error).message)) return ''
    throw error
  }
}
