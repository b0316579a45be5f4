import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { nothing } from '../../../util/maybe-promise.js'
import { problemOfPrefix, type CommandArgs, type CommandName, type Pipeline, type RedisConnection, type RedisLink, type RedisServer, type RedisSubscriber, type Replies } from './connection.js'

/**
 * The types of replies, independent of the application's choice: strings and numbers, and a map of protocol 3 as the list
 * that protocol 2 has instead. An object would lack the key `__proto__`.
 */
const typeMapping = { 37: Array } as const

interface SendOptions {
  readonly typeMapping: typeof typeMapping
  /** Milliseconds after which an unsent command is dropped. */
  readonly timeout: number
}

type MessageListener = (message: string, channel: string) => void

interface SharedClient {
  readonly isOpen: boolean
  /** node-redis has it from version 5 on. */
  withTypeMapping (typeMapping: object): unknown
}

/** A single server, as node-redis's `createClient()` returns it. */
interface NodeRedisServer extends SharedClient {
  readonly options?: {
    readonly keyPrefix?: string | Buffer | undefined
    readonly database?: number | undefined
    readonly socket?: object | undefined
  } | undefined
  sendCommand (args: readonly string[], options: SendOptions): Promise<unknown>
  duplicate (overrides: { disableOfflineQueue: false, clientSideCache?: never, socket?: object, RESP?: 2, emitInvalidate?: false, maintNotifications?: 'disabled' }): NodeRedisServer
  connect (): Promise<unknown>
  destroy (): void
  /** With `bufferMode` the listener gets messages as they came. */
  subscribe<B extends boolean = false> (channels: string[], listener: <T extends B extends true ? Buffer : string>(message: T, channel: T) => unknown, bufferMode?: B): Promise<unknown>
  unsubscribe (channels: string[], listener: MessageListener): Promise<unknown>
  on (event: 'ready' | 'error', listener: (error?: Error) => void): unknown
  off (event: 'ready', listener: () => void): unknown
  once (event: 'ready', listener: () => void): unknown
}

/** A cluster, as node-redis's `createCluster()` returns it. */
interface NodeRedisCluster extends SharedClient {
  readonly masters: ReadonlyArray<{ readonly address: string }>
  sendCommand (firstKey: string, isReadonly: boolean, args: string[], options: SendOptions): Promise<unknown>
  nodeClient (node: never): NodeRedisServer | Promise<NodeRedisServer>
  once (event: 'connect', listener: () => void): unknown
}

/** The part of a node-redis client that the store uses. */
export type NodeRedisClient = NodeRedisServer | NodeRedisCluster

/** Sends a command. The first key says which node of a cluster has it. */
type Send = (firstKey: string, args: string[]) => Promise<unknown>

/** The client's errors for commands that it did not send. */
const unsent = /^(?:The client is (?:closed|offline)|The queue is full)$/
/** Errors of a node of a cluster that does not have the keys of a slot yet. The client itself follows `MOVED` and `ASK`. */
const notYet = /^(?:TRYAGAIN|CLUSTERDOWN) /
/** Milliseconds before a command is sent again to a node that does not have the keys yet. */
const retryAfter = 100

/**
 * A node-redis client, of version 5 or newer. Commands are sent as raw ones: those know no client-side cache, and no replicas
 * where the client says so.
 *
 * @param timeout milliseconds after which a command that waits for a connection is not sent any more
 */
