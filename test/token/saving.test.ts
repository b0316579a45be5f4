import t from 'tap'
import { getSession, memoryStore, tokenSessions, type TokenProvider, type TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { SpyStore } from '../support/spy-store.js'

type Provider = TokenProvider<Record<string, unknown>>
interface Stage { store: SpyStore, provider: Provider, token: string }

/** A saved session, and a spy on what is written to it. */
async function stage (data: Record<string, unknown> = { a: 1, b: { c: [1] }, n: 1 }): Promise<Stage> {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store })
  const token = await getSession(provider, null, async (session) => {
    for (const [key, value] of Object.entries(data)) session.set(key, value)
    await session.commit()
    return session.token
  })
  store.take()
  return { store, provider, token }
}

/** What one request that does this writes. */
async function written (use: (session: TokenSession, stage: Stage) => void | Promise<void>): Promise<Array<Record<string, unknown>>> {
  const set = await stage()
  await getSession(set.provider, null, (session) => use(session, set), { token: set.token })
  return set.store.takeChanges()
}

async function dataOf ({ provider, token }: Stage): Promise<Record<string, unknown>> {
  return getSession(provider, null, (session) => session.data(), { token })
}

t.test('only what changed is written', async (t) => {
  const cases: Array<[string, (session: TokenSession) => void, Array<Record<string, unknown>>]> = [
    ['nothing', () => {}, []],
    ['reads', (session) => { session.get('b'); session.data(); session.has('a') }, []],
    ['set', (session) => { session.set('a', 2) }, [{ set: { a: '2' } }]],
    ['set of a new key', (session) => { session.set('new', 'x') }, [{ set: { new: '"x"' } }]],
    ['set, twice', (session) => { session.set('a', 2); session.set('a', 3) }, [{ set: { a: '3' } }]],
    ['delete', (session) => { session.delete('a') }, [{ remove: ['a'] }]],
    ['delete of what is not there', (session) => { session.delete('new') }, []],
    ['set and delete of what was not there', (session) => { session.set('new', 1); session.delete('new') }, []],
    ['delete and set', (session) => { session.delete('a'); session.set('a', 5) }, [{ set: { a: '5' } }]],
    ['take', (session) => { session.take('a') }, [{ expect: { a: '1' }, remove: ['a'] }]],
    ['clear', (session) => { session.clear() }, [{ clear: true }]],
    ['clear and set', (session) => { session.clear(); session.set('a', 1) }, [{ clear: true, set: { a: '1' } }]],
    ['increment', (session) => { session.increment('n'); session.increment('n', 5) }, [{ increment: { n: 6 } }]],
    ['increment after set', (session) => { session.set('n', 5); session.increment('n') }, [{ set: { n: '6' } }]],
    ['increment after clear', (session) => { session.clear(); session.increment('n') }, [{ clear: true, increment: { n: 1 } }]],
    ['update', (session) => { session.update('n', (n) => Number(n) * 2) }, [{ expect: { n: '1' }, set: { n: '2' } }]],
    ['update to nothing', (session) => { session.update('n', () => undefined) }, [{ expect: { n: '1' }, remove: ['n'] }]],
    ['increment and update', (session) => { session.increment('n'); session.update('n', (n) => Number(n) * 2); session.increment('n') },
      [{ expect: { n: '1' }, set: { n: '5' } }]],
    ['update after set', (session) => { session.set('n', 4); session.update('n', (n) => Number(n) * 2) }, [{ set: { n: '8' } }]],
    ['update after clear', (session) => { session.clear(); session.update('n', (n) => n ?? 'none') }, [{ clear: true, set: { n: '"none"' } }]],
    ['in place', (session) => { (session.get('b') as { c: number[] }).c.push(2) }, [{ set: { b: '{"c":[1,2]}' } }]],
    ['in place, and update', (session) => {
      (session.get('b') as { c: number[] }).c.push(2)
      session.update('b', (b) => ({ ...b as object, d: 1 }))
    }, [{ set: { b: '{"c":[1,2],"d":1}' } }]],
    ['in place and back', (session) => { const { c } = session.get('b') as { c: number[] }; c.push(2); c.pop() }, []],
    ['in place, after a set', (session) => { const a = [1]; session.set('a', a); a.push(2) }, [{ set: { a: '[1,2]' } }]],
    ['undefined', (session) => { session.set('a', undefined) }, [{ remove: ['a'] }]],
  ]
  for (const [name, use, changes] of cases) t.strictSame(await written(use), changes, name)
})

t.test('add of a key that is absent expects it to be so', async (t) => {
  const changes = await written((session) => {
    t.equal(session.add('a', 2), false)
    t.equal(session.add('new', 2), true)
    t.equal(session.add('new', 3), false)
  })
  t.strictSame(changes, [{ expect: { new: undefined }, set: { new: '2' } }])
})

