import type { Command } from 'commander'
import type * as ioredis from 'ioredis'
import { DriverMissingError, StoreUnavailableError } from '../errors.js'
import { RedisCommands, type RedisClient } from '../stores/redis/commands.js'
import { redisStore } from '../stores/redis/redis-store.js'
import type { SessionData } from '../token/options.js'
import { tokenSessions, type CompleteTokenManager } from '../token/token-sessions.js'
import { parseRedisUrl, readSecrets, type AddressOptions, type CommonOptions } from './options.js'
import type { ExitCode, Terminal } from './terminal.js'

/** Sessions that a command works on. */
export interface Sessions {
  readonly users: CompleteTokenManager<SessionData>
}

interface RedisAddress {
  readonly url: URL
  /** True when `url` is a node of a cluster. */
  readonly cluster: boolean
  /** Milliseconds for one call, connecting included. */
  readonly timeout: number
}

interface RedisConnection {
  readonly client: RedisClient
  /** Returns the last error of the connection, which says more than the errors of its calls. */
  readonly lastError: () => Error | undefined
  readonly close: () => void
}

/** Connects, runs the work on the sessions, and closes the connection in any case. */
export async function withSessions (
  command: Command, terminal: Terminal, options: CommonOptions & AddressOptions, work: (sessions: Sessions) => Promise<ExitCode>
): Promise<ExitCode> {
  const { cluster = false, prefix, timeout, tokenKind } = options
  const url = parseRedisUrl(command, options.redis)
  const secret = readSecrets(command, terminal, options)
  const connection = await connect({ url, cluster, timeout })
  try {
    const users = tokenSessions({ store: redisStore(connection.client, { prefix, timeout }), token: tokenKind, secret })
    if (!cluster) await refuseClusterNode(connection, timeout)
    const code = await work({ users })
    await users.close()
    return code
  } catch (error) {
    throw withReasons(error, connection.lastError())
  } finally {
    connection.close()
  }
}

/**
 * Makes a client that connects at its first call and never reconnects, so that a failure is reported at once.
 * @throws DriverMissingError (`FST_SESSION_DRIVER_MISSING`)
 */
async function connect ({ url, cluster, timeout }: RedisAddress): Promise<RedisConnection> {
  const { Cluster, Redis } = await loadDriver()
  const nodeOptions = { lazyConnect: true, connectTimeout: timeout, autoResendUnfulfilledCommands: false, retryStrategy: () => null }
  const client = cluster
    ? new Cluster([{ host: hostOf(url), port: Number(url.port || 6379) }], {
      lazyConnect: true,
      slotsRefreshTimeout: timeout,
      clusterRetryStrategy: () => null,
      retryDelayOnFailover: 0,
      redisOptions: { ...nodeOptions, ...credentialsOf(url) },
    })
    : new Redis(url.href, nodeOptions)
  let lastError: Error | undefined
  // A cluster client's own error only says that no node is left; the error of its last node says why.
  client.on('error', (error: Error & { lastNodeError?: Error | undefined }) => { lastError = error.lastNodeError ?? error })
  return { client, lastError: () => lastError, close: () => client.disconnect() }
}

/**
 * Refuses a single connection to a node of a cluster: it would work on the sessions of that node alone.
 * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`)
 */
async function refuseClusterNode ({ client }: RedisConnection, timeout: number): Promise<void> {
  if (!('info' in client)) return
  const commands = new RedisCommands(client, timeout)
  const info = await commands.waitFor((client as RedisClient & { info (section: string): Promise<string> }).info('cluster'), 'read')
  if (info.includes('cluster_enabled:1')) throw new StoreUnavailableError('this Redis is a node of a cluster, say so with --cluster')
}

/** Loads ioredis only when a command connects: it is an optional peer dependency. */
async function loadDriver (): Promise<Pick<typeof ioredis, 'Cluster' | 'Redis'>> {
  try {
    return await import('ioredis')
  } catch (cause) {
    throw new DriverMissingError('ioredis', 'npm install ioredis', { cause })
  }
}

/** Removes the brackets that a URL puts around an IPv6 address: a socket takes it without. */
function hostOf ({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function credentialsOf ({ protocol, username, password }: URL): { username?: string, password?: string, tls?: object } {
  return {
    ...username !== '' && { username: decodeURIComponent(username) },
    ...password !== '' && { password: decodeURIComponent(password) },
    ...protocol === 'rediss:' && { tls: {} },
  }
}

/** Appends the cause of the failed call to its message, and the connection's error, which often says more. */
function withReasons (error: unknown, connectionError: Error | undefined): unknown {
  if (!(error instanceof Error)) return error
  const { problem, cause } = error as Error & { problem?: unknown }
  for (const reason of [problem, cause, connectionError]) {
    const text = reason instanceof Error ? reason.message || String((reason as { code?: unknown }).code) : reason
    if (typeof text === 'string' && !error.message.includes(text)) error.message += ` (${text})`
  }
  return error
}
