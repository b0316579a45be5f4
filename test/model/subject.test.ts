import t from 'tap'
import { tokenSessions, type SessionInfo, type SessionFilter } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { roundedUp } from '../support/rounded-up.js'

await inEachPlace(t, async (t, place) => {
  const connect = () => tokenSessions({ store: place.connect(), secret: 'the secret of an app that delivers pizza', ttl: 100 })
  const users = connect()

  async function listed (filter?: SessionFilter): Promise<SessionInfo[]> {
    const all: SessionInfo[] = []
    for await (const info of users.list(filter)) all.push(info)
    return all
  }

  const names = async (filter?: SessionFilter) => (await listed(filter)).map(({ name }) => name).sort()

  await t.test('list: every session once, over many pages and all nodes, as info() tells of it', async (t) => {
    const tokens = await Promise.all(Array.from({ length: 1500 }, async (_, n) => (await users.create({ name: `n${n}`, data: { n } })).token))
    const all = await listed()
    t.same(all.map(({ name }) => name).sort(), tokens.map((_, n) => `n${n}`).sort())
    t.equal(new Set(all.map(({ id }) => id)).size, 1500)
    t.same(roundedUp(all.find(({ name }) => name === 'n77')), roundedUp(await users.info(tokens[77] as string)))
    t.notOk(all.some((info) => JSON.stringify(info).includes(tokens[0] as string)))
    t.equal(await users.endAll(), 1500)
    t.same(await listed(), [])
  })

  await t.test('list: by name, shared or not; by subject; by both', async (t) => {
    await Promise.all([
      users.create({ name: 'a', subject: 'ada' }), users.create({ name: 'a' }), users.create({ name: 'a', shared: true }),
      users.create({ name: 'b', subject: 'ada' }), users.create({ name: 'b', subject: 'bob' }), users.create(),
    ])
    t.same(await names({ name: 'a' }), ['a', 'a', 'a'])
    t.same(await names({ subject: 'ada' }), ['a', 'b'])
    t.same(await names({ subject: 'ada', name: 'b' }), ['b'])
    t.same(await names({ subject: 'cid' }), [])
    t.equal(await users.endAll({ subject: 'ada' }), 2)
    t.same(await names({ subject: 'ada' }), [])
    t.same(await names({ subject: 'bob' }), ['b'])
    t.equal(await users.endAll(), 4)
  })

  await t.test('a session belongs to whom it was given at commit, and to nobody else', async (t) => {
    const session = await users.create({ name: 's' })
    session.subject = 'ada'
    t.equal(session.subject, 'ada')
    t.same(await names({ subject: 'ada' }), [], 'not before the commit')
    await session.commit()
    t.same(await names({ subject: 'ada' }), ['s'])
    const other = await connect().load(session.token)
    t.equal(other?.subject, 'ada')
    if (other !== undefined) other.subject = 'bob'
    await other?.commit()
    t.same([await names({ subject: 'ada' }), await names({ subject: 'bob' })], [[], ['s']])
    session.subject = undefined
    await session.commit()
    t.same([await names({ subject: 'ada' }), await names({ subject: 'bob' })], [[], []])
    t.equal((await users.info(session.token))?.subject, undefined)
    session.subject = 'ada'
    session.set('n', 1)
    await session.commit()
    t.same(await names({ subject: 'ada' }), ['s'])
    await session.reload()
    t.match(session, { subject: 'ada', size: 1 })
    for (const bad of ['', 'x'.repeat(257), 7, null]) t.throws(() => { session.subject = bad as string }, { code: 'FST_SESSION_NAME' })
    await users.endAll()
  })

  await t.test('a renewed session is named once, under its new id', async (t) => {
    const session = await users.create({ name: 's', subject: 'ada' })
    const { id } = (await listed({ subject: 'ada' }))[0] as SessionInfo
    session.renew()
    await session.commit()
    const after = await listed({ subject: 'ada' })
    t.equal(after.length, 1)
    t.not(after[0]?.id, id)
    const fresh = await users.create({ name: 'login' })
    fresh.renew()
    fresh.subject = 'ada'
    await fresh.commit()
    t.same(await names({ subject: 'ada' }), ['login', 's'])
    await users.endAll()
  })

  await t.test('"log out everywhere", "log out the others"', async (t) => {
    const sessions = await Promise.all(Array.from({ length: 5 }, () => users.create({ subject: 'ada' })))
    const bob = await users.create({ subject: 'bob' })
    const [here, there] = sessions as [typeof bob, typeof bob]
    t.equal(await users.endAll({ subject: 'ada', except: here }), 4)
    t.equal(await users.load(there.token), undefined)
    there.set('late', 1)
    await t.rejects(there.commit(), { code: 'FST_SESSION_GONE' })
    here.renew()
    t.equal(await users.endAll({ subject: 'ada', except: here }), 0, 'also while it waits for a new token')
    await here.commit()
    t.equal(await users.endAll({ subject: 'ada', except: here.token }), 0)
    t.equal(await users.endAll({ subject: 'ada' }), 1)
    t.equal(await users.load(here.token), undefined)
    t.ok(await users.load(bob.token))
    t.equal(await users.endAll({ subject: 'ada' }), 0)
    await users.endAll()
  })

  await t.test('"log out the others" leaves a session alone that is renewed while they are listed', async (t) => {
    const store = place.connect()
    const [here] = [await users.create({ subject: 'ada' }), await users.create({ subject: 'ada' })]
    const { token } = here
    async function * renewedBefore (subject: string): AsyncGenerator<readonly string[], undefined> {
      here.renew()
      await here.commit()
      yield * store.idsOf(subject)
    }
    const renewing = new Proxy(store, {
      get (_target, name) {
        const value: unknown = Reflect.get(store, name, store)
        return name === 'idsOf' ? renewedBefore : typeof value === 'function' ? value.bind(store) as unknown : value
      },
    })
    t.equal(await tokenSessions({ store: renewing }).endAll({ subject: 'ada', except: token }), 1)
    t.ok(await users.load(here.token))
    await users.endAll()
  })

  await t.test('a filter whose value is missing does not mean all sessions', async (t) => {
    const session = await users.create()
    const nobody: { id?: string } = {}
    await t.rejects(users.endAll({ subject: nobody.id as string }), { code: 'FST_SESSION_OPTION' })
    t.throws(() => users.list({ subject: nobody.id as string }), { code: 'FST_SESSION_OPTION' })
    await t.rejects(users.endAll({ subject: '' }), { code: 'FST_SESSION_NAME' })
    await t.rejects(users.endAll({ user: 'ada' } as never), { code: 'FST_SESSION_OPTION' })
    t.ok(await users.load(session.token))
    await users.endAll()
  })

  await t.test('the index expires with its sessions, slides with them, and never names a dead one', async (t) => {
    const busy = await users.create({ name: 'busy', subject: 'ada' })
    await users.create({ name: 'idle', subject: 'ada' })
    await users.create({ name: 'kept', subject: 'ada', deleteSession: false, data: { n: 1 } })
    await users.create({ name: 'never', subject: 'ada', ttl: null })
    for (let i = 0; i < 12; i++) {
      await place.advance(90_000)
      busy.touch()
      await busy.commit()
      t.same(await names({ subject: 'ada' }), i === 0 ? ['busy', 'idle', 'kept', 'never'] : ['busy', 'kept', 'never'])
    }
    busy.expire(1_000_000)
    await busy.commit()
    await place.advance(900_000_000)
    t.same(await names({ subject: 'ada' }), ['busy', 'kept', 'never'])
    await place.advance(200_000_000)
    t.same(await names({ subject: 'ada' }), ['kept', 'never'])
    await users.endAll()
    const keys = (await Promise.all(place.nodes().map((node) => node.keys(`${place.prefix}*`)))).flat()
    t.same(keys, [], 'nothing is left, but for what expires by itself')
  })

  await t.test('the index goes with the last of its sessions', async (t) => {
    await users.create({ name: 'one', subject: 'ada' })
    await users.create({ name: 'two', subject: 'ada', ttl: 500 })
    await place.advance(2_000_000)
    const keys = (await Promise.all(place.nodes().map((node) => node.keys(`${place.prefix}*`)))).flat()
    t.same(keys, [])
    t.same(await listed({ subject: 'ada' }), [])
  })
})
