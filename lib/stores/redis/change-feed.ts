import type { StoreEvent, StoreWatch } from '../store.js'
import type { RedisCalls } from './commands.js'
import { keyPrefix, servers, type RedisSubscriber } from './client.js'
import { nothing } from '../../util/maybe-promise.js'

type Listener = (event: StoreEvent) => void

/** Milliseconds before another connection is tried, when the one that listened is lost for good. */
const retryAfter = 250

/**
 * Listens to what is published of watched sessions, on a connection of its own that is there while somebody watches.
 * In a cluster any server will do: each passes on to all.
 */
export class RedisFeed {
  readonly #calls: RedisCalls
  readonly #channels = new Map<string, Set<Listener>>()
  #subscriber: RedisSubscriber | undefined
  #retry: NodeJS.Timeout | undefined

  constructor (calls: RedisCalls) {
    this.#calls = calls
  }

  /** Resolves once everything that is published from then on will be told. */
  async listen (key: string, listener: Listener): Promise<StoreWatch> {
    const channel = keyPrefix(this.#calls.client) + key
    const listeners = this.#channels.get(channel)
    if (listeners === undefined) this.#channels.set(channel, new Set([listener]))
    else listeners.add(listener)
    const watch = { stop: () => this.#stop(channel, listener) }
    try {
      this.#subscriber ??= this.#connect()
      await this.#calls.read(this.#subscriber.subscribe(channel), nothing)
      return watch
    } catch (error) {
      watch.stop()
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
    const choice = servers(this.#calls.client)
    const server = choice[Math.floor(Math.random() * choice.length)]
    if (server === undefined) throw new Error('the cluster has no servers')
    const subscriber = server.duplicate({ autoResubscribe: false, lazyConnect: false, maxRetriesPerRequest: null })
    let lost = false
    subscriber.on('message', (channel, message) => this.#tell(channel, message))
    subscriber.on('ready', () => {
      if (lost && this.#subscriber === subscriber) this.#resubscribe(subscriber)
      lost = true
    })
    subscriber.on('error', nothing) // the app's own client tells of it too
    subscriber.on('end', () => {
      if (this.#subscriber === subscriber) this.#reconnect()
    })
    return subscriber
  }

  /** The client has given up: its server is gone. Another may be there. */
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

  #resubscribe (subscriber: RedisSubscriber): void {
    if (this.#channels.size === 0) return
    subscriber.subscribe(...this.#channels.keys()).then(() => {
      for (const listeners of this.#channels.values()) for (const listener of [...listeners]) listener({ type: 'interrupted' })
    }, nothing) // a connection that is lost again is followed by another
  }

  #tell (channel: string, message: string): void {
    const event = parseMessage(message)
    if (event !== undefined) for (const listener of [...this.#channels.get(channel) ?? []]) listener(event)
  }
}

/** What the scripts publish: a JSON list of a word and what belongs to it. */
function parseMessage (message: string): StoreEvent | undefined {
  const [type, expiresAt, ...keys] = JSON.parse(message) as [string, ...string[]]
  switch (type) {
    case 'changed': return { type, keys, expiresAt: expiresAt === '-' ? null : Number(expiresAt) }
    case 'ended': return { type, renewed: false }
    case 'renewed': return { type: 'ended', renewed: true }
    default: return undefined
  }
}
