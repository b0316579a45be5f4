import { nothing } from '../../../util/maybe-promise.js'
import { findTransformed } from './ioredis-transformers.js'
import { problemOfPrefix, type CommandArgs, type CommandName, type Pipeline, type RedisConnection, type RedisLink, type RedisServer, type RedisSubscriber, type Reply } from './connection.js'

/** An ioredis pipeline. Its methods take their arguments in a list, too. */
type IoredisPipeline = Record<CommandName, (...args: never[]) => unknown> & {
  /** ioredis resolves with `null` in transactions only. */
  exec (): Promise<Reply[] | null>
}

interface SharedClient {
  pipeline (): IoredisPipeline
  /** `end`: the application has closed it. */
  readonly status: string
  on (event: 'ready', listener: () => void): unknown
  once (event: 'ready', listener: () => void): unknown
  readonly options: {
    readonly keyPrefix?: string | Buffer | undefined
    readonly host?: string | undefined
    readonly port?: number | undefined
    readonly path?: string | undefined
    readonly name?: string | undefined
    readonly db?: number | undefined
  }
}

/** A single server, or the master that Sentinel names: an ioredis `Redis`. */
interface IoredisServer extends SharedClient {
  duplicate (options: OwnOptions): OwnClient
}

interface OwnOptions {
  readonly autoResubscribe: false
  readonly lazyConnect: false
  readonly maxRetriesPerRequest: null
  readonly retryStrategy?: () => null
  readonly reconnectOnError?: null
  readonly enableOfflineQueue?: true
  readonly protocol?: 2
}

/** A client that `duplicate()` makes. */
interface OwnClient extends RedisSubscriber {
  call (command: string, args: string[]): Promise<unknown>
  on: RedisSubscriber['on'] & ((event: 'messageBuffer', listener: (channel: unknown, message: unknown) => void) => unknown)
}

/** An ioredis `Cluster`. */
interface IoredisCluster extends SharedClient {
  nodes (role: 'master'): IoredisServer[]
  readonly slots: ReadonlyArray<readonly string[] | undefined>
  readonly options: SharedClient['options'] & { readonly scaleReads?: unknown, readonly enableOfflineQueue?: unknown }
}

/** The part of an ioredis client that the store uses. */
export type IoredisClient = IoredisServer | IoredisCluster

/** Errors by which a node of a cluster says that it does not have the key, or not yet. */
const redirections = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |same slots allocation group/
/** The client's error for a command that it did not send, without its queue for commands that wait for a connection. */
const unsent = /enableOfflineQueue options is false/

/** The stores on a client: each is notified of reconnections. */
const listeners = new WeakMap<IoredisClient, Set<() => void>>()

/**
 * An ioredis client. The pipelines are the store's own: with `enableAutoPipelining` ioredis would wait for its last pipeline before
 * it sends the next one, forever if the connection was lost in between. With `autoResendUnfulfilledCommands: false` it forgets
 * the commands that had no reply then.
 */
export function ioredisConnection (client: IoredisClient): RedisConnection {
  const cluster = 'nodes' in client ? client : undefined
  const { keyPrefix = '' } = client.options ?? {}
  return {
    keyPrefix: String(keyPrefix),
    address: cluster === undefined ? addressOf(client) : 'the cluster',
    get isClosed () { return client.status === 'end' },
    get servers () { return cluster === undefined ? [ioredisServer(client as IoredisServer)] : cluster.nodes('master').map(ioredisServer) },
    ...cluster === undefined ? { slots: undefined } : { get slots () { return cluster.slots } },
    pipeline: client.pipeline.bind(client) as unknown as () => Pipeline,
    redirect: (error, name, args) => cluster !== undefined && redirections.test(error.message) ? redirected(cluster, name, args) : undefined,
    isUnsent: ({ message }) => unsent.test(message),
    onForgotten: (listener) => onReconnection(client, listener),
    onReconnected: (listener) => cluster === undefined ? onReconnection(client, listener) : nothing,
    onceReady (listener) { client.once('ready', listener) },
    problem: (prefix) => (cluster === undefined ? undefined : problemOfCluster(cluster, prefix)) ?? problemOfTransformers(client, String(keyPrefix)),
  }
}

