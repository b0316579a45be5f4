/** The commands that the store sends, as ioredis has them. */
interface RedisCommands {
  hgetall (key: string): Promise<Record<string, string>>
  hget (key: string, field: string): Promise<string | null>
  evalsha (sha: string, keys: number, ...args: string[]): Promise<unknown>
  eval (script: string, keys: number, ...args: string[]): Promise<unknown>
  zscan (key: string, cursor: string, count: 'COUNT', size: number): Promise<[cursor: string, members: string[]]>
  zrem (key: string, ...members: string[]): Promise<number>
  readonly options: { readonly keyPrefix?: string | Buffer | undefined }
}

/** A single server, or the master that Sentinel names: an ioredis `Redis`. */
export interface RedisServer extends RedisCommands {
  scan (cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): Promise<[cursor: string, keys: string[]]>
  /** Another connection to it. */
  duplicate (options: { autoResubscribe: false, lazyConnect: false, maxRetriesPerRequest: null }): RedisSubscriber
}

/** An ioredis `Cluster`. */
export interface RedisCluster extends RedisCommands {
  nodes (role: 'master'): RedisServer[]
}

/** What the store needs of a client: an ioredis `Redis` or `Cluster` has it. */
export type RedisClient = RedisServer | RedisCluster

/** A connection that listens to channels. */
export interface RedisSubscriber {
  subscribe (...channels: string[]): Promise<unknown>
  unsubscribe (...channels: string[]): Promise<unknown>
  disconnect (): void
  on (event: 'message', listener: (channel: string, message: string) => void): unknown
  on (event: 'ready' | 'end' | 'error', listener: () => void): unknown
}

/** The servers that together have all keys. */
export function servers (client: RedisClient): RedisServer[] {
  return 'nodes' in client ? client.nodes('master') : [client]
}

/** What the client itself puts before each key; patterns and channels it leaves as they are. */
export function keyPrefix (client: RedisClient): string {
  return String(client.options?.keyPrefix ?? '')
}
