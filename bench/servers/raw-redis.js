/** What one would write by hand: a cookie, a key, JSON, and no session library. */
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { fastifyListener, redisOptions, sample, serve } from './serve.js'

const app = Fastify()
const redis = new Redis(redisOptions)

const keyOf = (request) => {
  const { cookie } = request.headers
  const start = cookie.indexOf('sid=') + 'sid='.length
  const end = cookie.indexOf(';', start)
  return `session:${end === -1 ? cookie.slice(start) : cookie.slice(start, end)}`
}

app.get('/login', async (request, reply) => {
  const id = randomBytes(32).toString('base64url')
  await redis.set(`session:${id}`, JSON.stringify(sample))
  reply.header('set-cookie', `sid=${id}; Path=/; HttpOnly; SameSite=Lax`)
  return { ok: true }
})

app.get('/read', async (request) => {
  const session = JSON.parse(await redis.get(keyOf(request)))
  return { user: session.user }
})

app.get('/write', async (request) => {
  const key = keyOf(request)
  const session = JSON.parse(await redis.get(key))
  session.count = (session.count ?? 0) + 1
  await redis.set(key, JSON.stringify(session))
  return { count: session.count }
})

await serve(fastifyListener(app))
