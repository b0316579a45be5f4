import { DriverMissingError, StoreUnavailableError } from '../errors.js'
import { RedisCommands, type RedisClient } from '../stores/redis/commands.js'

/** Which Redis is meant. */
export interface RedisAddress {
  readonly url: URL
  /** Whether it is a node of a cluster. */
  readonly cluster: boolean
  /** Milliseconds that one call may take, connecting included. */
  readonly timeout: number
}

export interface RedisConnection {
  readonly client: RedisClient
  /** The last that the connection failed with, which says more than its calls do. */
  readonly failure: () => Error | undefined
  readonly close: () => void
}

/**
 * A client that connects at its first call, and not again: what fails is told at once.
 * @throws DriverMissingError (`FST_SESSION_DRIVER_MISSING`)
 */
export async function connect ({ url, cluster, timeout }: RedisAddress): Promise<RedisConnection> {
  const { Cluster, Redis } = await loadDriver()
  const own = { lazyConnect: true, connectTimeout: timeout, autoResendUnfulfilledCommands: false, retryStrategy: () => null }
  const client = cluster
    ? new Cluster([{ host: hostOf(url), port: Number(url.port || 6379) }], {
      lazyConnect: true,
      slotsRefreshTimeout: timeout,
      clusterRetryStrategy: () => null,
      retryDelayOnFailover: 0,
      redisOptions: { ...own, ...credentialsOf(url) },
    })
    : new Redis(url.href, own)
  let failure: Error | undefined
  // Of a cluster's client, what its last node said: itself it says only that none is there.
  client.on('error', (error: Error & { lastNodeError?: Error | undefined }) => { failure = error.lastNodeError ?? error })
  return { client, failure: () => failure, close: () => client.disconnect() }
}

/**
 * Makes sure that one server is all there is: a node of a cluster has a part of the sessions, and does not say so.
 * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`)
 */
export async function checkAlone ({ client }: RedisConnection, timeout: number): Promise<void> {
  if (!('info' in client)) return
  const commands = new RedisCommands(client, timeout)
  const info = await commands.waitFor((client as RedisClient & { info (section: string): Promise<string> }).info('cluster'), 'read')
  if (info.includes('cluster_enabled:1')) throw new StoreUnavailableError('this Redis is a node of a cluster, say so with --cluster')
}

async function loadDriver (): Promise<Pick<typeof import('ioredis'), 'Cluster' | 'Redis'>> {
  try {
    return await import('ioredis')
  } catch (cause) {
    throw new DriverMissingError('ioredis', 'npm install ioredis', { cause })
  }
}

/** A URL has an IPv6 address in brackets, a socket has it without. */
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
