import { setTimeout as delay } from 'node:timers/promises'
import { nothing } from '../../../util/maybe-promise.js'
import { problemOfPrefix, type CommandArgs, type CommandName, type Pipeline, type RedisConnection, type RedisServer, type Reply } from './connection.js'
import { noMaster, SentinelMaster, type NodeRedisSentinel } from './node-redis-sentinel.js'
import { refuseClosed, sendCommand, serverOf, typeMapping, type NodeRedisServer, type Send, type SendOptions, type SharedClient } from './node-redis-server.js'

/** A cluster, as node-redis's `createCluster()` returns it. */
interface NodeRedisCluster extends SharedClient {
  readonly masters: ReadonlyArray<{ readonly address: string }>
  sendCommand (firstKey: string, isReadonly: boolean, args: string[], options: SendOptions): Promise<unknown>
  nodeClient (node: never): NodeRedisServer | Promise<NodeRedisServer>
  once (event: 'connect', listener: () => void): unknown
}

/** The part of a node-redis client that the store uses. */
export type NodeRedisClient = (NodeRedisServer | NodeRedisCluster | NodeRedisSentinel) & {
  /** node-redis has it from version 5.9 on. */
  readonly latencyReset: unknown
}

/** A client as one of a kind: of a single server, of a cluster, or of the master that Sentinel names. */
interface Kind extends Pick<RedisConnection, 'keyPrefix' | 'address' | 'onReconnected' | 'onceReady' | 'problem'> {
  servers (): readonly RedisServer[]
  /** Returns the way of the commands of one batch. */
  way (): Send
  /** True where a node may not have the keys of a slot yet. */
  readonly hasSlots: boolean
}

/** The client's errors for commands that it did not send. */
const unsent = new RegExp(`^(?:The client is (?:closed|offline)$|The queue is full$|${noMaster})`)
/** Errors of a node of a cluster that does not have the keys of a slot yet. The client itself follows `MOVED` and `ASK`. */
const notYet = /^(?:TRYAGAIN|CLUSTERDOWN) /
/** Milliseconds before a command is sent again to a node that does not have the keys yet. */
const retryAfter = 100

/**
 * A node-redis client, of version 5.9 or newer. Commands are sent as raw ones: those know no client-side cache, and no replicas
 * where the client says so.
 *
 * @param timeout milliseconds after which a command that waits for a connection is not sent any more
 */
export function nodeRedisConnection (client: NodeRedisClient, timeout: number): RedisConnection {
  const { keyPrefix, address, servers, way, hasSlots, onReconnected, onceReady, problem } = kindOf(client, { typeMapping, timeout })
  return {
    keyPrefix,
    address,
    get isClosed () { return !client.isOpen },
    get servers () { return servers() },
    slots: undefined,
    pipeline: () => new NodeRedisPipeline(way(), keyPrefix),
    redirect: (error, name, args) => hasSlots && notYet.test(error.message) ? askAgain(way(), keyPrefix, name, args, performance.now() + timeout) : undefined,
    isUnsent: ({ message }) => unsent.test(message),
    onForgotten: () => nothing, // the client rejects unanswered commands
    onReconnected,
    onceReady,
    problem,
  }
}

function kindOf (client: NodeRedisClient, options: SendOptions): Kind {
  return 'nodeClient' in client ? cluster(client, options) : 'getMasterNode' in client ? sentinel(client, options) : single(client, options)
}

/** Some clients wait where they are not open. */
function whileOpen (client: SharedClient, send: Send): Send {
  return async (firstKey, args) => {
    refuseClosed(client)
    return send(firstKey, args)
  }
}

function single (client: NodeRedisServer, options: SendOptions): Kind {
  const { keyPrefix = '', database = 0, socket = {} } = client.options ?? {}
  const { host = 'localhost', port = 6379, path } = socket as { host?: string, port?: number, path?: string }
  const address = `${path ?? `${host}:${port}`}/${database}`
  const send = whileOpen(client, (_firstKey, args) => client.sendCommand(args, options))
  return {
    keyPrefix: String(keyPrefix),
    address,
    servers: () => [serverOf(address, () => client, options, false)],
    way: () => send,
    hasSlots: false,
    onReconnected (listener) {
      client.on('connect', listener)
      return () => { client.off('connect', listener) }
    },
    onceReady (listener) { client.once('ready', listener) },
    problem: () => undefined,
  }
}

/** The client of a cluster shows its options to itself alone, but for the prefix. */
function cluster (client: NodeRedisCluster & { readonly _keyPrefix?: string | Buffer | undefined }, options: SendOptions): Kind {
  const keyPrefix = String(client._keyPrefix ?? '')
  const send = whileOpen(client, (firstKey, args) => client.sendCommand(firstKey, false, args, options))
  return {
    keyPrefix,
    address: 'the cluster',
    servers: () => client.masters.map((node) => serverOf(node.address, () => client.nodeClient(node as never), options, true)),
    way: () => send,
    hasSlots: true,
    onReconnected: () => nothing,
    onceReady (listener) { client.once('connect', listener) },
    problem: (prefix) => problemOfPrefix(keyPrefix + prefix),
  }
}

/** The client shows neither its options nor the name of the master. */
function sentinel (client: NodeRedisSentinel, options: SendOptions): Kind {
  const master = SentinelMaster.of(client)
  return {
    keyPrefix: String(client._keyPrefix ?? ''),
    address: 'the master of Sentinel',
    servers: () => [{
      ...serverOf(master.address, () => master.connection(options.timeout), options, true),
      send: (name, args) => sendCommand(master.way(options), '', name, args),
    }],
    way: () => master.way(options),
    hasSlots: false,
    onReconnected: (listener) => master.onChange(listener),
    onceReady (listener) {
      const stop = master.onChange(() => {
        stop()
        listener()
      })
    },
    problem: () => undefined,
  }
}

/** The commands of one turn. The client sends all of a turn in one write to each server, so that each is given to it at once. */
class NodeRedisPipeline implements Pipeline {
  readonly #send: Send
  readonly #keyPrefix: string
  readonly #replies: Array<Promise<Reply>> = []

  constructor (send: Send, keyPrefix: string) {
    this.#send = send
    this.#keyPrefix = keyPrefix
  }

  hgetall (args: CommandArgs): void { this.#add('hgetall', args) }
  hget (args: CommandArgs): void { this.#add('hget', args) }
  hlen (args: CommandArgs): void { this.#add('hlen', args) }
  pttl (args: CommandArgs): void { this.#add('pttl', args) }
  evalsha (args: CommandArgs): void { this.#add('evalsha', args) }
  eval (args: CommandArgs): void { this.#add('eval', args) }
  scan (args: CommandArgs): void { this.#add('scan', args) }
  zscan (args: CommandArgs): void { this.#add('zscan', args) }
  zrem (args: CommandArgs): void { this.#add('zrem', args) }
  info (args: CommandArgs): void { this.#add('info', args) }

  exec (): Promise<Reply[]> {
    return Promise.all(this.#replies)
  }

  #add (name: CommandName, args: CommandArgs): void {
    this.#replies.push(sendCommand(this.#send, this.#keyPrefix, name, args).then((reply) => [null, reply], (error: Error) => [error, undefined]))
  }
}

async function askAgain (send: Send, keyPrefix: string, name: CommandName, args: CommandArgs, end: number): Promise<unknown> {
  await delay(retryAfter)
  try {
    return await sendCommand(send, keyPrefix, name, args)
  } catch (error) {
    if (!notYet.test((error as Error).message) || performance.now() >= end) throw error
    return askAgain(send, keyPrefix, name, args, end)
  }
}
