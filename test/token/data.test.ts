import { PassThrough } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, {
  channels, getSession, memoryStore, tokenSessions, type CompleteStore, type CompleteTokenProvider, type DataOptions, type DataSchema, type SessionData, type SessionEvent, type TokenSession, type TokenSessionOptions,
} from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'
import { Visitor, type LogLine } from '../support/token-app.js'

const unfit = { code: 'FST_SESSION_DATA', statusCode: 500 }

interface Shop extends SessionData { items: string[], visits: number }

/** A schema by hand: lists of items, whole numbers of visits, 0 if there are none. */
const shop: DataSchema<Shop> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate (value) {
      const { items, visits = 0, ...rest } = value as Partial<Shop>
      const issues = [
        ...!Array.isArray(items) ? [{ message: 'a list', path: ['items'] }] : items.flatMap((item, i) => typeof item === 'string' ? [] : [{ message: 'a text', path: ['items', { key: i }] }]),
        ...!Number.isInteger(visits) ? [{ message: 'a whole number', path: ['visits'] }] : [],
      ]
      return issues.length > 0 ? { issues } : { value: { ...rest, items, visits } }
    },
  },
}

const initial = (): Shop => ({ items: [], visits: 0 })

/** An app whose routes are actions on its session, with its log. */
async function appWith (t: Test, options: TokenSessionOptions & { data?: DataOptions<SessionData> }, actions: Record<string, (session: TokenSession) => unknown>): Promise<{ app: FastifyInstance, log: LogLine[] }> {
  const log: LogLine[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { log.push(JSON.parse(line) as LogLine) } } } })
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions(options) })
  for (const [name, action] of Object.entries(actions)) {
    app.get(`/${name}`, async (request) => {
      const session = await request.session
      return await action(session as TokenSession) ?? session.data()
    })
  }
  await app.ready()
  return { app, log }
}

t.test('options that are wrong, initial data that do not fit, and a schema that is not synchronous stop the boot', async (t) => {
  const wrong: Array<[unknown, RegExp]> = [
    [{ schema: {} }, /option schema must be a Standard Schema/],
    [{ schema: { '~standard': { version: 2, validate () {} } } }, /option schema must be a Standard Schema/],
    [{ initial: {} }, /option initial must be a function/],
    [{ version: -1 }, /option version must be a whole number of versions from 0/],
    [{ version: '1' }, /option version must be a whole number/],
    [{ migrate: true }, /option migrate must be a function/],
    [{ onInvalid: 'end' }, /option onInvalid must be 'fail' or 'fresh'; got 'end'/],
    [{ initail: () => ({}) }, /unknown option 'initail'/],
    [5, /options must be an object/],
    [{ initial: () => 5 }, /initial\(\) has to return a plain object, and has returned a number/],
    [{ initial: async () => ({}) }, /initial\(\) has to return a plain object, and has returned an instance of Promise/],
    [{ initial: () => Promise.reject(new Error('mine')) }, /initial\(\) has to return a plain object, and has returned an instance of Promise/],
    [{ initial: () => ({ at: new Date() }) }, /initial\(\) has returned a value for the key 'at' that JSON does not preserve/],
    [{ schema: shop, initial: () => ({ items: 'secret' }) }, /the data of a new session do not fit: items: a list\.$/],
    [{ schema: { '~standard': { version: 1, vendor: 'test', validate: async () => ({ issues: [] }) } } }, /answers with a promise/],
  ]
  for (const [data, message] of wrong) t.throws(() => tokenSessions({ data: data as DataOptions<SessionData> }), { code: 'FST_SESSION_OPTION', message }, String(message))
  t.throws(() => tokenSessions({ data: { initial: () => { throw new Error('mine') } } }), new Error('mine'))
  tokenSessions({ data: { schema: shop } })
  tokenSessions({ data: {} })
})

