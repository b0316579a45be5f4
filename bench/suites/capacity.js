import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { median } from '../suites.js'

const sizes = { '200 B': 200, '2 kB': 2_000, '20 kB': 20_000 }
const percents = [10, 50]
const stores = { 'no cache': 'redis', cache: 'near' }
const clients = ['pipelining', 'plain']

/**
 * How many sessions a gigabyte of Redis holds, and how many requests a core of Redis's main thread and one of Node serve, of 500 sessions
 * in turn. All by CPU time, so that it can be said for a fleet: neither side is waited for.
 */
export default async function capacity (bench) {
  const figures = []
  for (const [sizeName, bytes] of Object.entries(sizes)) {
    const port = String(await bench.redis())
    const redis = new Redis({ host: '127.0.0.1', port: Number(port) })
    const bytesPerSession = []
    try {
      for (const [storeName, store] of Object.entries(stores)) {
        for (const client of clients) {
          const server = await bench.server('capacity', { args: [store, port, client, String(bytes)] })
          const memory = await redisMemory(redis)
          const cookies = await server.call('fill', { count: bench.quick ? 50 : 2_000 })
          bytesPerSession.push((await redisMemory(redis) - memory) / cookies.length)
          for (const percent of percents) {
            const costs = await costsOf(bench, redis, server, cookies.slice(0, 500), percent)
            const name = `${sizeName}, ${percent} % writes, ${storeName}, ${client === 'plain' ? 'plain client' : 'auto-pipelining'}`
            figures.push({ name: `${name}: per core of Node`, value: Math.round(1e6 / costs.node), unit: 'req/s' })
            figures.push({ name: `${name}: per core of Redis`, value: Math.round(1e6 / costs.redis), unit: 'req/s' })
          }
          await server.stop()
        }
      }
      figures.push({ name: `${sizeName}: sessions per GB of Redis`, value: Math.round(2 ** 30 / median(bytesPerSession)), unit: '' })
    } finally {
      redis.disconnect()
    }
  }
  return figures
}

async function costsOf (bench, redis, server, cookies, percent) {
  const cookieFile = join(tmpdir(), `bench-capacity-${process.pid}`)
  writeFileSync(cookieFile, cookies.join('\n') + '\n')
  const cell = { server, cookieFile, path: `/mix/${percent}` }
  const seconds = bench.quick ? 0.3 : 1.5
  await bench.burst(cell, bench.quick ? 0.5 : 4)
  await server.call('collect')
  await bench.burst(cell, seconds)
  const node = []
  const ofRedis = []
  for (let i = 0; i < 3; i++) {
    const before = await mainThread(redis)
    const { requests, cost } = await bench.burst(cell, seconds)
    ofRedis.push((await mainThread(redis) - before) / requests)
    node.push(cost)
  }
  rmSync(cookieFile)
  return { node: median(node), redis: median(ofRedis) }
}

/** Microseconds of CPU time. */
async function mainThread (redis) {
  const info = await redis.info('cpu')
  return [...info.matchAll(/^used_cpu_(?:sys|user)_main_thread:([\d.]+)/gm)].reduce((sum, [, seconds]) => sum + Number(seconds), 0) * 1e6
}

async function redisMemory (redis) {
  const [, bytes] = /^used_memory:(\d+)/m.exec(await redis.info('memory'))
  return Number(bytes)
}