function addressOf ({ options }: SharedClient): string {
  const { host, port, path, name, db } = options ?? {}
  return `${name ?? path ?? `${host}:${port}`}/${db ?? 0}`
}

/** One server of an ioredis client. */
export function ioredisServer (client: IoredisServer): RedisServer {
  return {
    async send (name, args) {
      const pipeline = client.pipeline() as unknown as Pipeline
      pipeline[name](args)
      const [[error, reply]] = await pipeline.exec() as [Reply]
      if (error !== null) throw error
      return reply
    },
    subscriber: () => client.duplicate({ autoResubscribe: false, lazyConnect: false, maxRetriesPerRequest: null }),
    address: addressOf(client),
    link: (ended) => linkTo(client, ended),
  }
}

/** Protocol 2: with protocol 3 ioredis drops messages that it does not know. */
function linkTo (client: IoredisServer, ended: () => void): RedisLink {
  const own = client.duplicate({
    protocol: 2, autoResubscribe: false, lazyConnect: false, maxRetriesPerRequest: null, retryStrategy: () => null, reconnectOnError: null, enableOfflineQueue: true,
  })
  own.on('error', nothing)
  own.on('end', ended)
  return {
    send: (name = '', ...args) => own.call(name, args),
    listen (channel, listener) {
      own.on('messageBuffer', (from, message) => { if (String(from) === channel) listener(message) })
      return own.subscribe(channel)
    },
    disconnect () { own.disconnect() },
  }
}

/**
 * Sends a command through a cluster's client by itself, without its auto-pipelining. ioredis follows a redirection to a node that
 * it does not know yet only then, and only in a pipeline of which all commands are redirected alike otherwise.
 */
function redirected (client: IoredisCluster, name: CommandName, args: CommandArgs): Promise<unknown> {
  const direct = Object.create(client, { options: { value: { ...client.options, enableAutoPipelining: false } } }) as Record<CommandName, (args: unknown) => Promise<unknown>>
  return direct[name](args)
}

function onReconnection (client: IoredisClient, listener: () => void): () => void {
  let all = listeners.get(client)
  if (all === undefined) {
    const added = new Set<() => void>()
    client.on('ready', () => { for (const each of added) each() })
    listeners.set(client, added)
    all = added
  }
  all.add(listener)
  return () => { all.delete(listener) }
}

function problemOfCluster ({ options }: IoredisCluster, prefix: string): string | undefined {
  const { scaleReads = 'master', keyPrefix = '', enableOfflineQueue = true } = options ?? {}
  // ioredis, cluster/index.js, sendCommand: of a pipeline for a node that is gone it may send some commands to another node, and the rest
  // nowhere; that node's replies go to the wrong commands from then on.
  if (enableOfflineQueue !== true) return 'the Cluster must have enableOfflineQueue: true (the default): without it ioredis may give a command the reply of another one once it has lost a node'
  if (scaleReads !== 'master') return "the Cluster must have scaleReads: 'master' (the default): replicas are behind, so that ended sessions would be let in and new ones not found"
  return problemOfPrefix(`${String(keyPrefix)}${prefix}`)
}

/** Sessions would not be found, or be damaged. */
function problemOfTransformers (client: IoredisClient, keyPrefix: string): string | undefined {
  const { name, changes } = findTransformed(client, keyPrefix) ?? {}
  if (name === undefined) return undefined
  const method = changes === 'reply' ? 'setReplyTransformer' : 'setArgumentTransformer'
  return `the client changes the ${changes} of ${name}, which the store sends: remove Command.${method}('${name}', …), which applies to all clients of this process`
}
