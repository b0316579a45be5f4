/** express-session on its own memory store or on connect-redis. */
import { once } from 'node:events'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import { kind, redisOptions, sample, serve } from './serve.js'

const app = express()

app.use(session({
  secret: 'a secret of at least thirty-two characters',
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 1_800_000 },
  store: kind === 'redis' ? new RedisStore({ client: new Redis(redisOptions) }) : new session.MemoryStore(),
}))

app.get('/login', (request, response) => {
  Object.assign(request.session, sample)
  response.json({ ok: true })
})

app.get('/read', (request, response) => response.json({ user: request.session.user }))

app.get('/write', (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1
  response.json({ count: request.session.count })
})

await serve(async ({ port, host }) => {
  const server = app.listen(port, host)
  await once(server, 'listening')
  return server.address().port
})