t.test('a new session shows its initial data at once, and stores them with its first commit', async (t) => {
  const store = new SpyStore(memoryStore())
  let made = 0
  const { app } = await appWith(t, { store, data: { initial: () => ({ items: [], number: ++made }) } }, {
    look: (session) => { t.ok(session.isNew); t.strictSame([...session.keys()], ['items', 'number']) },
    equal: (session) => { session.set('number', session.get('number')) },
    change: (session) => { session.append('items', 'pizza') },
    place: (session) => { (session.get('items') as string[]).push('figs') },
    label: (session) => { session.label = 'mine' },
    clear: (session) => { session.set('other', 1); session.clear() },
    regenerate: (session) => { session.regenerate(['items']) },
    end: (session) => { session.end(); t.equal(session.size, 0) },
  })
  const stranger = new Visitor(app)
  t.strictSame((await stranger.get('/look')).json(), { items: [], number: 2 }, 'the first was made at boot')
  t.equal(stranger.token, undefined)
  t.strictSame(store.take(), [], 'a look stores nothing')
  for (const [path, items] of [['/change', ['pizza']], ['/place', ['figs']], ['/label', []], ['/equal', []]] as const) {
    const visitor = new Visitor(app)
    const shown = (await visitor.get(path)).json<SessionData>()
    t.strictSame(shown['items'], items, path)
    t.strictSame(store.take(), ['create'], path)
    t.strictSame((await visitor.get('/change')).json(), { ...shown, items: [...items, 'pizza'] }, `${path}: they are stored`)
    store.take()
  }
  const visitor = new Visitor(app)
  await visitor.get('/change')
  const cleared = (await visitor.get('/clear')).json<SessionData>()
  t.strictSame(cleared, { items: [], number: made }, 'a session that is cleared begins anew')
  t.strictSame((await visitor.get('/change')).json(), { items: ['pizza'], number: cleared['number'] })
  const regenerated = (await visitor.get('/regenerate')).json<SessionData>()
  t.strictSame(regenerated, { items: ['pizza'], number: made }, 'one that is regenerated too, but for the keys that it keeps')
  t.strictSame((await visitor.get('/place')).json(), { items: ['pizza', 'figs'], number: made })
  t.strictSame((await visitor.get('/end')).json(), {}, 'one that was ended is empty')
})

t.test('clear() and regenerate() that fail for the initial data have changed nothing', async (t) => {
  const store = memoryStore()
  let fails = false
  const users = tokenSessions<SessionData>({ store, data: { initial: () => { if (fails) throw new Error('mine'); return { number: 0 } } } })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: users })
  const works: Record<string, (session: TokenSession) => void> = { clear: (session) => session.clear(), regenerate: (session) => session.regenerate() }
  app.get('/:work', async (request) => works[(request.params as { work: string }).work]?.(await request.session as TokenSession))
  for (const work of Object.keys(works)) {
    fails = false
    const session = await users.create({ data: { basket: ['pizza'] } })
    const headers = await users.inject(session)
    fails = true
    const reply = await app.inject({ url: `/${work}`, ...headers })
    t.match([reply.statusCode, reply.json()], [500, { code: 'FST_SESSION_DATA' }], work)
    t.equal(await users.sessionOf(reply), undefined, work)
    fails = false
    t.strictSame((await users.load(session.token))?.data(), { basket: ['pizza'], number: 0 }, work)
    t.equal((await users.infoAll()).sessions, 1, work)
    await users.end(session.token)
  }
})

t.test('data that are invalid are not written, and the error names the places and no value', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const store = connect()
    const users = tokenSessions({ store, data: { schema: shop, initial } })
    const writes: Record<string, (session: TokenSession<Shop>) => unknown> = {
      set: (session) => session.set('items', ['fig', 5, 'secret'] as string[]),
      delete: (session) => session.delete('items'),
      update: (session) => session.update('items', () => ['a', {}] as string[]),
      'in place': (session) => { session.get('items')?.push(7 as never) },
      regenerate: (session) => { session.regenerate(); session.set('visits', 1.5) },
      renew: (session) => { session.renew(); session.set('visits', 'secret' as never) },
      claim: (session) => session.claim('items'),
    }
    for (const [name, write] of Object.entries(writes)) {
      const session = await users.create({ data: { items: ['pizza'] } })
      const { token } = session
      t.strictSame(session.data(), { items: ['pizza'], visits: 0 })
      await t.rejects(async () => { await write(session); await session.commit() }, { ...unfit, message: /^The data of the session of create\(\) do not fit: (items|items\[1\]|visits): .*\. Nothing was saved\.$/ }, name)
      await t.rejects(async () => { await session.commit(); await write(session); await session.commit() }, unfit, `${name}: again`)
      const stored = await users.load(token)
      t.strictSame(stored?.data(), { items: ['pizza'], visits: 0 }, `${name}: nothing was written`)
      await session.reload()
      session.append('items', 'figs')
      await session.commit()
      t.strictSame((await users.load(session.token))?.data(), { items: ['pizza', 'figs'], visits: 0 }, `${name}: valid data are`)
    }
    await t.rejects(users.create({ data: { items: 'secret' as never } }), { ...unfit, message: 'The data of the session of create() do not fit: items: a list. Nothing was saved.' })
    t.equal((await users.infoAll()).sessions, Object.keys(writes).length)
    await users.endAll()
  }, { clock: false })
})

