import { Neogma } from 'neogma'
import { MissingServer } from '../../test/support/servers/missing-server.js'
import { startNeo4j } from '../../test/support/servers/neo4j.js'
import { watchCypher } from '../shared/hood/watch-cypher.js'
import { progress } from '../shared/progress.js'
import { StartError } from '../shared/start-error.js'

/** A connected Neogma, and how to let go of it. */
export interface Database {
  readonly neogma: Neogma
  /** As the printed line says it. */
  readonly place: string
  close (): Promise<void>
}

/**
 * The Neo4j that `NEO4J_URL` names (`neo4j://user:password@host:7687`), else a real one started here, whose data end
 * with it.
 *
 * @throws StartError if it does not answer, or cannot be started
 */
export async function openDatabase (url: string | undefined): Promise<Database> {
  if (url) {
    const neogma = await connect(url)
    return { neogma, place: `Neo4j at ${addressOf(url)}`, close: () => neogma.driver.close() }
  }
  const { say, end } = progress()
  const server = await startNeo4j({ say }).catch((error: unknown) => {
    if (!(error instanceof MissingServer)) throw error
    throw new StartError(`The people live in Neo4j. ${error.message}.`, { cause: error })
  }).finally(end)
  const neogma = await connect(server.url)
  return {
    neogma,
    place: 'a Neo4j of its own',
    async close () {
      await neogma.driver.close()
      await server.stop()
    },
  }
}

async function connect (given: string): Promise<Neogma> {
  const address = addressOf(given)
  const { username, password } = new URL(given)
  const neogma = new Neogma(
    { url: address, username: decodeURIComponent(username), password: decodeURIComponent(password) },
    { connectionTimeout: 5000, disableLosslessIntegers: true, logging: watchCypher })
  try {
    await neogma.verifyConnectivity()
    return neogma
  } catch (error) {
    await neogma.driver.close()
    throw new StartError(`No Neo4j answers at ${address}: ${(error as Error).message}`, { cause: error })
  }
}

/** The URL without user and password: what may be printed, and what the driver takes. */
function addressOf (given: string): string {
  if (!URL.canParse(given) || !/^(neo4j|bolt)(\+s|\+ssc)?:$/.test(new URL(given).protocol)) {
    throw new StartError(`NEO4J_URL must be like neo4j://user:password@host:7687; got ${JSON.stringify(given.replace(/\/\/[^/@]*@/, '//'))}.`)
  }
  const url = new URL(given)
  return `${url.protocol}//${url.host}`
}
