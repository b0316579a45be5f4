import { startNeo4j } from '../processes.js'

/** Graph sessions, against the same routes written by hand with `try … finally { await session.close() }`. */
export default async function neo4j (bench) {
  const { url, stop } = process.env.NEO4J_URL ? { url: process.env.NEO4J_URL, stop: async () => {} } : await startNeo4j()
  bench.use({ stop })
  const connections = 16

  async function start () {
    const cells = []
    for (const [name, file] of [['hand', 'neo4j-by-hand'], ['ours', 'neo4j']]) {
      const server = await bench.server(file, { args: [url] })
      await server.call('prepare')
      for (const route of ['read', 'write', 'transaction']) cells.push({ name: `${name} ${route}`, server, connections, path: `/${route}` })
    }
    return cells
  }

  // A JVM compiles late: what is measured before that is the JVM.
  const { rate, ratio, costRatio } = await bench.measure(start, { batches: 12, rounds: 8, firstWarmUp: 10, warmUp: 4 })
  return [
    rate('by hand, read', 'hand read'),
    rate('by hand, write', 'hand write'),
    ratio('read / by hand', 'ours read', 'hand read'),
    ratio('write / by hand', 'ours write', 'hand write'),
    ratio('transaction / by hand', 'ours transaction', 'hand transaction'),
    costRatio('read / by hand, by CPU time', 'hand read', 'ours read'),
    costRatio('write / by hand, by CPU time', 'hand write', 'ours write'),
    costRatio('transaction / by hand, by CPU time', 'hand transaction', 'ours transaction'),
  ]
}
