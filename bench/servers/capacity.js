/** Sessions of a given size in Redis, with a cache (`near`) or without, with auto-pipelining of the client or without. */
import Fastify from 'fastify'
import requestSession, { cached, redisStore, tokenSessions } from 'fastify-request-session'
import { Redis } from 'ioredis'
import { fastifyListener, kind, redisOptions, serve } from './serve.js'

const [, , , , client, bytes] = process.argv
const store = redisStore(new Redis({ ...redisOptions, enableAutoPipelining: client === 'pipelining' }))
const sessions = tokenSessions({ store: kind === 'near' ? cached(store) : store })
const app = Fastify()
await app.register(requestSession, { provider: sessions })

let requests = 0

/** The first requests of each hundred write. */
app.get('/mix/:percent', async (request) => {
  const session = await request.session
  const user = session.get('user')
  if (requests++ % 100 < request.params.percent) session.set('count', requests)
  return { user }
})

await serve(fastifyListener(app), {
  /** Makes sessions of `bytes` bytes of keys and values, and gives their cookies. */
  async fill ({ count }) {
    const cookies = []
    for (let i = 0; i < count; i++) {
      const rest = 'x'.repeat(Number(bytes) - '"ada"'.length - 'user'.length - 'rest'.length - 2)
      const { token } = await sessions.create({ data: { user: 'ada', rest } })
      cookies.push(`session=${token}`)
    }
    return cookies
  },
})