export function nodeRedisConnection (client: NodeRedisClient, timeout: number): RedisConnection {
  const options: SendOptions = { typeMapping, timeout }
  const cluster = 'nodeClient' in client ? client : undefined
  const { keyPrefix, address } = cluster === undefined ? settingsOf(client as NodeRedisServer) : settingsOfCluster(cluster)
  const send: Send = async (firstKey, args) => {
    if (!client.isOpen) throw new Error('The client is closed')
    return cluster === undefined ? (client as NodeRedisServer).sendCommand(args, options) : cluster.sendCommand(firstKey, false, args, options)
  }
  return {
    keyPrefix,
    address,
    get isClosed () { return !client.isOpen },
    get servers () {
      return cluster === undefined
        ? [serverOf(address, () => client as NodeRedisServer, options)]
        : cluster.masters.map((node) => serverOf(node.address, () => cluster.nodeClient(node as never), options, { reconnectStrategy: false }))
    },
    slots: undefined,
    pipeline: () => new NodeRedisPipeline(send, keyPrefix),
    redirect: (error, name, args) => cluster !== undefined && notYet.test(error.message) ? askAgain(send, keyPrefix, name, args, Date.now() + timeout) : undefined,
    isUnsent: ({ message }) => unsent.test(message),
    onForgotten: () => nothing, // the client rejects unanswered commands
    onReconnected (listener) {
      if (cluster !== undefined) return nothing
      const server = client as NodeRedisServer
      server.on('ready', listener)
      return () => { server.off('ready', listener) }
    },
    onceReady (listener) {
      if (cluster === undefined) (client as NodeRedisServer).once('ready', listener)
      else cluster.once('connect', listener)
    },
    problem (prefix) {
      if ('getMasterNode' in client) return 'node-redis has no way to listen through Sentinel that tells of a lost connection: use a Redis of ioredis with Sentinel'
      return cluster === undefined ? undefined : problemOfPrefix(keyPrefix + prefix)
    },
  }
}

interface Settings { readonly keyPrefix: string, readonly address: string }

function settingsOf ({ options }: NodeRedisServer): Settings {
  const { keyPrefix = '', database = 0, socket = {} } = options ?? {}
  const { host = 'localhost', port = 6379, path } = socket as { host?: string, port?: number, path?: string }
  return { keyPrefix: String(keyPrefix), address: `${path ?? `${host}:${port}`}/${database}` }
}

/** The client of a cluster shows its options to itself alone, but for this one. */
function settingsOfCluster (cluster: NodeRedisCluster & { readonly _keyPrefix?: string | Buffer | undefined }): Settings {
  return { keyPrefix: String(cluster._keyPrefix ?? ''), address: 'the cluster' }
}

/** The commands of one turn. The client sends all of a turn in one write to each server, so that each is given to it at once. */
class NodeRedisPipeline implements Pipeline {
  readonly #send: Send
  readonly #keyPrefix: string
  readonly #replies: Array<Promise<[Error | null, unknown]>> = []

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

  exec (): Promise<Replies> {
    return Promise.all(this.#replies)
  }

  #add (name: CommandName, args: CommandArgs): void {
    this.#replies.push(sendCommand(this.#send, this.#keyPrefix, name, args).then((reply) => [null, reply], (error: Error) => [error, undefined]))
  }
}

async function sendCommand (send: Send, keyPrefix: string, name: CommandName, args: CommandArgs): Promise<unknown> {
  const sent = [name.toUpperCase(), ...args.map(String)]
  const isScript = name === 'eval' || name === 'evalsha'
  const first = isScript ? 3 : 1
  if (keyPrefix !== '' && name !== 'info' && name !== 'scan') {
    const keys = isScript ? Number(sent[2]) : 1
    for (let i = first; i < first + keys; i++) sent[i] = keyPrefix + sent[i]
  }
  let reply
  try {
    reply = await send(sent[first] ?? '', sent)
  } catch (cause) {
    throw named(cause as Error)
  }
  return name === 'hgetall' ? hashOf(reply as string[]) : reply
}

/** Some errors of the client have no text. */
function named (error: Error): Error {
  return error.message === '' ? new Error(`the client gave the command up: ${(error as { code?: string }).code ?? error.constructor.name}`, { cause: error }) : error
}

/** Makes an object of keys and values in turn. */
function hashOf (list: readonly string[]): Record<string, string> {
  const hash = Object.create(null) as Record<string, string>
  for (let i = 0; i < list.length; i += 2) hash[list[i] as string] = list[i + 1] as string
  return hash
}

