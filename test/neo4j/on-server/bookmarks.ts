import type { FastifyRequest } from 'fastify'
import Fastify from 'fastify'
import type { Driver } from 'neo4j-driver'
import type { Test } from 'tap'
import requestSession, { getSession, neo4jSessions, neo4jTransactions, tokenSessions, type TokenSession } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { count, driverForTest } from '../../support/neo4j/driver.js'

interface Data { 'neo4j:bookmarks': string[] }

async function tokenOf (request: FastifyRequest): Promise<TokenSession<Data>> {
  const session: unknown = await Reflect.get(request, 'session')
  return session as TokenSession<Data>
}

/** `bookmarks: 'session'`: each user's bookmarks are in that user's token session. */
export async function bookmarks (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url)

  for (const [kind, provider, used] of [
    ['sessions', neo4jSessions(driver, { bookmarks: 'session' }), sessionOf],
    ['transactions', neo4jTransactions(driver, { bookmarks: 'session' }), transactionOf],
  ] as const) {
    await t.test(kind, async (t) => {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(requestSession, { provider: tokenSessions() })
      await app.register(requestSession, { name: 'graph', provider })
      const together = [barrier(), barrier()]
      const answered = barrier()
      app.get('/write', async (request) => { await used(request).run('CREATE (:Kept {key: $key})', { key: `bookmarks ${kind}` }) })
      app.get('/fail', async (request, reply) => {
        await used(request).run('CREATE (:Kept {key: $key})', { key: `bookmarks ${kind} failed` })
        return reply.code(409).send()
      })
      app.get('/read', { config: { graph: { accessMode: 'READ' } } }, async (request) => { await used(request).run('MATCH (n:Kept) RETURN count(n)') })
      app.get('/both/:number', async (request) => {
        const number = Number((request.params as { number: string }).number)
        await tokenOf(request)
        await used(request).run('RETURN 1')
        together[number]?.open()
        await Promise.all(together.map(({ opened }) => opened))
        // Neo4j may give two transactions that commit at the very same moment one bookmark, that of the later one.
        if (number === 1) await answered.opened
        await used(request).run('CREATE (:Kept {key: $key})', { key: `bookmarks ${kind}` })
      })
      app.get('/kept', async (request) => (await tokenOf(request)).get('neo4j:bookmarks') ?? [])
      app.get('/spoil', async (request) => { (await tokenOf(request)).set('neo4j:bookmarks', ['no bookmark at all']) })

      let cookie = ''
      const send = async (path: string) => {
        const reply = await app.inject({ url: path, headers: { cookie } })
        const [set] = [reply.headers['set-cookie'] ?? []].flat()
        cookie = set?.split(';')[0] ?? cookie
        return reply
      }
      const kept = async (): Promise<string[]> => (await send('/kept')).json()

      await send('/read')
      t.equal(cookie, '', 'who only reads gets no session')
      t.equal((await send('/write')).statusCode, 200)
      const first = await kept()
      t.equal(first.length, 1, 'what was written is remembered')
      await send('/write')
      const second = await kept()
      t.equal(second.length, 1, 'the newer one covers the older one')
      t.notSame(second, first)
      await send('/read')
      t.strictSame(await kept(), second, 'reading takes nothing away')
      if (kind === 'transactions') {
        await send('/fail')
        t.strictSame(await kept(), second, 'what was rolled back is not remembered')
      }
      await Promise.all([send('/both/0').finally(() => answered.open()), send('/both/1')])
      t.equal((await kept()).length, 2, 'of two requests at the same moment both are remembered')
      await send('/write')
      t.equal((await kept()).length, 1, 'and covered by the next one')

      await send('/spoil')
      t.match((await send('/read')).json(), { statusCode: 500, message: /bookmark/i }, 'they are sent to the server')

      await getSession(provider, null, async (used) => { await used.run('CREATE (:Kept {key: $key})', { key: `bookmarks ${kind} job` }) })
      t.equal(await count(observer, `bookmarks ${kind} job`), 1, 'outside of a request there is no user')
    })
  }

  await t.test('without token sessions', async (t) => {
    const { app } = await graphApp(t, neo4jSessions(driver, { bookmarks: 'session' }))
    app.get('/', async (request) => { await sessionOf(request).run('RETURN 1') })
    t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /bookmarks of GET \/: 'session' needs token sessions/ })
  })
}
