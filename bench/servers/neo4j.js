/** fastify-request-session, with a session or a transaction of Neo4j per request. */
import Fastify from 'fastify'
import requestSession, { neo4jSessions, neo4jTransactions } from 'fastify-request-session'
import { driver, parameters, prepare, read, write } from './graph.js'
import { fastifyListener, serve } from './serve.js'

const app = Fastify()

await app.register(requestSession, { name: 'graph', provider: neo4jSessions(driver) })
await app.register(requestSession, { name: 'change', provider: neo4jTransactions(driver) })

app.get('/read', { config: { graph: { accessMode: 'READ' } } }, async (request) => {
  const { records } = await request.graph.run(read, parameters())
  return { name: records[0].get('name') }
})

app.get('/write', async (request) => {
  const { records } = await request.graph.run(write, parameters())
  return { count: records[0].get('count') }
})

app.get('/transaction', async (request) => {
  const { records } = await request.change.run(write, parameters())
  return { count: records[0].get('count') }
})

await serve(fastifyListener(app), { prepare })
