import { StoreUnsupportedError } from '../../errors.js'
import { elapsed } from '../../util/elapsed.js'
import { nothing } from '../../util/maybe-promise.js'
import { allSlots } from '../contract-helpers.js'
import type { TrackListener, Tracking } from '../track.js'
import type { RedisLink, RedisServer } from './clients/connection.js'
import type { RedisCommands } from './commands.js'
import { newNonce } from './record-format.js'
import { luaAccess, script } from './script.js'

type Log = Pick<Console, 'info' | 'warn' | 'error'>

/** The channel of changed keys for a connection with protocol 2. */
const channel = '__redis__:invalidate'
/** Milliseconds between two attempts, and at most between two checks of the connections. */
const retryAfter = 250
/** Milliseconds between two attempts on a server that forbids it. */
const retryForbiddenAfter = 30_000

/** The errors of servers and proxies that do not know or allow a command. */
const forbidden = /^(?:NOPERM|ERR unknown|ERR unsupported)/i

/** Changes a key for a moment. A full Redis runs it, since nothing remains. */
const canaryScript = script('allow-oom', `${luaAccess}
check('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], '', '')
redis.call('UNLINK', KEYS[1])
return 1
`, () => [], nothing)

/**
 * Receives the changed keys from each server with sessions, by `CLIENT TRACKING`.
 *
 * One connection to each server both subscribes and listens: neither can be lost without the other. Nothing is trusted before a
 * canary, a key that is changed over the client's own connection, is heard: then the changes of all that this client reads are heard.
 * From then on pings prove it. Redis sends changes at the end of its turn, after the replies of that turn: the reply to a ping
 * proves the delivery of all changes before the ping that was answered before it was sent.
 */
export class KeyTracking implements Tracking {
  readonly #commands: RedisCommands
  readonly #prefix: string
  readonly #listener: TrackListener
  /** The start of the names of the sessions' keys, as the servers know them. */
  readonly #keyStart: string
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void
  #feeds: ServerFeed[] = []
  #isStarting = false
  #isWhole = false
  #isStopped = false
  /** The connections that were lost, those that were made anew included. */
  #losses = 0
  /** Ends the running attempt. */
  #abort: (error: Error) => void = nothing
  /** The outstanding canaries, and their callbacks. */
  readonly #canaries = new Set<string>()
  #allHeard: () => void = nothing
  #retryAt = -Infinity
  #log: Log | undefined
  #reported: string | undefined
  #attempt: Promise<Error | undefined>

  constructor (commands: RedisCommands, prefix: string, listener: TrackListener, every: number) {
    this.#commands = commands
    this.#prefix = prefix
    this.#listener = listener
    this.#keyStart = `${commands.connection.keyPrefix}${prefix}{`
    // A client that connects anew may come to another server than the feed's.
    this.#stopListening = commands.connection.onReconnected(() => { this.#lose() })
    this.#timer = setInterval(() => { this.#beat() }, Math.min(every, retryAfter)).unref()
    this.#attempt = this.#start()
  }

