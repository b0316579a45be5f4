import type { FastifyRequest } from 'fastify'
import Fastify from 'fastify'
import type { Driver } from 'neo4j-driver'
import type { Test } from 'tap'
import requestSession, {
  getSession, memoryStore, neo4jSessions, neo4jTransactions, tokenSessions, type SessionStats, type SessionStore, type TokenSession,
} from '../../../lib/index.js'
import type { AnyProvider } from '../../../lib/core/provider.js'
import { barrier, type Barrier } from '../../support/barrier.js'
import { exchange } from '../../support/lifecycle/client.js'
import { graphApp, sessionOf, transactionOf } from '../../support/neo4j/app.js'
import { count, driverForTest } from '../../support/neo4j/driver.js'
import { SpyStore } from '../../support/spy-store.js'

interface Data { 'neo4j:bookmarks': string[], user: string }

async function tokenOf (request: FastifyRequest): Promise<TokenSession<Data>> {
  const session: unknown = await Reflect.get(request, 'session')
  return session as TokenSession<Data>
}

/** An app with token sessions, and the provider registered as `graph`. */
async function userApp (t: Test, provider: AnyProvider, store: SessionStore = memoryStore()) {
  const logged: Array<{ level: number, msg: string }> = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { logged.push(JSON.parse(line) as typeof logged[number]) } } } })
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions({ store }) })
  await app.register(requestSession, { name: 'graph', provider })
  const stats = (): SessionStats => app.sessionStats()['graph'] as SessionStats
  return { app, logged, stats }
}

/** A bookmark of the same database, of a transaction that it has not seen: as after a restore from a backup. */
function ahead (bookmark: string): string {
  const bytes = Buffer.from(bookmark.slice(3), 'base64')
  // PackStream: the number of the transaction, in one, two or four bytes with a mark before, and an empty list.
  const size = bytes.at(-4) === 0xc9 ? 3 : bytes.at(-6) === 0xca ? 5 : 1
  return `FB:${Buffer.concat([bytes.subarray(0, -size - 1), Buffer.from([0xca, 0x7f, 0, 0, 0, 0x90])]).toString('base64')}`
}

