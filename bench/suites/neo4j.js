import { besideByHand } from '../by-hand.js'
import { startNeo4j } from '../processes.js'

/** Graph sessions, against the same routes written by hand with `try … finally { await session.close() }`. */
export default async function neo4j (bench) {
  const { url, stop } = process.env.NEO4J_URL ? { url: process.env.NEO4J_URL, stop: async () => {} } : await startNeo4j()
  bench.use({ stop })
  const contestants = {
    connections: 16,
    async start (way) {
      const server = await bench.server(way === 'plugin' ? 'neo4j' : 'neo4j-by-hand', { args: [url] })
      await server.call('prepare')
      return server
    },
  }
  // A JVM compiles late, and the driver is much code for V8: what is measured before that are the compilers.
  const warm = { warmUp: 10, rounds: 8 }
  return [
    ...await besideByHand(bench, contestants, ['read', 'write'], { ...warm, batches: 10 }),
    ...await besideByHand(bench, contestants, ['transaction'], { ...warm, batches: 6 }),
  ]
}