t.test('a stored session that does not fit: an error, or a fresh session; it stays as it is, and is told once', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const store = connect()
    const events: SessionEvent[] = []
    const listener = (message: unknown): void => { events.push(message as SessionEvent) }
    channels.invalidData.subscribe(listener)
    t.teardown(() => channels.invalidData.unsubscribe(listener))
    const old = tokenSessions({ store })
    const newer = tokenSessions({ store, data: { version: 2, initial } })
    const sessions = { invalid: await old.create({ subject: 'ada', data: { items: ['secret', 5] } }), newer: await newer.create({ subject: 'ada' }) }
    const actions = { look: () => {}, change: (session: TokenSession) => { t.equal(session.subject, undefined); session.set('visits', 1) } }
    for (const [why, { token, id }] of Object.entries(sessions)) {
      const problem = why === 'newer' ? 'they are of version 2, and this app knows version 1.' : 'items[1]: a text.'
      const data = { schema: shop, initial, version: 1, migrate: (data: SessionData) => data as Shop }
      const strict = await appWith(t, { store, data }, actions)
      const visitor = new Visitor(strict.app)
      visitor.cookies.set('session', token)
      for (const path of ['/look', '/change']) {
        t.match((await visitor.get(path)).json(), { ...unfit, message: `The data of the session of GET ${path} do not fit: ${problem} They were left as they are.` })
      }
      t.equal(visitor.token, token)
      t.match(events.splice(0), [{ name: 'session', kind: 'token', route: 'GET /look', error: { why } }, { route: 'GET /change' }])
      const users = tokenSessions({ store, data })
      await t.rejects(users.load(token), unfit)
      await t.rejects(getSession(users, null, () => {}, { token }), unfit)
      events.splice(0)

      const lax = await appWith(t, { store, data: { ...data, onInvalid: 'fresh' } }, actions)
      const fresh = new Visitor(lax.app)
      fresh.cookies.set('session', token)
      t.strictSame((await fresh.get('/look')).json(), { items: [], visits: 0 })
      t.equal(fresh.token, token)
      t.strictSame((await fresh.get('/change')).json(), { items: [], visits: 1 })
      t.not(fresh.token, token)
      t.strictSame((await fresh.get('/look')).json(), { items: [], visits: 1 })
      t.match(lax.log, [{ level: 40, msg: /do not fit/, err: { code: 'FST_SESSION_DATA' }, route: 'GET /look' }], 'it is told once')
      t.equal(events.splice(0).length, 2)
      t.notMatch(JSON.stringify([...strict.log, ...lax.log]), /secret/)
      t.match(await old.info({ id }), { subject: 'ada' }, 'it stays')
    }
    t.strictSame((await old.load(sessions.invalid.token))?.data(), { items: ['secret', 5] })
    t.strictSame((await newer.load(sessions.newer.token))?.data(), { items: [], visits: 0 })
    await old.endAll()
  }, { clock: false })
})

t.test('a store that has failed is no invalid data, and a damaged value is told as ever', async (t) => {
  const inner = memoryStore()
  const store = new SpyStore(inner)
  const { app } = await appWith(t, { store, onStoreError: 'anonymous', data: { schema: shop, initial, onInvalid: 'fresh' } }, { look: () => {}, change: (session) => { session.increment('visits') } })
  const visitor = new Visitor(app)
  await visitor.get('/change')
  store.failing = { error: new Error('down') }
  t.strictSame((await visitor.get('/look')).json(), { items: [], visits: 0 }, 'an anonymous visitor has initial data')
  t.match((await visitor.get('/change')).json(), { code: 'FST_SESSION_STORE_UNAVAILABLE' }, 'they are not kept')
  store.failing = undefined
  t.strictSame((await visitor.get('/look')).json(), { items: [], visits: 1 })
})

