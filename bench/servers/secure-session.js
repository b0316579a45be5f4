/** @fastify/secure-session: the whole session in an encrypted cookie. */
import session from '@fastify/secure-session'
import Fastify from 'fastify'
import { fastifyListener, sample, serve } from './serve.js'

const app = Fastify()

await app.register(session, { key: Buffer.alloc(32, 7), expiry: 1800, cookie: { path: '/', httpOnly: true } })

app.get('/login', async (request) => {
  request.session.set('user', sample.user)
  request.session.set('items', sample.items)
  return { ok: true }
})

app.get('/read', async (request) => ({ user: request.session.get('user') }))

app.get('/write', async (request) => {
  const count = (request.session.get('count') ?? 0) + 1
  request.session.set('count', count)
  return { count }
})

await serve(fastifyListener(app))
