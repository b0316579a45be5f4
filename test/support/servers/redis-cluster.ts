import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.js'
import type { OwnServer } from './own-server.js'
import { startRedis } from './redis.js'

const SLOTS = 16_384

/** A real Redis Cluster of one's own, on loopback. */
export interface RedisCluster {
  /** The masters, in the order of their slots; each can be killed and restarted alone. */
  readonly nodes: readonly OwnServer[]
  /** The replica of each master, in the same order. */
  readonly replicas: readonly OwnServer[]
  /** What ioredis' `new Cluster(…)` takes. */
  readonly startupNodes: ReadonlyArray<{ host: string, port: number }>
  /** Resolves when every node says that all slots are served: some 2 s after a killed one was restarted. */
  whole (): Promise<void>
  stop (): Promise<void>
}

/** Starts a cluster and resolves when every node says that it is whole. */
export async function startRedisCluster ({ masters = 3, withReplicas = false }: { masters?: number, withReplicas?: boolean } = {}): Promise<RedisCluster> {
  const buses: number[] = []
  const nodes: OwnServer[] = []
  const stop = async () => { await Promise.all(nodes.map((node) => node.stop())) }
  try {
    for (let i = 0; i < masters * (withReplicas ? 2 : 1); i++) {
      // Its bus would be at port + 10000, which nobody has checked to be free.
      const bus = await freePort()
      nodes.push(await startRedis({
        args: ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'],
      }))
      buses.push(bus)
    }
    await join(nodes, buses, masters)
    await whole(nodes, masters)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    nodes: nodes.slice(0, masters),
    replicas: nodes.slice(masters),
    startupNodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    whole: () => whole(nodes, masters),
    stop,
  }
}

async function join (nodes: readonly OwnServer[], buses: readonly number[], masters: number): Promise<void> {
  const clients = nodes.map((node) => new Redis(node.url))
  try {
    for (const [i, client] of clients.slice(0, masters).entries()) {
      const first = Math.floor(i * SLOTS / masters)
      const last = Math.floor((i + 1) * SLOTS / masters) - 1
      await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last)
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    }
    for (const [i, node] of nodes.entries()) {
      if (i > 0) await clients[0]!.call('CLUSTER', 'MEET', '127.0.0.1', node.port, buses[i]!)
    }
    for (const [i, replica] of clients.slice(masters).entries()) await follow(replica, String(await clients[i]!.call('CLUSTER', 'MYID')))
  } finally {
    for (const client of clients) client.disconnect()
  }
}

/** Makes a node a replica of another, as soon as it has heard of it, and resolves when it has its data. */
async function follow (replica: Redis, master: string): Promise<void> {
  const end = Date.now() + 20_000
  for (;;) {
    const nodes = String(await replica.call('CLUSTER', 'NODES'))
    if (nodes.includes(master)) break
    if (Date.now() > end) throw new Error(`a replica does not hear of its master:\n${nodes}`)
    await delay(50)
  }
  await replica.call('CLUSTER', 'REPLICATE', master)
  while (!(await replica.info('replication')).includes('master_link_status:up')) {
    if (Date.now() > end) throw new Error('a replica does not get the data of its master')
    await delay(50)
  }
}

async function whole (nodes: readonly OwnServer[], masters: number): Promise<void> {
  const clients = nodes.map((node) => new Redis(node.url))
  try {
    const end = Date.now() + 20_000
    for (const client of clients) {
      for (;;) {
        const info = String(await client.call('CLUSTER', 'INFO'))
        if (info.includes('cluster_state:ok') && info.includes(`cluster_size:${masters}`)) break
        if (Date.now() > end) throw new Error(`the Redis Cluster is not whole after 20 s:\n${info}`)
        await delay(50)
      }
    }
  } finally {
    for (const client of clients) client.disconnect()
  }
}
