/** @mgcrea/fastify-session on its own memory store or its own Redis store. */
import cookie from '@fastify/cookie'
import session, { MemoryStore } from '@mgcrea/fastify-session'
import { RedisStore } from '@mgcrea/fastify-session-redis-store'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { fastifyListener, kind, redisOptions, sample, serve } from './serve.js'

const app = Fastify()
const ttl = 1_800

await app.register(cookie)
await app.register(session, {
  secret: 'a secret of at least thirty-two characters',
  cookie: { maxAge: ttl },
  saveUninitialized: false,
  store: kind === 'redis' ? new RedisStore({ client: new Redis(redisOptions), ttl }) : new MemoryStore(),
})

app.get('/login', async (request) => {
  request.session.set('user', sample.user)
  request.session.set('items', [...sample.items])
  return { ok: true }
})

app.get('/read', async (request) => ({ user: request.session.get('user') }))

app.get('/write', async (request) => {
  const count = (request.session.get('count') ?? 0) + 1
  request.session.set('count', count)
  return { count }
})

await serve(fastifyListener(app))
