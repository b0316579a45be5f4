/** Saves and restores sessions, and watches what memory that takes. No requests come. */
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryStore, redisStore, tokenSessions } from 'fastify-request-session'
import { Redis } from 'ioredis'
import { makeSessions } from './make.js'
import { kind, redisOptions, serve } from './serve.js'

const store = kind === 'redis' ? redisStore(new Redis(redisOptions)) : memoryStore({ maxSessions: 2_000_000 })
const sessions = tokenSessions({ store })

const megabytes = (bytes) => bytes / 2 ** 20

/** What is in use once all garbage is gone, in MB; a moment later so that the memory has been given back. */
async function settled () {
  globalThis.gc()
  globalThis.gc()
  await sleep(500)
  const { rss, heapUsed } = process.memoryUsage()
  return { resident: megabytes(rss), heap: megabytes(heapUsed) }
}

/**
 * Runs something: what it gave, the seconds it took, the most memory in MB above what there was before, and how much
 * of the heap it holds afterwards.
 */
async function watch (run) {
  const before = await settled()
  let peak = before.resident
  const look = () => { peak = Math.max(peak, megabytes(process.memoryUsage.rss())) }
  const timer = setInterval(look, 10)
  const start = performance.now()
  const result = await run()
  const seconds = (performance.now() - start) / 1000
  look()
  clearInterval(timer)
  const after = await settled()
  return { ...result, seconds, peak: peak - before.resident, held: after.heap - before.heap }
}

await serve(async () => 0, {
  fill: (count) => makeSessions(sessions, count),
  save: (path) => watch(() => sessions.save(path)),
  restore: (path) => watch(() => sessions.restore(path)),
})
