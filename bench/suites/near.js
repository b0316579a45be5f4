import { Agent, get } from 'node:http'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { median } from '../suites.js'

/** Sessions that are written in turns: one that all clients write at the same time is kept by no cache. Another one is read. */
const writtenSessions = 500
/** Requests, one after the other. */
const timedRequests = 3000
const contestants = { near: ['ours', 'near'], memory: ['ours', 'memory'], redis: ['ours', 'redis'], raw: ['raw-redis', 'redis'] }

/** Token sessions in Redis behind the cache, against our memory store, our Redis store without it, and routes by hand. */
export default async function near (bench) {
  const port = String(await bench.redis())
  return [...await rates(bench, port), ...await commands(bench, port), ...await delayed(bench, port)]
}

async function rates (bench, port) {
  const files = []
  process.once('exit', () => { for (const file of files) rmSync(file, { force: true }) })

  async function start () {
    const cells = []
    for (const [name, [file, kind]] of Object.entries(contestants)) {
      const server = await bench.server(file, { args: [kind, port] })
      const cookies = []
      while (cookies.length < (bench.quick ? 50 : writtenSessions)) cookies.push(await bench.login(server))
      const cookieFile = join(tmpdir(), `bench-near-${process.pid}-${files.length}`)
      files.push(cookieFile)
      writeFileSync(cookieFile, cookies.join('\n') + '\n')
      cells.push({ name: `${name} read`, server, cookie: await bench.login(server), path: '/read' }, { name: `${name} write`, server, cookieFile, path: '/write' })
    }
    return cells
  }

  const { rate, ratio, costRatio } = await bench.measure(start, { batches: 2 })
  return [
    rate('raw GET', 'raw read'),
    rate('raw GET+SET', 'raw write'),
    rate('our memory store, read', 'memory read'),
    ratio('read / our memory store', 'near read', 'memory read'),
    ratio('read / raw GET', 'near read', 'raw read'),
    ratio('write / raw GET+SET', 'near write', 'raw write'),
    ratio('read / without the cache', 'near read', 'redis read'),
    ratio('write / without the cache', 'near write', 'redis write'),
    costRatio('read / our memory store, by CPU time', 'memory read', 'near read'),
    costRatio('read / raw GET, by CPU time', 'raw read', 'near read'),
    costRatio('write / raw GET+SET, by CPU time', 'raw write', 'near write'),
  ]
}

/** The commands on sessions that Redis counts while they are read from the cache. */
async function commands (bench, port) {
  const server = await bench.server('ours', { args: ['near', port] })
  const cookie = await bench.login(server)
  const redis = new Redis({ host: '127.0.0.1', port: Number(port) })
  const count = async () => [...(await redis.info('commandstats')).matchAll(/^cmdstat_(?:hgetall|evalsha|eval):calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0)
  const cell = { server, cookie, path: '/read' }
  await bench.burst(cell, 1)
  const before = await count()
  const { requests } = await bench.burst(cell, 2)
  const sent = await count() - before
  redis.disconnect()
  return [{ name: 'commands per cached read', value: sent / requests, unit: '' }]
}

/** A read where each way to Redis takes half a millisecond longer, over one connection. */
async function delayed (bench, port) {
  const proxy = await bench.server('delaying-proxy', { args: ['redis', port], core: 1 })
  const figures = []
  for (const [name, [file, kind]] of Object.entries({ read: contestants.near, 'without the cache': contestants.redis, 'raw GET': contestants.raw })) {
    const server = await bench.server(file, { args: [kind, String(proxy.port)] })
    const cookie = await bench.login(server)
    await timed(server, cookie)
    figures.push({ name: `delayed network, ${name}, p50`, value: median(await timed(server, cookie)), unit: 'ms' })
  }
  return figures
}

async function timed ({ url }, cookie) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const took = []
  for (let i = 0; i < timedRequests; i++) {
    const began = performance.now()
    await new Promise((resolve, reject) => {
      get(`${url}/read`, { agent, headers: { cookie } }, (reply) => reply.resume().once('end', resolve)).once('error', reject)
    })
    took.push(performance.now() - began)
  }
  agent.destroy()
  return took
}
