/**
 * What one would write by hand to keep the plugin's promises, for one process: the token is stored hashed, values are JSON
 * texts, a session expires, and its expiry slides, at most once per tenth of its life.
 */
import { hash, randomBytes } from 'node:crypto'
import { parseCookie, stringifySetCookie } from 'cookie'
import Fastify from 'fastify'
import { fastifyListener, sample, serve } from './serve.js'

const app = Fastify()
const records = new Map()
const ttl = 1_800_000

const idOf = (token) => hash('sha256', token, 'base64url')

function tell (reply, token) {
  reply.header('set-cookie', stringifySetCookie({ name: 'session', value: token, path: '/', httpOnly: true, sameSite: 'lax', maxAge: ttl / 1000 }))
}

/** The request's session; throws without one. */
function find (request, reply) {
  const { cookie = '' } = request.headers
  const token = parseCookie(cookie).session
  const id = token?.length === 43 ? idOf(token) : undefined
  const record = records.get(id)
  const now = Date.now()
  if (record === undefined || record.expiresAt <= now) {
    records.delete(id)
    throw new Error('no session')
  }
  if (now + ttl - record.expiresAt > ttl / 10) {
    record.expiresAt = now + ttl
    tell(reply, token)
  }
  return record.fields
}

function get (fields, key) {
  const text = fields.get(key)
  return text === undefined ? undefined : JSON.parse(text)
}

app.get('/login', async (request, reply) => {
  const token = randomBytes(32).toString('base64url')
  const fields = new Map(Object.entries(sample).map(([key, value]) => [key, JSON.stringify(value)]))
  records.set(idOf(token), { fields, expiresAt: Date.now() + ttl })
  tell(reply, token)
  return { ok: true }
})

app.get('/read', async (request, reply) => {
  const fields = find(request, reply)
  return { user: get(fields, 'user') }
})

app.get('/write', async (request, reply) => {
  const fields = find(request, reply)
  const count = (get(fields, 'count') ?? 0) + 1
  fields.set('count', JSON.stringify(count))
  return { count }
})

await serve(fastifyListener(app))