t.test('what a schema adds on reading is shown, written with a change of its key alone, and expected to be still so', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const store = connect()
    const raw = tokenSessions({ store })
    const trimmed: DataSchema<SessionData> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          const { name = 'nobody', visits = 5, ...rest } = value as { name?: string, visits?: number }
          return { value: { ...rest, name: name.trim(), visits } }
        },
      },
    }
    const users = tokenSessions({ store, data: { schema: trimmed } })
    const plain = await raw.create({ data: { name: ' Ada ', other: [1], 'neo4j:bookmarks': ['b'] } })
    const stored = async (): Promise<unknown> => (await raw.load(plain.token))?.data()
    const open = async (): Promise<TokenSession> => await users.load(plain.token) as TokenSession
    const session = await open()
    t.strictSame(session.data(), { name: 'Ada', other: [1], 'neo4j:bookmarks': ['b'], visits: 5 }, 'keys of others stay')
    await session.commit()
    t.strictSame(await stored(), { name: ' Ada ', other: [1], 'neo4j:bookmarks': ['b'] }, 'a look writes nothing')
    t.strictSame(await Promise.all([session, await open()].map((each) => each.claim('visits'))), [undefined, undefined], 'nobody claims a default')
    t.equal(session.get('visits'), 5, 'it stays shown')
    session.set('other', 2)
    await session.commit()
    t.strictSame(await stored(), { name: ' Ada ', other: 2, 'neo4j:bookmarks': ['b'] }, 'a change writes its own key')
    const others = await Promise.all([open(), open(), open()])
    for (const other of others) other.increment('visits')
    await Promise.all(others.map((other) => other.commit()))
    t.match(await stored(), { visits: 8 }, 'increments of a default add up')
    const renamers = await Promise.all([open(), open()])
    for (const renamer of renamers) renamer.update('name', (name) => `${name as string}! `)
    await Promise.all(renamers.map((renamer) => renamer.commit()))
    t.match(await stored(), { name: 'Ada!! ' })
    const claimers = await Promise.all([open(), open(), open()])
    const claimed = await Promise.all(claimers.map((claimer) => claimer.claim('name')))
    t.strictSame(claimed.filter((name) => name !== undefined), ['Ada!!'], 'one gets the value, as it is shown')
    const initial = tokenSessions({ store, data: { schema: trimmed, initial: () => ({ name: 'first' }) } })
    const begun = await initial.create()
    const all = await Promise.all([1, 2, 3].map(async () => (await initial.load(begun.token))?.claim('name')))
    t.strictSame(all.filter((name) => name !== undefined), ['first'], 'initial data are claimed once')
    t.equal(await (await initial.load(begun.token))?.claim('name'), undefined, 'and the default in their place not at all')
    await raw.endAll()
  }, { clock: false })
})

interface New extends SessionData { basket: string[], count: number }

const versions = (store: CompleteStore, calls: unknown[] = []): { old: CompleteTokenProvider<SessionData>, now: CompleteTokenProvider<New> } => ({
  old: tokenSessions({ store, ttl: 1000 }),
  now: tokenSessions({
    store,
    ttl: 1000,
    data: {
      version: 2,
      initial: (): New => ({ basket: [], count: 0 }),
      migrate ({ items, ...rest }, version) {
        calls.push(version)
        const list = items as string[]
        return { ...rest, basket: list, count: list.length }
      },
    },
  }),
})

t.test('data of an older version are migrated when they are read, and written with the next change', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const calls: unknown[] = []
    const { old, now } = versions(connect(), calls)
    const { token } = await old.create({ data: { items: ['pizza'], theme: 'dark' } })
    const stored = async (): Promise<unknown> => (await old.load(token))?.data()
    const session = await now.load(token) as TokenSession<New>
    t.strictSame(session.data(), { theme: 'dark', basket: ['pizza'], count: 1 })
    session.touch()
    await session.commit()
    t.strictSame(await stored(), { items: ['pizza'], theme: 'dark' }, 'a use writes no data')
    session.increment('count')
    await session.commit()
    t.strictSame(await stored(), { theme: 'dark', basket: ['pizza'], count: 2 }, 'a change writes all of them')
    session.increment('count')
    await session.commit()
    const again = await now.load(token)
    t.strictSame(again?.data(), { theme: 'dark', basket: ['pizza'], count: 3 })
    t.strictSame(calls, [0], 'they are migrated once')
    again?.regenerate(['basket'])
    await again?.commit()
    t.strictSame((await now.load(again?.token as string))?.data(), { basket: ['pizza'], count: 0 })
    const failing = tokenSessions({ store: connect(), data: { version: 2, migrate: () => { throw new Error('mine') } } })
    const { token: other } = await old.create()
    await t.rejects(failing.load(other), { ...unfit, message: /migrate\(\) of version 0 has failed\.$/, cause: new Error('mine') })
    for (const migrate of [async () => ({}), async () => { throw new Error('mine') }]) {
      const wrong = tokenSessions({ store: connect(), data: { version: 2, migrate } as unknown as DataOptions<SessionData> })
      await t.rejects(wrong.load(other), { ...unfit, message: /migrate\(\) has to return a plain object, and has returned an instance of Promise/ })
    }
    const without = tokenSessions({ store: connect(), data: { version: 7 } })
    t.equal((await without.load(other))?.size, 0, 'without migrate() older data are taken as they are')
    await old.endAll()
  }, { clock: false })
})

