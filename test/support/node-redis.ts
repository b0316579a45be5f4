import {
  createClient, createCluster, createSentinel, type RedisClientOptions, type RedisClientType, type RedisClusterType, type RedisFunctions, type RedisModules, type RedisScripts, type RedisSentinelOptions,
  type RedisSentinelType,
} from 'redis'
import type { Test } from 'tap'
import { startSentinel } from './servers/redis.js'

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
export async function nodeRedisCluster (t: Test, nodes: ReadonlyArray<{ host: string, port: number }>, options: { useReplicas?: boolean, keyPrefix?: string, nodeAddressMap?: Record<string, { host: string, port: number }> } = {}): Promise<NodeRedisCluster> {
  const client = createCluster<RedisModules, RedisFunctions, RedisScripts, 3>({ rootNodes: nodes.map((socket) => ({ socket })), defaults: { socket: { reconnectStrategy: 10 } }, ...options }) as NodeRedisCluster
  client.on('error', () => {})
  t.teardown(() => { if (client.isOpen) client.destroy() })
  await client.connect()
  return client
}

export type NodeRedisSentinel = RedisSentinelType<RedisModules, RedisFunctions, RedisScripts, 2 | 3>
export type NodeRedisSentinelOptions = RedisSentinelOptions<RedisModules, RedisFunctions, RedisScripts, 2 | 3>

/** A client of node-redis for the master that a Sentinel knows, as `nodeRedis`. */
export async function nodeRedisSentinel (t: Test, { sentinels, name }: { sentinels: Array<{ host: string, port: number }>, name: string }, options: Partial<NodeRedisSentinelOptions> = {}): Promise<NodeRedisSentinel> {
  const client = createSentinel<RedisModules, RedisFunctions, RedisScripts, 2 | 3>({ name, sentinelRootNodes: sentinels, ...options, nodeClientOptions: { ...options.nodeClientOptions, socket: { reconnectStrategy: 10 } } })
  client.on('error', () => {})
  t.teardown(async () => { if (client.isOpen) await client.destroy() })
  await client.connect()
  return client
}

/** A client as `nodeRedisSentinel`, of a Sentinel of its own that knows the server as the master. */
export async function throughSentinel (t: Test, url: string, options: Partial<NodeRedisSentinelOptions> = {}): Promise<NodeRedisSentinel> {
  const name = 'mine'
  const sentinel = await startSentinel(name, Number(new URL(url).port))
  t.teardown(() => sentinel.stop())
  return nodeRedisSentinel(t, { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name }, options)
}

/** The option by which the client comes to a server through a proxy. */
export function by (proxy: { url: string }, server: { url: string }): Pick<NodeRedisSentinelOptions, 'nodeAddressMap'> {
  const [host, port] = ['127.0.0.1', Number(new URL(proxy.url).port)]
  return { nodeAddressMap: { [`${host}:${new URL(server.url).port}`]: { host, port } } }
}
