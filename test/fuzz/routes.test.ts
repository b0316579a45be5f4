import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import neo4j from 'neo4j-driver'
import { DocumentStore } from 'ravendb'
import t from 'tap'
import requestSession, { assertNoOpenSessions, memoryStore, neo4jSessions, neo4jTransactions, ravenSessions, tokenSessions, type TokenSession } from '../../lib/index.js'
import * as known from '../support/fuzz/known-options.js'
import { checkPrototypes, inputCount, problemOf } from '../support/fuzz/laws.js'
import { anyOptions } from '../support/fuzz/values.js'
import { Random } from '../support/random.js'

/** Routes of one app. */
const routesPerApp = 100

const driver = neo4j.driver('bolt://127.0.0.1:1')
const documents = new DocumentStore('http://127.0.0.1:1', 'shop').initialize()
t.teardown(async () => {
  documents.dispose()
  await driver.close()
})

/** The names of the registrations, with the options that their routes know and the names of those that may be secrets. */
const kinds = [
  ['session', { ...known.tokenRoute, ...known.commitOptions }, []],
  ['graph', { ...known.neo4j, ...known.commitOptions }, ['auth', 'bookmarks', 'bookmarkManager']],
  ['change', { ...known.neo4jTransaction, ...known.commitOptions }, ['auth', 'metadata']],
  ['documents', { ...known.raven, ...known.commitOptions }, ['requestExecutor']],
] as const

async function appWithPlugins (): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(requestSession, { provider: tokenSessions({ store: memoryStore() }) })
  await app.register(requestSession, { name: 'graph', provider: neo4jSessions(driver) })
  await app.register(requestSession, { name: 'change', provider: neo4jTransactions(driver) })
  await app.register(requestSession, { name: 'documents', provider: ravenSessions(documents) })
  return app
}

t.test(`${inputCount} configs of routes`, async (t) => {
  const problems: string[] = []
  let accepted = 0
  for (let from = 0; from < inputCount && problems.length === 0; from += routesPerApp) {
    const app = await appWithPlugins()
    const urls: string[] = []
    for (let seed = from; seed < from + routesPerApp; seed++) {
      const random = new Random(seed)
      const [name, options, sensitive] = random.pick(kinds)
      const config = { [name]: random.onceIn(10) ? false : anyOptions(random, options, sensitive) }
      try {
        app.get(`/${seed}`, { config }, async (request: FastifyRequest) => {
          if (name !== 'session') return null
          const session = await (request.session as Promise<TokenSession> | TokenSession)
          session.increment('visits')
          return null
        })
        urls.push(`/${seed}`)
      } catch (error) {
        const problem = problemOf(error)
        if (problem !== undefined) problems.push(`seed ${seed}: ${problem}`)
      }
    }
    await app.ready()
    accepted += urls.length
    for (const url of urls.filter((_, i) => i % 5 === 0)) {
      const { statusCode, body } = await app.inject(url)
      if (statusCode !== 200 && !body.includes('FST_SESSION_REFUSED')) problems.push(`seed ${url.slice(1)}: ${body}`)
    }
    await assertNoOpenSessions(app)
    await app.close()
  }
  t.strictSame(problems, [])
  t.ok(accepted > inputCount / 20, `${accepted} were accepted`)
  checkPrototypes(t)
})