t.test('add: what another request has added first stays, null too', async (t) => {
  for (const theirs of [7, null, false, '']) {
    const set = await stage()
    await getSession(set.provider, null, async (session) => {
      t.equal(session.add('new', 'mine'), true)
      await getSession(set.provider, null, (session) => { session.set('new', theirs) }, { token: set.token })
    }, { token: set.token })
    t.strictSame((await dataOf(set))['new'], theirs)
  }
})

t.test('update: applied anew to what another request has written meanwhile, with all that came after it', async (t) => {
  const set = await stage({ n: 1 })
  const seen: unknown[] = []
  await getSession(set.provider, null, async (session) => {
    session.update('n', (n) => { seen.push(n); return Number(n) * 10 })
    session.increment('n', 5)
    await getSession(set.provider, null, (session) => { session.set('n', 2) }, { token: set.token })
    await session.commit()
    t.equal(session.get('n'), 25)
  }, { token: set.token })
  t.strictSame(seen, [1, 2])
  t.strictSame(await dataOf(set), { n: 25 })
})

t.test('update: may find the key deleted, or itself delete it', async (t) => {
  const set = await stage({ n: 1 })
  await getSession(set.provider, null, async (session) => {
    session.update('n', (n) => n === undefined ? 'was gone' : undefined)
    await getSession(set.provider, null, (session) => { session.delete('n') }, { token: set.token })
  }, { token: set.token })
  t.strictSame(await dataOf(set), { n: 'was gone' })
})

t.test('update: one that is beaten each time gives up with a named error, and nothing is written', async (t) => {
  const set = await stage({ n: 0, other: 1 })
  const { commit } = set.store
  let beaten = 0
  set.store.commit = (id, change) => {
    if (change.expect.size > 0) return { status: 'conflict', current: new Map([['n', String(++beaten)]]) }
    return commit(id, change)
  }
  await t.rejects(getSession(set.provider, null, (session) => {
    session.set('other', 2)
    session.update('n', (n) => Number(n) + 1)
  }, { token: set.token }), { code: 'FST_SESSION_UPDATE_CONFLICT', statusCode: 503, message: /'n'/ })
  t.ok(beaten > 100)
  t.strictSame(await dataOf(set), { n: 0, other: 1 })
})

t.test('a text that another writer has laid out otherwise is no change', async (t) => {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store })
  const token = await getSession(provider, null, async (session) => { session.set('a', 1); await session.commit(); return session.token })
  const id = store.calls[0]?.args[0] as string
  await store.commit(id, {
    expect: new Map(),
    clear: false,
    set: new Map([['a', '{ "b" : [1, 2.0] }']]),
    remove: [],
    increment: new Map(),
    expiresAt: undefined,
    ttl: undefined,
    subject: undefined,
    generation: undefined,
  })
  store.take()
  await getSession(provider, null, (session) => { t.strictSame(session.get('a'), { b: [1, 2] }) }, { token })
  t.strictSame(store.take(), ['load'])
  await getSession(provider, null, (session) => { (session.get('a') as { b: number[] }).b.push(3) }, { token })
  t.strictSame(store.takeChanges(), [{ set: { a: '{"b":[1,2,3]}' } }])
})

t.test('commit(): what was saved is not saved again, and what comes after it is', async (t) => {
  const set = await stage()
  await getSession(set.provider, null, async (session) => {
    session.increment('n')
    session.set('a', [1])
    await session.commit()
    t.strictSame(set.store.takeChanges(), [{ set: { a: '[1]' }, increment: { n: 1 } }])
    await session.commit()
    t.strictSame(set.store.takeChanges(), [])
    ;(session.get('a') as number[]).push(2)
    session.increment('n')
  }, { token: set.token })
  t.strictSame(set.store.takeChanges(), [{ set: { a: '[1,2]' }, increment: { n: 1 } }])
  t.match(await dataOf(set), { a: [1, 2], n: 3 })
})

t.test('commit() of a new session makes it; what comes after is a change of it', async (t) => {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store })
  await getSession(provider, null, async (session) => {
    session.increment('n')
    session.add('list', [1])
    t.equal(session.isNew, true)
    const { token } = session
    await session.commit()
    t.equal(session.isNew, false)
    t.equal(session.token, token)
    session.increment('n')
    ;(session.get('list') as number[]).push(2)
  })
  t.strictSame(store.calls.map(({ method }) => method), ['create', 'commit'])
  t.strictSame(store.takeChanges(), [{ set: { list: '[1,2]' }, increment: { n: 1 } }])
})

