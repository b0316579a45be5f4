import { createClient, createCluster, type RedisClientOptions, type RedisClientType, type RedisClusterType, type RedisFunctions, type RedisModules, type RedisScripts } from 'redis'
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

export type NodeRedisCluster = RedisClusterType<RedisModules, RedisFunctions, RedisScripts, 3>

/** A client of node-redis for a cluster, as `nodeRedis`. */
export async function nodeRedisCluster (t: Test, nodes: ReadonlyArray<{ host: string, port: number }>, options: { useReplicas?: boolean, keyPrefix?: string } = {}): Promise<NodeRedisCluster> {
  const client = createCluster<RedisModules, RedisFunctions, RedisScripts, 3>({ rootNodes: nodes.map((socket) => ({ socket })), defaults: { socket: { reconnectStrategy: 10 } }, ...options }) as NodeRedisCluster
  client.on('error', () => {})
  t.teardown(() => { if (client.isOpen) client.destroy() })
  await client.connect()
  return client
}