async function askAgain (send: Send, keyPrefix: string, name: CommandName, args: CommandArgs, end: number): Promise<unknown> {
  await delay(retryAfter)
  try {
    return await sendCommand(send, keyPrefix, name, args)
  } catch (error) {
    if (!notYet.test((error as Error).message) || Date.now() >= end) throw error
    return askAgain(send, keyPrefix, name, args, end)
  }
}

/** @param socket options of the connections that listen */
function serverOf (address: string, open: () => NodeRedisServer | Promise<NodeRedisServer>, options: SendOptions, socket?: object): RedisServer {
  return {
    address,
    link: (ended) => linkTo(open, options, ended),
    async send (name, args) {
      const client = await open()
      return sendCommand((_key, sent) => client.sendCommand(sent, options), '', name, args)
    },
    subscriber: () => new NodeRedisSubscriber(open, socket),
  }
}

function linkTo (open: () => NodeRedisServer | Promise<NodeRedisServer>, options: SendOptions, ended: () => void): RedisLink {
  let isOver = false
  const end = (): void => {
    if (isOver) return
    isOver = true
    ended()
  }
  const connect = async (): Promise<NodeRedisServer> => {
    const server = await open()
    const socket = { ...server.options?.socket, reconnectStrategy: false }
    const own = server.duplicate({ RESP: 2, maintNotifications: 'disabled', emitInvalidate: false, disableOfflineQueue: false, clientSideCache: undefined as never, socket })
    own.on('error', end)
    await own.connect()
    if (isOver) own.destroy()
    return own
  }
  const connected = connect()
  connected.catch(end)
  return {
    send: async (...args) => (await connected).sendCommand(args, options),
    listen: async (channel, listener) => (await connected).subscribe([channel], listener, true),
    disconnect () {
      isOver = true
      connected.then((own) => { if (own.isOpen) own.destroy() }).catch(nothing)
    },
  }
}

/** A connection that listens. It subscribes again by itself before it is `ready` again. */
class NodeRedisSubscriber extends EventEmitter implements RedisSubscriber {
  readonly #client: Promise<NodeRedisServer>
  readonly #listener: MessageListener = (message, channel) => { this.emit('message', channel, message) }
  #isOver = false

  constructor (open: () => NodeRedisServer | Promise<NodeRedisServer>, socket: object | undefined) {
    super()
    this.#client = this.#connect(open, socket)
    this.#client.catch(() => this.#end())
  }

  async subscribe (...channels: string[]): Promise<void> {
    const client = await this.#client
    try {
      await client.subscribe(channels, this.#listener)
    } catch (error) {
      // The client gives up a subscription with a lost reply. It waits for the next connection then.
      if (!client.isOpen || /^[A-Z]+ /.test((error as Error).message)) throw error
      await this.subscribe(...channels)
    }
  }

  /** Without the listener the client would not notice that a channel is subscribed to again before the reply. */
  async unsubscribe (...channels: string[]): Promise<void> {
    await (await this.#client).unsubscribe(channels, this.#listener)
  }

  disconnect (): void {
    this.#isOver = true
    this.#client.then((client) => { if (client.isOpen) client.destroy() }).catch(nothing)
  }

  async #connect (open: () => NodeRedisServer | Promise<NodeRedisServer>, socket: object | undefined): Promise<NodeRedisServer> {
    const server = await open()
    const client = server.duplicate({ disableOfflineQueue: false, clientSideCache: undefined as never, ...socket && { socket: { ...server.options?.socket, ...socket } } })
    client.on('ready', () => { this.emit('ready') })
    client.on('error', () => { if (!client.isOpen) this.#end() })
    client.connect().catch(() => { if (!client.isOpen) this.#end() })
    return client
  }

  #end (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.emit('end')
  }
}
