import type { StoreEvent } from '../optional-interfaces.js'
import type { RedisSubscriber } from './clients/connection.js'
import type { RedisCommands } from './commands.js'
import { nothing } from '../../util/maybe-promise.js'

type Listener = (event: StoreEvent) => void

/** Maximum channels of one command: a JavaScript call does not take a hundred thousand arguments. */
const atOnce = 1000
/** The longest message that is parsed, in characters. After a longer one the session is read. */
const maxMessage = 2 ** 20
/** Milliseconds before another connection is tried, if the client has given up the listening one. */
const retryAfter = 250

/**
 * Passes published changes on to the listeners of watched sessions. It has a connection of its own while a session is
 * watched. In a cluster any server works: each passes messages on to all.
 */
export class ChangeFeed {
  readonly #commands: RedisCommands
  readonly #channels = new Map<string, Set<Listener>>()
  #subscriber: RedisSubscriber | undefined
  #retry: NodeJS.Timeout | undefined
  #resubscriptions = 0

  constructor (commands: RedisCommands) {
    this.#commands = commands
  }

  /**
   * Listens to one session's channel. Resolves once the server has confirmed it: the listener misses no later message.
   * @returns a function that stops it
   */
  async listen (name: string, listener: Listener): Promise<() => void> {
    const channel = this.#commands.connection.keyPrefix + name
    const listeners = this.#channels.get(channel)
    if (listeners === undefined) this.#channels.set(channel, new Set([listener]))
    else listeners.add(listener)
    const stop = (): void => this.#stop(channel, listener)
    try {
      this.#subscriber ??= this.#connect()
      await this.#commands.waitFor(this.#subscriber.subscribe(channel), 'read')
      return stop
    } catch (error) {
      stop()
      throw error
    }
  }

  close (): void {
    this.#channels.clear()
    this.#disconnect()
  }

  #stop (channel: string, listener: Listener): void {
    const listeners = this.#channels.get(channel)
    if (!listeners?.delete(listener) || listeners.size > 0) return
    this.#channels.delete(channel)
    if (this.#channels.size === 0) this.#disconnect()
    else this.#subscriber?.unsubscribe(channel).catch(nothing)
  }

  #disconnect (): void {
    clearTimeout(this.#retry)
    const subscriber = this.#subscriber
    this.#subscriber = undefined
    subscriber?.disconnect()
  }

  #connect (): RedisSubscriber {
    const { servers } = this.#commands.connection
    const server = servers[Math.floor(Math.random() * servers.length)]
    if (server === undefined) throw new Error('the cluster has no servers')
    const subscriber = server.subscriber()
    let wasReady = false
    subscriber.on('message', (channel, message) => this.#notify(channel, readMessage(message)))
    subscriber.on('ready', () => {
      if (wasReady && this.#subscriber === subscriber) this.#resubscribe(subscriber)
      wasReady = true
    })
    subscriber.on('error', nothing) // the app's own client emits it too
    subscriber.on('end', () => {
      if (this.#subscriber === subscriber) this.#reconnect()
    })
    return subscriber
  }

  /** Replaces a connection that its client has given up. The new one may be to another server of the cluster. */
  #reconnect (): void {
    this.#subscriber = undefined
    this.#retry = setTimeout(() => {
      try {
        this.#subscriber = this.#connect()
        this.#resubscribe(this.#subscriber)
      } catch {
        this.#reconnect()
      }
    }, retryAfter).unref()
  }

  /** Subscribes again, and reports the interruption, some sessions at a time. It stops if the connection fails: the next one starts again. */
  #resubscribe (subscriber: RedisSubscriber): void {
    const channels = [...this.#channels.keys()]
    const turn = ++this.#resubscriptions
    const subscribe = async (from: number): Promise<void> => {
      const some = channels.slice(from, from + atOnce).filter((channel) => this.#channels.has(channel))
      if (some.length > 0) await subscriber.subscribe(...some)
      if (turn !== this.#resubscriptions) return
      for (const channel of some) this.#notify(channel, { type: 'interrupted' })
      if (from + atOnce < channels.length) await subscribe(from + atOnce)
    }
    subscribe(0).catch(nothing)
  }

  #notify (channel: string, event: StoreEvent | undefined): void {
    if (event !== undefined) for (const listener of [...this.#channels.get(channel) ?? []]) listener(event)
  }
}

/** Parses a message of the scripts. `undefined`: a message of a later version, or of another client. */
function readMessage (message: string): StoreEvent | undefined {
  if (message.length > maxMessage) return { type: 'interrupted' }
  const parts = parseTexts(message)
  if (parts === undefined) return undefined
  const [type, timeLeft = '', ...keys] = parts
  switch (type) {
    case 'changed': return /^([-=]|\d{1,16})$/.test(timeLeft) ? { type, keys, timeLeft: timeLeft === '=' ? undefined : timeLeft === '-' ? null : Number(timeLeft) } : undefined
    case 'ended': return { type, renewed: false, ...timeLeft === 'limit' && { reason: timeLeft } }
    case 'renewed': return { type: 'ended', renewed: true }
    default: return undefined
  }
}

function parseTexts (json: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(json)
    return Array.isArray(list) && list.every((part): part is string => typeof part === 'string') ? list : undefined
  } catch {
    return undefined
  }
}
