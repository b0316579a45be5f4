/** A bare Map of token to JSON: the least that sessions in memory can hold. */
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import { heapCommands } from './heap.js'
import { fastifyListener, sample, serve } from './serve.js'

const app = Fastify()
const sessions = new Map()

app.get('/login', async (request, reply) => {
  const token = randomBytes(32).toString('base64url')
  sessions.set(token, JSON.stringify(sample))
  reply.header('set-cookie', `sid=${token}; Path=/; HttpOnly; SameSite=Lax`)
  return { ok: true }
})

await serve(fastifyListener(app), heapCommands(() => sessions.size))
