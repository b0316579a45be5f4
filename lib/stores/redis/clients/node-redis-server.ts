import { EventEmitter } from 'node:events'
import { nothing } from '../../../util/maybe-promise.js'
import type { CommandArgs, CommandName, RedisLink, RedisServer, RedisSubscriber } from './connection.js'

/**
 * The types of replies, independent of the application's choice: strings and numbers, and a map of protocol 3 as the list
 * that protocol 2 has instead. An object would lack the key `__proto__`.
 */
export const typeMapping = { 37: Array } as const

export interface SendOptions {
  readonly typeMapping: typeof typeMapping
  /** Milliseconds after which an unsent command is dropped. */
  readonly timeout: number
}

type MessageListener = (message: string, channel: string) => void

export interface SharedClient {
  readonly isOpen: boolean
}

/** @throws Error a client that is not connected yet, or no more */
export function refuseClosed (client: SharedClient): void {
  if (!client.isOpen) throw new Error('The client is closed')
}

/** A single server, as node-redis's `createClient()` returns it. */
export interface NodeRedisServer extends SharedClient {
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
  /** `connect`: it has another connection; what waited goes over it before `ready`. `end`: the client was closed. */
  on (event: 'connect' | 'ready' | 'error' | 'end', listener: (error?: Error) => void): unknown
  off (event: 'connect' | 'end', listener: () => void): unknown
  once (event: 'ready', listener: () => void): unknown
}

/** Sends a command. The first key says which node of a cluster has it. */
export type Send = (firstKey: string, args: string[]) => Promise<unknown>

export async function sendCommand (send: Send, keyPrefix: string, name: CommandName, args: CommandArgs): Promise<unknown> {
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

/** Gives the client's own connection to a server. */
export type Open = () => NodeRedisServer | Promise<NodeRedisServer>

/** @param isOneOfSeveral true where the client may leave it for another server: what listens ends then, and where its connection is lost */
export function serverOf (address: string, open: Open, options: SendOptions, isOneOfSeveral: boolean): RedisServer {
  return {
    address,
    link: (ended) => linkTo(open, options, ended),
    async send (name, args) {
      const client = await open()
      return sendCommand((_key, sent) => client.sendCommand(sent, options), '', name, args)
    },
    subscriber: () => new NodeRedisSubscriber(open, isOneOfSeveral),
  }
}

function linkTo (open: Open, options: SendOptions, ended: () => void): RedisLink {
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

/** A connection that listens. That to a server which is the only one subscribes again by itself before it is `ready` again. */
class NodeRedisSubscriber extends EventEmitter implements RedisSubscriber {
  readonly #client: Promise<NodeRedisServer>
  readonly #listener: MessageListener = (message, channel) => { this.emit('message', channel, message) }
  #isOver = false
  #release = nothing

  constructor (open: Open, isOneOfSeveral: boolean) {
    super()
    this.#client = this.#connect(open, isOneOfSeveral)
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
    this.#client.then((client) => {
      this.#release()
      if (client.isOpen) client.destroy()
    }).catch(nothing)
  }

  async #connect (open: Open, isOneOfSeveral: boolean): Promise<NodeRedisServer> {
    const server = await open()
    const socket = isOneOfSeveral && { socket: { ...server.options?.socket, reconnectStrategy: false } }
    const client = server.duplicate({ disableOfflineQueue: false, clientSideCache: undefined as never, ...socket })
    client.on('ready', () => { this.emit('ready') })
    client.on('error', () => { if (!client.isOpen) this.#end() })
    client.connect().catch(() => { if (!client.isOpen) this.#end() })
    if (isOneOfSeveral) {
      const left = (): void => {
        if (client.isOpen) client.destroy()
        this.#end()
      }
      server.on('end', left)
      this.#release = () => { server.off('end', left) }
    }
    return client
  }

  #end (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#release()
    this.emit('end')
  }
}
