import type { Command } from 'commander'
import type * as ioredis from 'ioredis'
import { DriverMissingError, StoreUnavailableError } from '../errors.js'
import { allSlots } from '../stores/contract-helpers.js'
import { ioredisConnection } from '../stores/redis/clients/ioredis.js'
import { causeCode, RedisCommands } from '../stores/redis/commands.js'
import { redisStore } from '../stores/redis/redis-store.js'
import type { SessionData } from '../token/options.js'
import { tokenSessions, type CompleteTokenManager } from '../token/token-sessions.js'
import { readRedisAddress, readSecrets, type AddressOptions, type CommonOptions, type RedisAddress } from './options.js'
import type { ExitCode, Terminal } from './terminal.js'

/** The sessions that a command works on, and their Redis. */
export interface Sessions {
  readonly users: CompleteTokenManager<SessionData>
  readonly commands: RedisCommands
  /** All masters of a cluster, or the one server. */
  readonly servers: () => ioredis.Redis[]
}

interface RedisConnection {
  readonly client: ioredis.Redis | ioredis.Cluster
  /** Returns the last error of the connection, which is more precise than the errors of its calls. */
  readonly lastError: () => Error | undefined
  readonly close: () => void
}

/** Connects, runs the work on the sessions, and closes the connection in any case. */
export async function withSessions (
  command: Command, terminal: Terminal, options: CommonOptions & AddressOptions, work: (sessions: Sessions) => Promise<ExitCode>
): Promise<ExitCode> {
  const { prefix, timeout, tokenKind } = options
  const address = readRedisAddress(command, options)
  const secret = readSecrets(command, terminal, options)
  const { client, lastError, close } = await connect(address, options)
  try {
    const users = tokenSessions({ store: redisStore(client, { prefix, timeout }), token: tokenKind, secret, maxSize: null }) // the app's limit is unknown
    const commands = new RedisCommands(ioredisConnection(client), timeout)
    if (!('nodes' in client)) await prepare(client, commands, address.database, prefix)
    const code = await work({ users, commands, servers: () => 'nodes' in client ? client.nodes('master') : [client] })
    commands.close()
    await users.close()
    return code
  } catch (error) {
    throw withReasons(error, lastError())
  } finally {
    close()
  }
}

/**
 * Makes a client that connects at its first call and never reconnects, so that a failure is reported at once.
 * @throws DriverMissingError (`FST_SESSION_DRIVER_MISSING`)
 */
async function connect ({ host, port, path, username, password, tls, family }: RedisAddress, { cluster, sentinel, master, timeout }: CommonOptions): Promise<RedisConnection> {
  const { Cluster, Redis } = await loadDriver()
  const nodeOptions = {
    lazyConnect: true,
    connectTimeout: timeout,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
    enableReadyCheck: false, // it needs INFO, and warns on standard error if that is not allowed
    family,
    ...username !== '' && { username },
    ...password !== '' && { password },
    ...tls && { tls: {} },
  }
  const server = sentinel !== undefined && master !== undefined
    ? { sentinels: [...sentinel], name: master, sentinelRetryStrategy: () => null, sentinelCommandTimeout: timeout }
    : path === undefined ? { host, port } : { path }
  const client = cluster
    ? new Cluster([{ host, port }], {
      lazyConnect: true,
      slotsRefreshTimeout: timeout,
      clusterRetryStrategy: () => null,
      retryDelayOnFailover: 0,
      redisOptions: nodeOptions,
    })
    : new Redis({ ...nodeOptions, ...server })
  let lastError: Error | undefined
  // A cluster client's own error only says that no node is left; the error of its last node has the reason.
  client.on('error', (error: Error & { lastNodeError?: Error | undefined }) => { lastError = error.lastNodeError ?? error })
  return { client, lastError: () => lastError, close: () => client.disconnect() }
}

/** The errors of a node of a cluster for keys that it does not have. */
const clusterErrors = ['MOVED', 'ASK', 'CLUSTERDOWN']

/**
 * Selects the database: if that fails, ioredis itself would continue with database 0. Refuses a single connection to a node of a
 * cluster that lacks some of the slots: it would work on the sessions of that node alone.
 * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`)
 */
async function prepare (client: ioredis.Redis, commands: RedisCommands, database: number, prefix: string): Promise<void> {
  if (database !== 0) await commands.waitFor(client.select(database), 'read')
  try {
    await Promise.all(allSlots().map((slot) => commands.send('read', 'hget', `${prefix}{${slot}}`, '')))
  } catch (error) {
    const code = causeCode(error) ?? ''
    if (code === 'NOPERM') return // for the command itself to report
    if (!clusterErrors.includes(code)) throw error
    throw new StoreUnavailableError('this Redis is a node of a cluster: use --cluster')
  }
}

/** Loads ioredis only when a command connects: it is an optional peer dependency. */
async function loadDriver (): Promise<Pick<typeof ioredis, 'Cluster' | 'Redis'>> {
  try {
    return await import('ioredis')
  } catch (cause) {
    throw new DriverMissingError('ioredis', 'npm install ioredis', { cause })
  }
}

/** Appends the cause of the failed call to its message, and the connection's error, which is often more precise. */
function withReasons (error: unknown, connectionError: Error | undefined): unknown {
  if (!(error instanceof Error)) return error
  const { problem, cause } = error as Error & { problem?: unknown }
  for (const reason of [problem, cause, connectionError]) {
    const text = reason instanceof Error ? reason.message || String((reason as { code?: unknown }).code) : reason
    if (typeof text === 'string' && !error.message.includes(text)) error.message += ` (${text})`
  }
  return error
}
