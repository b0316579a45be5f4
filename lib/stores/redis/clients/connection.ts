/** The commands that the store sends. */
export type CommandName = 'hgetall' | 'hget' | 'hlen' | 'pttl' | 'evalsha' | 'eval' | 'scan' | 'zscan' | 'zrem' | 'info'

/** The arguments of a command, in a list: a call takes at most about 120,000. */
export type CommandArgs = ReadonlyArray<string | number>

/** The reply to a command, or its error. */
export type Reply = [error: Error | null, reply: unknown]

/** Commands that are sent to a server together. Each method adds one. */
export type Pipeline = Record<CommandName, (args: CommandArgs) => unknown> & {
  /** Sends them, unless they were sent already, and resolves with the reply or the error of each. */
  exec (): Promise<Reply[]>
}

/** One of the servers that have the keys. */
export interface RedisServer {
  send (name: 'info' | 'scan', args: CommandArgs): Promise<unknown>
  /** Opens another connection to it. */
  subscriber (): RedisSubscriber
  /** Identifies the server within a cluster. */
  readonly address: string
  /**
   * Opens another connection to it, in protocol 2, for once: it does not connect again.
   * @param ended called when it is lost, or could not be made
   */
  link (ended: () => void): RedisLink
}

/** A connection of the store's own. Commands wait until it is open. */
export interface RedisLink {
  send (...args: string[]): Promise<unknown>
  /** @param listener is given messages as they came: binary texts, lists of them, `null` */
  listen (channel: string, listener: (message: unknown) => void): Promise<unknown>
  disconnect (): void
}

/** A connection that listens to channels. */
export interface RedisSubscriber {
  subscribe (...channels: string[]): Promise<unknown>
  unsubscribe (...channels: string[]): Promise<unknown>
  disconnect (): void
  on (event: 'message', listener: (channel: string, message: string) => void): unknown
  /** `end`: it is lost for good. */
  on (event: 'ready' | 'end' | 'error', listener: () => void): unknown
}

/** A Redis client as the store needs it. There is one implementation for each package of clients. */
export interface RedisConnection {
  /** The client's own prefix of keys, which it does not add to patterns and channels. */
  readonly keyPrefix: string
  /** The server, for errors. All clusters have the same name: their nodes can be given in any order. */
  readonly address: string
  /** True once the client is closed: it does not reconnect. */
  readonly isClosed: boolean
  /** The servers that together have all keys, as far as the client knows: that of a cluster knows none before its first reply. */
  readonly servers: readonly RedisServer[]
  /**
   * The nodes of each hash slot of a cluster, where a pipeline takes commands for the same nodes only; empty before it is
   * connected.
   */
  readonly slots: ReadonlyArray<readonly string[] | undefined> | undefined
  readonly pipeline: () => Pipeline
  /** Sends a command again that a node refused because it does not have the key, or not yet. `undefined`: it is another error. */
  redirect (error: Error, name: CommandName, args: CommandArgs): Promise<unknown> | undefined
  /** True for the client's error for a command that it did not send. */
  isUnsent (error: Error): boolean
  /** Calls the listener after each reconnection after which the client may forget commands that had no reply. Returns a function that stops it. */
  onForgotten (listener: () => void): () => void
  /** Calls the listener each time that the client of a single server is connected again. Returns a function that stops it. */
  onReconnected (listener: () => void): () => void
  /** Calls the listener when the client is connected the next time. */
  onceReady (listener: () => void): void
  /** The reason why the client cannot be used, with this prefix of the keys. */
  problem (prefix: string): string | undefined
}

/** The reason why a prefix cannot be used in a cluster: the keys of a session would be in different slots. */
export function problemOfPrefix (prefix: string): string | undefined {
  // Only the first brace counts: the text up to the next closing one is the hash tag.
  const [, afterBrace] = /\{(.*)/s.exec(prefix) ?? []
  return afterBrace === undefined || /^[^}]+\}/.test(afterBrace)
    ? undefined
    : "with a Cluster, a '{' in the prefix, or in the client's keyPrefix, must begin a hash tag: some text and a '}'"
}
