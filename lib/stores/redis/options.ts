import { OptionError } from '../../errors.js'
import type { RedisClient } from './commands.js'
import { findTransformed } from './pipelines.js'
import { checkOptions, rules, wholeNumber, withMethods, type Rule } from '../../util/option-rules.js'

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
   * The text that the store's keys begin with.
   * @default 'session:'
   */
  prefix?: string | undefined
  /**
   * Milliseconds that one call may take, waiting for a connection included; then it fails with
   * `FST_SESSION_STORE_UNAVAILABLE`, or a write with `FST_SESSION_OUTCOME_UNKNOWN`.
   * @default 1000
   */
  timeout?: number | undefined
}

const clientRule = withMethods('an ioredis client', 'pipeline', 'duplicate')

const optionRules: Record<keyof RedisStoreOptions, Rule> = {
  prefix: rules.text,
  timeout: wholeNumber('milliseconds', 1, 2_147_483_647),
}

const defaults = Object.freeze({ prefix: 'session:', timeout: 1000 })

/**
 * Checks the arguments of `redisStore()`.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function redisStoreOptions (client: RedisClient, options: RedisStoreOptions | undefined): { prefix: string, timeout: number } {
  if (!clientRule.test(client)) throw new OptionError('redisStore()', `the first argument must be ${clientRule.allowed}`)
  const checked = { ...defaults, ...checkOptions<RedisStoreOptions>('redisStore()', options, optionRules) }
  if ('nodes' in client) checkCluster(client.options, checked.prefix)
  refuseTransformers(client)
  return checked
}

/**
 * Refuses a client that changes the commands of the store, or their replies: sessions would not be found, or be damaged.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function refuseTransformers (client: RedisClient): void {
  const { name, changes } = findTransformed(client, String(client.options?.keyPrefix ?? '')) ?? {}
  if (name === undefined) return
  const method = changes === 'reply' ? 'setReplyTransformer' : 'setArgumentTransformer'
  throw new OptionError('redisStore()', `the client changes the ${changes} of ${name}, which the store sends: take back Command.${method}('${name}', …), which holds for all clients of this process`)
}

interface ClusterSettings { readonly scaleReads?: unknown, readonly keyPrefix?: unknown, readonly enableOfflineQueue?: unknown }

function checkCluster ({ scaleReads = 'master', keyPrefix = '', enableOfflineQueue = true }: ClusterSettings = {}, prefix: string): void {
  // Only the first brace counts: what is between it and the next closing one is the hash tag.
  const [, afterBrace] = /\{(.*)/s.exec(`${String(keyPrefix)}${prefix}`) ?? []
  if (afterBrace !== undefined && !/^[^}]+\}/.test(afterBrace)) {
    throw new OptionError('redisStore()', "with a Cluster, a '{' in the prefix, or in the client's keyPrefix, must begin a hash tag: some text and a '}'")
  }
  // ioredis, cluster/index.js, sendCommand: of a pipeline for a node that is gone it may send some commands to another node, and the rest
  // nowhere; that node's replies go to the wrong commands from then on.
  if (enableOfflineQueue !== true) {
    throw new OptionError('redisStore()', 'the Cluster must have enableOfflineQueue: true (the default): without it ioredis may give a command the reply of another one once it has lost a node')
  }
  if (scaleReads === 'master') return
  throw new OptionError('redisStore()', "the Cluster must have scaleReads: 'master' (the default): replicas are behind, so that ended sessions would be let in and new ones not found")
}