  lag (): number {
    if (!this.#isWhole) return Infinity
    const now = elapsed()
    let lag = 0
    for (const { proved } of this.#feeds) lag = Math.max(lag, now - proved)
    return lag
  }

  async checkAtBoot (log: Log): Promise<void> {
    this.#log = log
    const error = await this.#attempt
    if (error instanceof StoreUnsupportedError) throw error
    if (error !== undefined) this.#report(error)
  }

  stop (): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#stopListening()
    this.#lose()
  }

  #beat (): void {
    const { connection, timeout } = this.#commands
    if (!this.#isWhole) {
      if (!this.#isStarting && !connection.isClosed && performance.now() >= this.#retryAt) this.#attempt = this.#start()
      return
    }
    const servers = new Set(connection.servers.map(({ address }) => address))
    const areSame = servers.size === this.#feeds.length && this.#feeds.every(({ address }) => servers.has(address))
    if (connection.isClosed || !areSame || !this.#feeds.every((feed) => feed.beat(timeout))) this.#lose()
    // The client of a cluster learns that another node has a slot now when it asks for one of its keys.
    else if (this.#feeds.length > 1) for (const { canary } of this.#feeds) this.#commands.send('read', 'hlen', canary).catch(nothing)
  }

  /** @returns the error with which it failed */
  async #start (): Promise<Error | undefined> {
    this.#isStarting = true
    try {
      await this.#commands.send('read', 'hlen', this.#canaryKey(allSlots()[0] as string))
      const aborted = new Promise<never>((_resolve, reject) => { this.#abort = reject })
      const losses = this.#losses
      await Promise.race([this.#openFeeds(losses), aborted])
      if (losses !== this.#losses) throw connectionLost()
      this.#isWhole = true
      if (this.#reported !== undefined) this.#log?.info('changes of sessions are received again: sessions are read from the cache')
      this.#reported = undefined
      return undefined
    } catch (error) {
      this.#disconnect()
      return this.#isStopped ? undefined : this.#failed(error as Error)
    } finally {
      this.#isStarting = false
    }
  }

  #failed (thrown: Error): Error {
    const cause = thrown.cause instanceof Error ? thrown.cause : thrown
    const isForbidden = forbidden.test(cause.message)
    const error = isForbidden ? new StoreUnsupportedError(`this Redis user may not track changes (CLIENT TRACKING): ${cause.message}`, { cause }) : cause
    this.#retryAt = performance.now() + (isForbidden ? retryForbiddenAfter : retryAfter)
    if (this.#log !== undefined) this.#report(error)
    return error
  }

  /** @param losses those before it */
  async #openFeeds (losses: number): Promise<void> {
    const servers = await this.#commands.allServers(this.#prefix)
    if (this.#isStopped || losses !== this.#losses) throw connectionLost()
    this.#feeds = servers.map((server) => new ServerFeed(server, this.#keyStart, (feed, keys) => { this.#hear(feed, keys) }, () => { this.#lose() }))
    await this.#commands.waitFor(Promise.all(this.#feeds.map(({ begun }) => begun)), 'read')
    await this.#sendCanaries(servers.length === 1 ? allSlots().slice(0, 1) : allSlots())
  }

  /** Changes a key in each slot, by way of the client, and waits until all are heard: then all servers that have sessions are. */
  async #sendCanaries (slots: readonly string[]): Promise<void> {
    const keys = slots.map((slot) => this.#canaryKey(slot))
    for (const key of keys) this.#canaries.add(this.#commands.connection.keyPrefix + key)
    const heard = new Promise<void>((resolve) => { this.#allHeard = resolve })
    const now = elapsed()
    for (const feed of this.#feeds) feed.canaryIsSent(now)
    await Promise.all(keys.map((key) => this.#commands.runScript(canaryScript, [key])))
    await this.#commands.waitFor(heard, 'read')
  }

  #hear (feed: ServerFeed, keys: readonly string[] | undefined): void {
    if (keys === undefined) {
      this.#listener.changed(undefined)
      return
    }
    const idAt = this.#keyStart.length + '??}'.length
    for (const key of keys) {
      this.#listener.changed(key.slice(idAt, key.endsWith(':data') ? -':data'.length : undefined))
      if (!this.#canaries.delete(key)) continue
      feed.canary = key.slice(this.#commands.connection.keyPrefix.length)
      if (this.#canaries.size === 0) this.#allHeard()
    }
  }

  #lose (): void {
    const wasWhole = this.#isWhole
    this.#losses++
    this.#isWhole = false
    this.#disconnect()
    this.#abort(connectionLost())
    if (wasWhole) this.#listener.lost()
  }

  #disconnect (): void {
    this.#canaries.clear()
    const feeds = this.#feeds
    this.#feeds = []
    for (const feed of feeds) feed.disconnect()
  }

  #report (error: Error): void {
    if (this.#reported === error.message) return
    this.#reported = error.message
    this.#log?.[error instanceof StoreUnsupportedError ? 'error' : 'warn'](error, 'changes of sessions are not received: until they are, all sessions are read from the server')
  }

  #canaryKey (slot: string): string {
    return `${this.#prefix}{${slot}}canary ${newNonce()}`
  }
}

function connectionLost (): Error {
  return new Error('a connection was lost')
}

type Hear = (feed: ServerFeed, keys: readonly string[] | undefined) => void

/** The changes of one server, over a connection of its own. */
class ServerFeed {
  readonly address: string
  readonly begun: Promise<void>
  /** All changes before it have been received. By `elapsed()`. */
  proved = -Infinity
  /** The last canary that was heard. */
  canary = ''
  readonly #link: RedisLink
  /** When the ping that was last answered was sent. */
  #answered = this.proved
  /** When the unanswered ping was sent. */
  #sent: number | undefined
  #isOver = false

  constructor (server: RedisServer, keyStart: string, hear: Hear, ended: () => void) {
    this.address = server.address
    this.#link = server.link(() => { if (!this.#isOver) ended() })
    this.begun = this.#begin(keyStart, hear)
    this.begun.catch(nothing)
  }

  canaryIsSent (at: number): void {
    this.proved = this.#answered = at
  }

  /** Sends the next ping. False: the last one is unanswered for too long. */
  beat (timeout: number): boolean {
    if (this.#sent !== undefined) return elapsed() - this.#sent < timeout
    const sent = this.#sent = elapsed()
    this.#link.send('ping').then(() => {
      this.proved = this.#answered
      this.#answered = sent
      this.#sent = undefined
    }, nothing)
    return true
  }

  disconnect (): void {
    this.#isOver = true
    this.#link.disconnect()
  }

  async #begin (keyStart: string, hear: Hear): Promise<void> {
    const id = await this.#link.send('client', 'ID')
    await this.#link.send('client', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', 'PREFIX', keyStart)
    await this.#link.listen(channel, (keys) => { hear(this, Array.isArray(keys) ? keys.map(String) : undefined) })
  }
}