/** `bookmarks: 'session'`: each user's bookmarks are in that user's token session. */
export async function bookmarks (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url)

  const kinds = [
    ['sessions', neo4jSessions(driver, { bookmarks: 'session' }), sessionOf],
    ['transactions', neo4jTransactions(driver, { bookmarks: 'session' }), transactionOf],
  ] as const

  for (const [kind, provider, used] of kinds) {
    await t.test(kind, async (t) => {
      const { app, logged } = await userApp(t, provider)
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
      t.equal((await send('/read')).statusCode, 200, 'bookmarks that the server refuses fail nothing')
      t.strictSame(await kept(), [], 'and are dropped')
      t.match(logged.filter(({ level }) => level === 40), [{ msg: /^bookmarks of request\.graph were dropped: Parsing of supplied bookmarks failed/ }])

      await getSession(provider, null, async (used) => { await used.run('CREATE (:Kept {key: $key})', { key: `bookmarks ${kind} job` }) })
      t.equal(await count(observer, `bookmarks ${kind} job`), 1, 'outside of a request there is no user')
    })
  }

  for (const [kind, provider, used] of kinds) {
    await t.test(`${kind}: a user who logs out, logs in or is renewed while the graph is written to`, async (t) => {
      const store = new SpyStore(memoryStore())
      const { app, logged } = await userApp(t, provider, store)
      const users = kind === 'sessions' ? 'a' : 'b'
      let [written, goOn]: Barrier[] = [barrier(), barrier()]
      app.get('/login', async (request) => { (await tokenOf(request)).regenerate(); (await tokenOf(request)).set('user', 'ada') })
      app.get('/logout', async (request) => { (await tokenOf(request)).end() })
      app.get('/renew', async (request) => { (await tokenOf(request)).renew() })
      app.get('/order/:key/:work', async (request) => {
        const { key, work } = request.params as { key: string, work: string }
        if (work === 'end') (await tokenOf(request)).end()
        if (work === 'set') (await tokenOf(request)).set('user', 'bob')
        await used(request).run('CREATE (:Kept {key: $key})', { key: `${users} ${key} ${work}` })
        written?.open()
        await goOn?.opened
        return 'ok'
      })
      const order = async (key: string, work: string, meanwhile: () => Promise<unknown>, cookie: string): Promise<number> => {
        [written, goOn] = [barrier(), barrier()]
        const reply = app.inject({ url: `/order/${key}/${work}`, headers: { cookie } })
        await Promise.race([written.opened, reply])
        await meanwhile()
        goOn.open()
        const { statusCode } = await reply
        if (work !== 'set') t.equal(await count(observer, `${users} ${key} ${work}`), 1, `${key} ${work}: kept in the graph`)
        return statusCode
      }
      const login = async (): Promise<string> => String((await app.inject('/login')).headers['set-cookie']).split(';')[0] as string

      for (const meanwhile of ['logout', 'renew', 'login']) {
        const cookie = await login()
        t.equal(await order(meanwhile, 'nothing', () => app.inject({ url: `/${meanwhile}`, headers: { cookie } }), cookie), 200, meanwhile)
      }
      const own = await login()
      t.equal(await order('own', 'set', () => app.inject({ url: '/logout', headers: { cookie: own } }), own), 409, 'work of its own on the session is lost, and an error')
      t.equal(await order('leaves', 'end', async () => {}, await login()), 200, 'end() and then a write in one request')
      const old = await login()
      await app.inject({ url: '/renew', headers: { cookie: old } })
      t.equal(await order('late', 'nothing', async () => {}, old), 200, 'the token was given up before')

      const cookie = await login()
      t.equal(await order('fails', 'nothing', async () => { store.failing = { error: new Error('away') } }, cookie), 200, 'the store fails at the commit')
      t.equal(await order('away', 'nothing', async () => {}, cookie), 200, 'the store fails from the start')
      t.match(logged.map(({ msg }) => msg), [/was committed before its reply became an error/, /bookmarks of the session cannot be read/])
    })

    await t.test(`${kind}: bookmarks that the server never reaches`, async (t) => {
      // Questions to the server go on for a minute: they are no other test's.
      const driver = driverForTest(t, url)
      const provider = kind === 'sessions' ? neo4jSessions(driver, { bookmarks: 'session' }) : neo4jTransactions(driver, { bookmarks: 'session' })
      const { app, logged, stats } = await userApp(t, provider)
      const asked = barrier()
      app.get('/write', async (request, reply) => {
        const result = used(request).run('CREATE (:Kept {key: $key})', { key: `ahead ${kind}` })
        if (request.headers['x-leaves']) {
          asked.open()
          result.catch(() => {})
        }
        await result
        return reply.send('ok')
      })
      app.get('/kept', async (request) => (await tokenOf(request)).get('neo4j:bookmarks') ?? [])
      app.get('/restore', async (request) => { (await tokenOf(request)).update('neo4j:bookmarks', (kept) => [ahead((kept as string[])[0] as string)]) })
      const user = async (): Promise<string> => {
        const cookie = String((await app.inject('/write')).headers['set-cookie']).split(';')[0] as string
        await app.inject({ url: '/restore', headers: { cookie } })
        return cookie
      }
      const origin = await app.listen({ port: 0, host: '127.0.0.1' })
      const [leaver, first, second] = [await user(), await user(), await user()]

      const began = performance.now()
      const { leave } = exchange(`${origin}/write`, { headers: { cookie: leaver, 'x-leaves': '1' } })
      await asked.opened
      t.equal(stats().open, 1)
      leave()
      while (stats().open > 0) await new Promise(setImmediate)
      t.ok(performance.now() - began < 4000, 'a client that leaves waits no more')

      const write = (cookie: string) => app.inject({ url: '/write', headers: { cookie } })
      t.equal((await write(first)).statusCode, 200, 'the request itself does its work')
      t.ok(performance.now() - began < 20_000, 'before the server has given up')
      const since = performance.now()
      t.equal((await write(second)).statusCode, 200)
      t.equal((await write(first)).statusCode, 200)
      t.ok(performance.now() - since < 4000, 'nobody else waits then')
      for (const cookie of [first, second]) {
        const kept = (await app.inject({ url: '/kept', headers: { cookie } })).json<string[]>()
        t.equal(kept.length, 1, 'the newest bookmark has replaced them')
      }
      t.match(logged.filter(({ level }) => level === 40).map(({ msg }) => msg), [/has not reached them within 5000 milliseconds/, /keeps the bookmarks of others waiting/])
      t.equal(await count(observer, `ahead ${kind}`), 6)
    })
  }

  await t.test('without token sessions', async (t) => {
    const { app } = await graphApp(t, neo4jSessions(driver, { bookmarks: 'session' }))
    app.get('/', async (request) => { await sessionOf(request).run('RETURN 1') })
    t.match((await app.inject('/')).json(), { statusCode: 500, code: 'FST_SESSION_OPTION', message: /bookmarks of GET \/: 'session' needs token sessions/ })
  })
}
