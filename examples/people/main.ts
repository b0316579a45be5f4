/**
 * People and whom they know, in Neo4j: read in a session of the request, changed in a transaction of the request, of
 * which nothing stays if the request fails.
 */
import { EventEmitter } from 'node:events'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import createError from '@fastify/error'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import requestSession, { neo4jSessions, neo4jTransactions, type Neo4jSessions, type Neo4jTransactions } from 'fastify-request-session'
import type { Driver } from 'neo4j-driver'
import type { Neogma } from 'neogma'
import { eventStreams } from '../shared/event-streams.js'
import type { Example } from '../shared/example.js'
import { health } from '../shared/health.js'
import { underTheHood } from '../shared/hood/under-the-hood.js'
import { logger } from '../shared/logger.js'
import { pages } from '../shared/pages.js'
import { openDatabase } from './database.js'
import { addPerson, connect, peopleModel, prepare, shortestPath, wholeGraph } from './people.js'

declare module 'fastify-request-session' {
  interface Registered {
    /** To read: each query for itself. */
    graph: Neo4jSessions<Driver>
    /** To change: all of the request, or nothing. */
    change: Neo4jTransactions<Driver>
  }
}

const NameTakenError = createError('PEOPLE_NAME_TAKEN', 'There is someone called %s already.', 409)
const UnknownPersonError = createError('PEOPLE_UNKNOWN', 'One of the two is not there any more.', 404)

/** What was done of a request, for those who want to see it before it is undone. */
class HalfWayError extends createError('PEOPLE_HALF_WAY', 'The last step failed, so that nothing of this request was kept.', 409) {
  readonly steps: readonly string[]

  constructor (steps: readonly string[], cause: unknown) {
    super({ cause })
    this.steps = steps
  }
}

const id = { type: 'string', format: 'uuid' }
const name = { type: 'string', minLength: 1, maxLength: 24, pattern: '^\\S(.*\\S)?$' }

export interface PeopleOptions {
  logger?: FastifyServerOptions['logger'] | undefined
  /** Called when the app has closed its last session. */
  onClosed?: (() => Promise<void>) | undefined
}

export async function buildApp (neogma: Neogma, { logger = false, onClosed }: PeopleOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({
    logger,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // Hooks of this kind run in reverse: added before the plugin's own, it comes after.
  if (onClosed !== undefined) app.addHook('onClose', onClosed)
  // JSON is what no form of another site can send.
  app.removeContentTypeParser('text/plain')
  const people = peopleModel(neogma)
  underTheHood(app, import.meta.url, new URL('people.ts', import.meta.url))
  const openStream = eventStreams(app)
  const changes = new EventEmitter().setMaxListeners(0)

  await app.register(requestSession, { name: 'graph', provider: neo4jSessions(neogma.driver, { accessMode: 'READ' }) })
  await app.register(requestSession, { name: 'change', provider: neo4jTransactions(neogma.driver, { timeout: 5000 }) })
  await app.register(pages, { folder: new URL('public/', import.meta.url) })
  await app.register(health)
  await app.register(fastifyStatic, {
    root: dirname(fileURLToPath(import.meta.resolve('cytoscape'))),
    prefix: '/cytoscape/',
    allowedPath: (path) => path === '/cytoscape.esm.min.mjs',
    decorateReply: false,
  })

  app.get('/api/graph', async (request) => wholeGraph(people, request.graph))

  // The pages of this process follow each other's changes.
  app.get('/api/events', async (_request, reply) => {
    const stream = openStream(reply)
    const tell = (): Promise<void> => stream.send('changed', {})
    changes.on('changed', tell)
    stream.onEnd(() => { changes.off('changed', tell) })
    await tell() // there may have been some while the page was not connected
  })

  /** At the response: the transaction has been committed by then. */
  const changing = {
    async onResponse (_request: FastifyRequest, reply: FastifyReply): Promise<void> {
      if (reply.statusCode < 300) changes.emit('changed')
    },
  }

  app.get<{ Querystring: { from: string, to: string } }>('/api/path', {
    schema: { querystring: objectOf({ from: id, to: id }) },
  }, async ({ graph, query: { from, to } }) => ({ ids: from === to ? [from] : await shortestPath(from, to, graph) }))

  app.post<{ Body: { name: string } }>('/api/people', {
    ...changing,
    schema: { body: objectOf({ name }) },
  }, async (request, reply) => {
    const person = await addPerson(people, request.body.name, request.change).catch((error: unknown) => { throw nameTaken(error, request.body.name) })
    reply.code(201)
    return person
  })

  app.post<{ Body: { from: string, to: string } }>('/api/acquaintances', {
    ...changing,
    schema: { body: objectOf({ from: id, to: id }) },
  }, async (request, reply) => {
    const { from, to } = request.body
    if (from === to || await connect(from, to, request.change) < 2) throw new UnknownPersonError()
    return reply.code(204).send()
  })

  // Three changes, of which the last one breaks a rule of the database: the first two are gone with it.
  app.post<{ Body: { name: string, knows: string } }>('/api/half-way', {
    schema: { body: objectOf({ name, knows: id }) },
    errorHandler (error, _request, reply) {
      if (!(error instanceof HalfWayError)) throw error
      const { statusCode, code, message, steps } = error
      return reply.code(statusCode ?? 500).send({ statusCode, code, message, steps })
    },
  }, async (request) => {
    const transaction = await request.change
    const steps: string[] = []
    try {
      const person = await addPerson(people, request.body.name, transaction)
      steps.push(`${person.name} was added`)
      if (await connect(person.id, request.body.knows, transaction) === 2) steps.push(`${person.name} was connected`)
      const { records } = await transaction.run('MATCH (p:ExamplePerson) RETURN count(p) AS people')
      steps.push(`The request counted ${records[0]?.get('people')} people`)
      await addPerson(people, person.name, transaction)
    } catch (error) {
      throw new HalfWayError(steps, error)
    }
    return { steps }
  })

  return app
}

/** The database's own rule tells of a name that is taken, however many ask at once. */
function nameTaken (error: unknown, name: string): unknown {
  return (error as { code?: unknown }).code === 'Neo.ClientError.Schema.ConstraintValidationFailed' ? new NameTakenError(name) : error
}

function objectOf (properties: Record<string, object>): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** On the Neo4j of `NEO4J_URL`, else on one that is started here if Java and Maven are there. */
export async function start (): Promise<Example> {
  const { neogma, place, close } = await openDatabase(process.env['NEO4J_URL'])
  await prepare(neogma.driver)
  return {
    app: await buildApp(neogma, { logger, onClosed: close }),
    store: place,
    tries: (url) => [
      'Pick two people, and ask for the shortest way, or connect them.',
      'Fail half-way: three changes, and nothing stays. "Under the hood" shows the queries, from BEGIN to ROLLBACK.',
      `In a terminal: curl ${url}/api/people --json '{"name":"Kitty"}', twice: the database refuses the second, and the drawer shows it at once.`,
    ],
  }
}
