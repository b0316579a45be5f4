/** Starts the real Neo4j of the tests, tells its URL to the parent process, and ends it with that. Run with tsx. */
import { startNeo4j } from '../test/support/servers/neo4j.ts'

const server = await startNeo4j()
const end = async () => {
  await server.stop()
  process.exit(0)
}
process.once('SIGTERM', end)
process.once('disconnect', end)
process.send({ url: server.url })
