/** @fastify/session on its own memory store or on connect-redis, in its default configuration. */
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { RedisStore } from 'connect-redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { heapCommands } from './heap.js'
import { fastifyListener, kind, redisOptions, sample, serve } from './serve.js'

const app = Fastify()
const sessions = new Map()

await app.register(cookie)
await app.register(session, {
  secret: 'a secret of at least thirty-two characters',
  cookie: { secure: false, maxAge: 1_800_000 },
  saveUninitialized: false,
  store: kind === 'redis' ? new RedisStore({ client: new Redis(redisOptions) }) : new session.MemoryStore(sessions),
})

app.get('/login', async (request) => {
  request.session.set('user', sample.user)
  request.session.set('items', [...sample.items])
  return { ok: true }
})

app.get('/untouched', async () => ({ user: 'ada' }))

app.get('/read', async (request) => ({ user: request.session.get('user') }))

app.get('/write', async (request) => {
  const count = (request.session.get('count') ?? 0) + 1
  request.session.set('count', count)
  return { count }
})

await serve(fastifyListener(app), heapCommands(() => sessions.size))