t.test('a migration meets other commits: nothing is lost, and it is done once', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const [{ old, now }, { now: other }] = [versions(connect()), versions(connect())]
    const create = async (): Promise<string> => (await old.create({ data: { items: ['pizza'] } })).token
    const load = async (users: CompleteTokenProvider<New>, token: string): Promise<TokenSession<New>> => await users.load(token) as TokenSession<New>

    const both = await create()
    const [one, two] = [await load(now, both), await load(other, both)]
    one.increment('count')
    two.append('basket', 'figs')
    two.increment('count')
    await Promise.all([one.commit(), two.commit()])
    t.strictSame((await load(now, both)).data(), { basket: ['pizza', 'figs'], count: 3 }, 'two that migrate')

    const added = await create()
    const migrating = await load(now, added)
    const late = await old.load(added)
    late?.set('note', 'new').append('items', 'nuts')
    await late?.commit()
    migrating.append('basket', 'figs')
    await migrating.commit()
    t.strictSame((await load(now, added)).data(), { note: 'new', basket: ['pizza', 'nuts', 'figs'], count: 2 }, 'keys that an older process has added are migrated too')

    const cleared = await create()
    const clearing = await load(now, cleared)
    clearing.clear()
    clearing.set('count', 7)
    const racing = await load(other, cleared)
    racing.increment('count')
    await racing.commit()
    await clearing.commit()
    t.strictSame((await load(now, cleared)).data(), { basket: [], count: 7 })

    const claimed = await create()
    const claimers = await Promise.all([load(now, claimed), load(other, claimed), load(now, claimed)])
    const values = await Promise.all(claimers.map((claimer) => claimer.claim('basket')))
    t.strictSame(values.filter((value) => value !== undefined), [['pizza']], 'one claims what was migrated')

    // An older process that knows versions does not write over data of a newer one.
    const overtaken = await create()
    const first = tokenSessions({ store: connect(), data: { version: 1, migrate: (data) => data } })
    const behind = await first.load(overtaken)
    const ahead = await load(now, overtaken)
    ahead.increment('count')
    await ahead.commit()
    behind?.set('items', [])
    await t.rejects(behind?.commit() as Promise<void>, { ...unfit, why: 'newer' })
    t.strictSame((await load(now, overtaken)).data(), { basket: ['pizza'], count: 2 })
    await old.endAll()
  }, { clock: false })
})

t.test('data that have expired, and are outlived by their session, begin anew with the initial ones', async (t) => {
  await inEachPlace(t, async (t, place) => {
    const users = tokenSessions({ store: place.connect(), ttl: 100, deleteSession: false, data: { schema: shop, initial, version: 3, migrate: (data) => data as Shop } })
    const { token, id } = await users.create({ data: { items: ['pizza'] } })
    await place.advance(101_000)
    const [one, two] = await Promise.all([users.load(token), users.load(token)])
    t.strictSame(one?.data(), { items: [], visits: 0 })
    t.equal(one?.isNew, false)
    await one?.commit()
    t.equal((await users.info({ id }))?.keys, 0, 'a look stores nothing')
    one?.increment('visits')
    two?.append('items', 'figs')
    await Promise.all([one?.commit(), two?.commit()])
    t.strictSame((await users.load(token))?.data(), { items: ['figs'], visits: 1 })
    await place.advance(50_000)
    t.strictSame((await users.load(token))?.data(), { items: ['figs'], visits: 1 })
    await place.advance(51_000)
    t.strictSame((await users.load(token))?.data(), { items: [], visits: 0 })
    await users.endAll()
  })
})

t.test('the version is saved and restored with the session', async (t) => {
  const users = tokenSessions({ data: { version: 4, initial } })
  const { token } = await users.create()
  const file = new PassThrough()
  await users.save(file)
  const other = tokenSessions({ data: { version: 4, initial, migrate: () => { throw new Error('not needed') } } })
  t.match(await other.restore(file.end()), { restored: 1 })
  t.strictSame((await other.load(token))?.data(), { items: [], visits: 0 })
})

t.test('changes from outside of requests keep to the rules too', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { old, now } = versions(connect())
    const { token, id } = await old.create({ subject: 'ada', data: { items: ['pizza'] } })
    t.equal(await now.update({ subject: 'ada' }, (session) => { session.append('basket', 'figs') }), 1)
    t.strictSame((await now.load(token))?.data(), { basket: ['pizza', 'figs'], count: 1 })
    const strict = tokenSessions({ store: connect(), data: { schema: shop, version: 2 } })
    await t.rejects(strict.update({ id }, (session) => { session.increment('visits') }), { ...unfit, message: /^The data of the session of update\(\) do not fit: items: a list/ })
    await old.endAll()
  }, { clock: false })
})
