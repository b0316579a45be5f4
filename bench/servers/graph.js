/** What the two contestants on Neo4j share: the driver, the queries, the nodes. */
import neo4j from 'neo4j-driver'
import { kind as url } from './serve.js'

export const driver = neo4j.driver(url, undefined, { disableLosslessIntegers: true })

export const read = 'MATCH (n:Bench {id: $id}) RETURN n.name AS name'
export const write = 'MATCH (n:Bench {id: $id}) SET n.count = $count RETURN n.count AS count'

const nodes = 10_000
let next = 0

/** Each request is for another node, so that none waits for another's lock. */
export function parameters () {
  next = (next + 7919) % nodes
  return { id: next, count: next }
}

export async function prepare () {
  await driver.executeQuery('CREATE CONSTRAINT bench IF NOT EXISTS FOR (n:Bench) REQUIRE n.id IS UNIQUE')
  await driver.executeQuery('UNWIND range(0, $last) AS id MERGE (n:Bench {id: id}) SET n.name = "name " + id', { last: nodes - 1 })
}
