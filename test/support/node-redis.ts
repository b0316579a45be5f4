import { createClient, type RedisClientOptions, type RedisClientType, type RedisFunctions, type RedisModules, type RedisScripts } from 'redis'
import type { Test } from 'tap'

export type NodeRedis = RedisClientType<RedisModules, RedisFunctions, RedisScripts, 2 | 3>
export type NodeRedisOptions = RedisClientOptions<RedisModules, RedisFunctions, RedisScripts, 2 | 3>

/** A client of node-redis that is connected, reconnects at once, and is closed after the test. */
export async function nodeRedis (t: Test, url: string, options: Omit<NodeRedisOptions, 'url' | 'socket'> = {}): Promise<NodeRedis> {
  const client = createClient<RedisModules, RedisFunctions, RedisScripts, 2 | 3>({ url, ...options, socket: { reconnectStrategy: 10 } }) as NodeRedis
  client.on('error', () => {})
  t.teardown(() => { if (client.isOpen) client.destroy() })
  await client.connect()
  return client
}
