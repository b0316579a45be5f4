import { OptionError } from '../../errors.js'
import type { RedisConnection } from './clients/connection.js'
import { ioredisConnection, type IoredisClient } from './clients/ioredis.js'
import { nodeRedisConnection, type NodeRedisClient } from './clients/node-redis.js'
import { checkOptions, rules, wholeNumber, withMethods, type Rule } from '../../util/option-rules.js'

/**
 * The part of a client that `redisStore()` uses: that of an ioredis `Redis` or `Cluster`, or of a node-redis client of
 * `createClient()`, `createCluster()` or `createSentinel()`.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { redisStore, type CompleteStore, type RedisClient } from 'fastify-request-session'
 *
 * const storeOn = (client: RedisClient): CompleteStore => redisStore(client, { prefix: 'shop:' })
 * const client = new Redis(process.env['REDIS_URL'] ?? '', { lazyConnect: true })
 * await storeOn(client).close()
 * client.disconnect()
 * ```
 */
export type RedisClient = IoredisClient | NodeRedisClient

/**
 * Options of the Redis store.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 * import { redisStore, type RedisStoreOptions } from 'fastify-request-session'
 *
 * const options: RedisStoreOptions = { prefix: 'shop:', timeout: 500 }
 * const client = new Redis(process.env['REDIS_URL'] ?? '', { lazyConnect: true })
 * await redisStore(client, options).close()
 * client.disconnect()
 * ```
 */
export interface RedisStoreOptions {
  /**
   * The prefix of the store's keys.
   * @default 'session:'
   */
  prefix?: string | undefined
  /**
   * Deadline of one call in milliseconds, the wait for a connection included; after it the call fails with
   * `FST_SESSION_STORE_UNAVAILABLE`, or a write with `FST_SESSION_OUTCOME_UNKNOWN`.
   * @default 1000
   */
  timeout?: number | undefined
}

const ioredisRule = withMethods('an ioredis client', 'pipeline', 'duplicate')
// Older versions damage a character that comes in two parts. `latencyReset` is in 5.9 and in none before.
const nodeRedisRule = withMethods('what createClient(), createCluster() or createSentinel() of node-redis 5.9 or newer returns', 'sendCommand', 'duplicate', 'latencyReset')
/** Before version 6 it has no `duplicate`. */
const sentinelRule = withMethods('what createSentinel() returns', '_execute', 'getMasterNode', 'latencyReset')

const optionRules: Record<keyof RedisStoreOptions, Rule> = {
  prefix: rules.text,
  timeout: wholeNumber('milliseconds', 1, 2_147_483_647),
}

const defaults = Object.freeze({ prefix: 'session:', timeout: 1000 })

/**
 * Checks the arguments of `redisStore()`.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function redisStoreOptions (client: RedisClient, options: RedisStoreOptions | undefined): { connection: RedisConnection, prefix: string, timeout: number } {
  const { prefix, timeout } = { ...defaults, ...checkOptions<RedisStoreOptions>('redisStore()', options, optionRules) }
  const connection = connectionOf(client, timeout)
  refuseUnusable(connection, prefix)
  return { connection, prefix, timeout }
}

/** @throws OptionError (`FST_SESSION_OPTION`) if the client, as it is now, cannot be used */
export function refuseUnusable (connection: RedisConnection, prefix: string): void {
  const problem = connection.problem(prefix)
  if (problem !== undefined) throw new OptionError('redisStore()', problem)
}

function connectionOf (client: RedisClient, timeout: number): RedisConnection {
  if (ioredisRule.test(client)) return ioredisConnection(client as IoredisClient)
  if (nodeRedisRule.test(client) || sentinelRule.test(client)) return nodeRedisConnection(client as NodeRedisClient, timeout)
  throw new OptionError('redisStore()', `the first argument must be ${ioredisRule.allowed}, or ${nodeRedisRule.allowed}`)
}
