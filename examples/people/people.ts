import { randomUUID } from 'node:crypto'
import type { Driver, Session, Transaction } from 'neo4j-driver'
import { ModelFactory, type Neogma } from 'neogma'

/** A label of the example's own: the database may hold other data. */
export const label = 'ExamplePerson'

export interface Person {
  id: string
  name: string
}

/** Two people who know each other: by id, the lesser one first. */
export type Acquaintance = readonly [string, string]

export interface Graph {
  people: Person[]
  acquaintances: Acquaintance[]
}

// The Neogma model of a person. What concerns two of them is plain Cypher, which says it better.
export function peopleModel (neogma: Neogma) {
  return ModelFactory<{ id: string, name: string }>({
    label,
    schema: {
      id: { type: 'string', required: true },
      name: { type: 'string', required: true, minLength: 1, maxLength: 24 },
    },
    primaryKeyField: 'id',
  }, neogma)
}

export type People = ReturnType<typeof peopleModel>

export async function addPerson (people: People, name: string, session: Session | Transaction): Promise<Person> {
  const person = await people.createOne({ id: randomUUID(), name }, { session })
  return { id: person.id, name: person.name }
}

/** @returns how many of the two there are: nothing is done unless it is 2 */
export async function connect (from: string, to: string, transaction: Transaction): Promise<number> {
  const { records } = await transaction.run(`
    OPTIONAL MATCH (a:${label} {id: $from})
    OPTIONAL MATCH (b:${label} {id: $to})
    FOREACH (_ IN CASE WHEN a IS NULL OR b IS NULL THEN [] ELSE [1] END | MERGE (a)-[:KNOWS]-(b))
    RETURN count(a) + count(b) AS found`, { from, to })
  return records[0]?.get('found') as number
}

export async function wholeGraph (people: People, session: Session): Promise<Graph> {
  const found = await people.findMany({ order: [['name', 'ASC']], session, plain: true })
  const { records } = await session.run(`
    MATCH (a:${label})-[:KNOWS]-(b:${label}) WHERE a.id < b.id
    RETURN DISTINCT a.id AS a, b.id AS b`)
  return {
    people: found.map(({ id, name }) => ({ id, name })),
    acquaintances: records.map((record) => [record.get('a') as string, record.get('b') as string]),
  }
}

/** Over how few people one gets to know the other: their ids from the first to the last, or none if there is no way. */
export async function shortestPath (from: string, to: string, session: Session): Promise<string[]> {
  const { records } = await session.run(`
    MATCH path = shortestPath((:${label} {id: $from})-[:KNOWS*]-(:${label} {id: $to}))
    RETURN [person IN nodes(path) | person.id] AS ids`, { from, to })
  return (records[0]?.get('ids') as string[] | undefined) ?? []
}

/** Of Jane Austen's "Pride and Prejudice". */
const cast = ['Elizabeth', 'Jane', 'Lydia', 'Mr Bennet', 'Darcy', 'Georgiana', 'Bingley', 'Caroline', 'Wickham', 'Charlotte', 'Mr Collins', 'Lady Catherine', 'Mrs Gardiner']

const knows = [
  'Elizabeth Jane', 'Elizabeth Lydia', 'Elizabeth Darcy', 'Elizabeth Charlotte', 'Elizabeth Mr Bennet', 'Elizabeth Mrs Gardiner',
  'Jane Bingley', 'Jane Mrs Gardiner', 'Lydia Wickham', 'Darcy Georgiana', 'Darcy Bingley', 'Bingley Caroline', 'Georgiana Wickham',
  'Charlotte Mr Collins', 'Mr Collins Lady Catherine', 'Lady Catherine Darcy',
].map((pair) => {
  const first = cast.find((name) => pair.startsWith(`${name} `)) ?? pair
  return [first, pair.slice(first.length + 1)]
})

/** Makes names unique, and puts the first people in where there are none. */
export async function prepare (driver: Driver): Promise<void> {
  const session = driver.session()
  try {
    for (const property of ['id', 'name']) {
      await session.run(`CREATE CONSTRAINT example_person_${property} IF NOT EXISTS FOR (p:${label}) REQUIRE p.${property} IS UNIQUE`)
    }
    await session.executeWrite((transaction) => transaction.run(`
      WITH $cast AS cast WHERE NOT EXISTS { (:${label}) }
      UNWIND cast AS person CREATE (p:${label}) SET p = person
      WITH count(p) AS made
      UNWIND $knows AS pair
      MATCH (a:${label} {name: pair[0]}), (b:${label} {name: pair[1]})
      MERGE (a)-[:KNOWS]-(b)`, { cast: cast.map((name) => ({ id: randomUUID(), name })), knows }))
  } finally {
    await session.close()
  }
}
