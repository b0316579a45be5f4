/** Fastify without any session: what a request costs at least. */
import Fastify from 'fastify'
import { watchDelay } from './delay.js'
import { fastifyListener, serve } from './serve.js'

const app = Fastify()

app.get('/untouched', async () => ({ user: 'ada' }))

await serve(fastifyListener(app), { watchDelay })