/** Does something while a save is under way, and gives what the session has in the end. */
async function meanwhile (before: (session: TokenSession) => void, during: (session: TokenSession, stage: Stage) => void | Promise<void>): Promise<Record<string, unknown>> {
  const set = await stage({ n: 1, a: 'a' })
  await getSession(set.provider, null, async (session) => {
    before(session)
    const [reached, go] = [barrier(), barrier()]
    set.store.before = () => { set.store.before = undefined; reached.open(); return go.opened }
    const saving = session.commit()
    await reached.opened
    await during(session, set)
    go.open()
    await saving
  }, { token: set.token })
  return dataOf(set)
}

const theirs = (use: (session: TokenSession) => void) => ({ provider, token }: Stage): Promise<void> => getSession(provider, null, use, { token })

t.test('what is done while a save is under way is saved after it, and nothing twice', async (t) => {
  const increments = theirs((session) => { session.increment('n', 100) })
  t.strictSame(await meanwhile((s) => { s.increment('n') }, (s) => { s.increment('n', 10) }), { n: 12, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.increment('n') }, (s) => { s.update('n', (n) => Number(n) * 10) }), { n: 20, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.increment('n') }, async (s, set) => {
    s.update('n', (n) => Number(n) * 10)
    await increments(set)
  }), { n: 1020, a: 'a' }, 'an update of a sum to which others have added')
  t.strictSame(await meanwhile((s) => { s.increment('n') }, async (s, set) => {
    await increments(set)
    t.equal(s.increment('n', 10), 12)
  }), { n: 112, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.update('n', (n) => Number(n) * 10) }, (s) => { s.update('n', (n) => Number(n) + 1); s.increment('n') }), { n: 12, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.update('n', (n) => Number(n) * 10) }, async (s, set) => {
    await increments(set)
    s.update('n', (n) => Number(n) + 1)
  }), { n: 1011, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.set('a', 'b') }, (s) => { s.set('a', 'c') }), { n: 1, a: 'c' })
  t.strictSame(await meanwhile((s) => { s.set('a', 'b') }, (s) => { s.delete('a') }), { n: 1 })
  t.strictSame(await meanwhile((s) => { s.set('new', 'b') }, (s) => { s.delete('new') }), { n: 1, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.delete('a') }, (s) => { s.set('a', 'again') }), { n: 1, a: 'again' })
  t.strictSame(await meanwhile((s) => { s.set('a', ['b']) }, (s) => { (s.get('a') as string[]).push('c') }), { n: 1, a: ['b', 'c'] })
  t.strictSame(await meanwhile((s) => { s.set('a', 'b') }, (s) => { s.clear() }), {})
  t.strictSame(await meanwhile((s) => { s.clear() }, (s) => { s.set('a', 'b') }), { a: 'b' })
  t.strictSame(await meanwhile((s) => { s.clear(); s.set('x', 1) }, (s) => { s.clear(); s.set('y', 2) }), { y: 2 })
  t.strictSame(await meanwhile((s) => { s.increment('n') }, (s) => { s.set('n', 50) }), { n: 50, a: 'a' })
  t.strictSame(await meanwhile((s) => { s.set('n', 50) }, (s) => { s.increment('n') }), { n: 51, a: 'a' })
})

t.test('a new session that is cleared while it is made is empty in the end', async (t) => {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store })
  const go = barrier()
  store.before = () => { store.before = undefined; return go.opened }
  const token = await getSession(provider, null, async (session) => {
    session.set('a', 1)
    const saving = session.commit()
    session.clear()
    session.set('b', 2)
    go.open()
    await saving
    return session.token
  })
  await getSession(provider, null, (session) => { t.strictSame(session.data(), { b: 2 }) }, { token })
})

t.test('reload: drops what was changed and reads anew; waits for a save that is under way', async (t) => {
  const set = await stage({ n: 1 })
  await getSession(set.provider, null, async (session) => {
    session.set('n', 5)
    session.expire(7)
    session.renew()
    await theirs((session) => { session.set('theirs', true) })(set)
    await session.reload()
    t.strictSame(session.data(), { n: 1, theirs: true })
    t.equal(session.ttl, 1800)
    t.equal(session.token, set.token)
    const go = barrier()
    set.store.before = () => { set.store.before = undefined; return go.opened }
    session.increment('n')
    const saving = session.commit()
    const reloading = session.reload()
    go.open()
    await Promise.all([saving, reloading])
    t.equal(session.get('n'), 2)
  }, { token: set.token })
  t.strictSame(await dataOf(set), { n: 2, theirs: true })
})

t.test('reload of a new session drops what was changed', async (t) => {
  const store = new SpyStore(memoryStore())
  await getSession(tokenSessions({ store }), null, async (session) => {
    session.set('a', 1)
    await session.reload()
    t.equal(session.size, 0)
  })
  t.strictSame(store.take(), [])
})
