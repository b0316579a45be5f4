/** The commands that the store sends, as an ioredis pipeline has them. */
interface Commands {
  hgetall (key: string): unknown
  hget (key: string, field: string): unknown
  hlen (key: string): unknown
  pttl (key: string): unknown
  evalsha (sha: string, keys: number, ...args: string[]): unknown
  eval (script: string, keys: number, ...args: string[]): unknown
  scan (cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): unknown
  zscan (key: string, cursor: string, count: 'COUNT', size: number): unknown
  zrem (key: string, ...members: string[]): unknown
  info (): unknown
}

export type CommandName = keyof Commands

export interface Pipeline extends Commands {
  exec (): Promise<Array<[error: Error | null, reply: unknown]> | null>
}

/** The part of a client that batches need. */
export interface BatchingClient {
  pipeline (): Pipeline
  /** `end`: the application has closed it. */
  readonly status: string
  on (event: 'ready', listener: () => void): unknown
  once (event: 'ready', listener: () => void): unknown
  /** The nodes of each hash slot of a cluster, empty before it is connected. */
  readonly slots?: ReadonlyArray<readonly string[] | undefined>
}

/** Sends one command alone. */
export async function alone (client: BatchingClient, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
  const pipeline = client.pipeline()
  Reflect.apply(pipeline[name], pipeline, [args])
  const [error, reply] = (await pipeline.exec())?.[0] ?? [new Error('the client gave no reply')]
  if (error !== null) throw error
  return reply
}

/**
 * Sends a command through a cluster's client by itself, without its auto-pipelining. ioredis follows a redirection to a node that
 * it does not know yet only then, and only in a pipeline of which all commands are redirected alike otherwise.
 */
export function redirected (client: BatchingClient & { readonly options?: object }, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
  const direct = Object.create(client, { options: { value: { ...client.options, enableAutoPipelining: false } } }) as Record<CommandName, (args: unknown) => Promise<unknown>>
  return direct[name](args)
}
