import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.js'
import type { OwnServer } from './own-server.js'
import { startRedis } from './redis.js'

const SLOTS = 16_384

/** A real Redis Cluster of one's own: masters only, on loopback. */
export interface RedisCluster {
  /** The masters, in the order of their slots; each can be killed and restarted alone. */
  readonly nodes: readonly OwnServer[]
  /** What ioredis' `new Cluster(…)` takes. */
  readonly startupNodes: ReadonlyArray<{ host: string, port: number }>
  /** Resolves when every node says that all slots are served: some 2 s after a killed one was restarted. */
  whole (): Promise<void>
  stop (): Promise<void>
}

/** Starts a cluster and resolves when every node says that it is whole. */
export async function startRedisCluster ({ masters = 3 }: { masters?: number } = {}): Promise<RedisCluster> {
  const buses: number[] = []
  const nodes: OwnServer[] = []
  const stop = async () => { await Promise.all(nodes.map((node) => node.stop())) }
  try {
    for (let i = 0; i < masters; i++) {
      // Its bus would be at port + 10000, which nobody has checked to be free.
      const bus = await freePort()
      nodes.push(await startRedis({
        args: ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'],
      }))
      buses.push(bus)
    }
    await join(nodes, buses)
    await whole(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, startupNodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })), whole: () => whole(nodes), stop }
}

async function join (nodes: readonly OwnServer[], buses: readonly number[]): Promise<void> {
  const clients = nodes.map((node) => new Redis(node.url))
  try {
    for (const [i, client] of clients.entries()) {
      const first = Math.floor(i * SLOTS / nodes.length)
      const last = Math.floor((i + 1) * SLOTS / nodes.length) - 1
      await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last)
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    }
    for (const [i, node] of nodes.entries()) {
      if (i > 0) await clients[0]!.call('CLUSTER', 'MEET', '127.0.0.1', node.port, buses[i]!)
    }
  } finally {
    for (const client of clients) client.disconnect()
  }
}

async function whole (nodes: readonly OwnServer[]): Promise<void> {
  const clients = nodes.map((node) => new Redis(node.url))
  try {
    const end = Date.now() + 20_000
    for (const client of clients) {
      for (;;) {
        const info = String(await client.call('CLUSTER', 'INFO'))
        if (info.includes('cluster_state:ok') && info.includes(`cluster_size:${nodes.length}`)) break
        if (Date.now() > end) throw new Error(`the Redis Cluster is not whole after 20 s:\n${info}`)
        await delay(50)
      }
    }
  } finally {
    for (const client of clients) client.disconnect()
  }
}
