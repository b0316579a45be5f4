/** fastify-request-session, in its default configuration on either store, on Redis with a cache (`near`), or in memory with `ambient: true`. */
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import requestSession, { cached, currentSession, memoryStore, redisStore, tokenSessions } from 'fastify-request-session'
import { Redis } from 'ioredis'
import { coverageCommands } from './coverage.js'
import { watchDelay } from './delay.js'
import { heapCommands } from './heap.js'
import { makeSessions } from './make.js'
import { fastifyListener, kind, redisOptions, sample, serve } from './serve.js'

const app = Fastify()
const stores = {
  memory: () => memoryStore({ maxSessions: 2_000_000 }),
  ambient: () => memoryStore(),
  redis: () => redisStore(new Redis(redisOptions)),
  near: () => cached(redisStore(new Redis(redisOptions))),
}
const store = stores[kind]()
const sessions = tokenSessions({ store })

await app.register(requestSession, { provider: sessions, ambient: kind === 'ambient' })

let created = 0

app.get('/login', async (request) => {
  created++
  const session = await request.session
  session.set('user', sample.user)
  session.set('items', sample.items)
  return { ok: true }
})

app.get('/untouched', async () => ({ user: 'ada' }))

app.get('/read', async (request) => {
  const session = await request.session
  return { user: session.get('user') }
})

app.get('/current', async () => {
  const session = await currentSession(sessions)
  return { user: session.get('user') }
})

app.get('/write', async (request) => {
  const session = await request.session
  const count = (session.get('count') ?? 0) + 1
  session.set('count', count)
  return { count }
})

await serve(fastifyListener(app), {
  ...heapCommands(() => created),
  ...coverageCommands(),
  watchDelay,
  counts: () => store.counts?.(),

  /** Makes `count` sessions and writes the cookies of at most `cookies` of them, spread all over, to a file. */
  async fill ({ count, cookies }) {
    const step = Math.max(1, Math.floor(count / cookies))
    const lines = []
    await makeSessions(sessions, count, ({ token }, i) => { if (i % step === 0) lines.push(`session=${token}`) })
    const file = join(tmpdir(), `bench-cookies-${process.pid}`)
    writeFileSync(file, lines.join('\n') + '\n')
    process.once('exit', () => rmSync(file, { force: true }))
    return file
  },

  /** Makes `count` sessions that expire in the same second, and gives that moment. */
  async fillExpiring ({ count }) {
    const expireAt = Date.now() + 5_000 + count * 0.03
    await makeSessions(sessions, count, (session) => session.expire(Math.round((expireAt - Date.now()) / 1000)))
    if (Date.now() > expireAt - 1_000) throw new Error(`making ${count} sessions took longer than they live`)
    return expireAt
  },
})
