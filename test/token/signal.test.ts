import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, {
  errors, tokenSessions, type CompleteStore, type CompleteTokenProvider, type CompleteTokenSessionOptions, type SessionStore, type TokenSession,
} from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { exchange } from '../support/lifecycle/client.js'
import { inEachPlace, type Place } from '../support/places.js'
import { scaled } from '../support/scale.js'

import { SpyStore } from '../support/spy-store.js'

type Users = CompleteTokenProvider<{ user?: string, n?: number }>
type Session = TokenSession<{ user?: string, n?: number }>

// The timers of signals do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** Waits for the abort, and tells the reason. */
async function why ({ signal }: { signal: AbortSignal }): Promise<string> {
  if (!signal.aborted) await once(signal, 'abort')
  const reason: unknown = signal.reason
  if (!(reason instanceof errors.SessionOverError)) throw new Error('the reason is of another kind')
  return reason.why
}

/** Counts the watches of a store that are not stopped; `begun` counts all, also those that failed. */
function countingWatches (inner: CompleteStore) {
  const count = { begun: 0, open: 0 }
  const store = overriding(inner, {
    async watch (...args: Parameters<CompleteStore['watch']>) {
      count.begun++
      const watch = await inner.watch(...args)
      if (watch === undefined) return undefined
      count.open++
      let isOpen = true
      return { look: () => watch.look(), stop: () => { if (isOpen) count.open--; isOpen = false; return watch.stop() } }
    },
  })
  return { store, count }
}

/** A store with some methods of its own; the others are called on `inner`: they use private members. */
function overriding (inner: CompleteStore, methods: Partial<CompleteStore>): CompleteStore {
  return new Proxy(inner, {
    get (_inner, name) {
      const value: unknown = Reflect.get(Object.hasOwn(methods, name) ? methods : inner, name, inner)
      return typeof value === 'function' ? Reflect.get(value, 'bind').call(value, inner) : value
    },
  })
}

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, options: CompleteTokenSessionOptions = {}): Users => {
    const users = tokenSessions<{ user?: string, n?: number }>({ store: place.connect(), ...options })
    t.teardown(() => users.close())
    return users
  }

  /** A session that is stored, as this process sees it, and the one of another process. */
  async function twice (t: Test, options: CompleteTokenSessionOptions = {}): Promise<{ here: Users, there: Users, mine: Session, theirs: Session }> {
    const [here, there] = [connect(t, options), connect(t, options)]
    const theirs = await there.create({ subject: 'ada', data: { user: 'ada' } })
    return { here, there, mine: (await here.load(theirs.token))!, theirs }
  }

  const refusals = (session: Session): Record<string, () => unknown> => ({
    set: () => session.set('n', 1),
    increment: () => session.increment('n'),
    subject: () => { session.subject = 'eve' },
    renew: () => session.renew(),
    end: () => session.end(),
    reload: () => session.reload(),
    claim: () => session.claim('user'),
  })

  async function assertOver (t: Test, session: Session, code: string): Promise<void> {
    t.strictSame([session.get('user'), session.has('user'), session.size, session.data(), session.subject, session.freshAt], [undefined, false, 0, {}, undefined, undefined])
    for (const [name, refused] of Object.entries(refusals(session))) await t.rejects(async () => refused(), { code }, name)
    await session.commit()
  }

  await t.test('ended in another process, by each way of ending', async (t) => {
    for (const end of [
      async (users: Users, { token }: Session) => users.end({ token }),
      async (users: Users) => users.endAll({ subject: 'ada' }),
      async (_users: Users, session: Session) => { session.end(); await session.commit() },
    ]) {
      const { there, mine, theirs } = await twice(t)
      t.equal(mine.signal, mine.signal)
      t.equal(mine.signal.aborted, false)
      await Promise.all([why(mine), end(there, theirs)])
      t.match(mine.signal.reason, { code: 'FST_SESSION_OVER', statusCode: 401, why: 'ended', message: /was ended/ })
      t.equal(mine.ended, true)
      await assertOver(t, mine, 'FST_SESSION_GONE')
    }
  })

  await t.test('expired', async (t) => {
    for (const deleteSession of [true, false]) {
      const { mine } = await twice(t, { ttl: 1, deleteSession })
      t.equal(await why(mine), 'expired')
      await assertOver(t, mine, 'FST_SESSION_GONE')
    }
  })

  await t.test('renewed by another request, or regenerated', async (t) => {
    for (const renew of [(session: Session) => session.renew(), (session: Session) => session.regenerate()]) {
      const { mine, theirs } = await twice(t)
      const over = why(mine)
      renew(theirs)
      theirs.set('n', 1)
      await theirs.commit()
      t.equal(await over, 'renewed')
      t.equal(mine.ended, false)
      await assertOver(t, mine, 'FST_SESSION_RENEWED')
    }
  })

  await t.test('a session that was over before anybody followed it', async (t) => {
    const { here, theirs } = await twice(t)
    const [ended, renewed, empty] = [await here.create(), (await here.load(theirs.token))!, await here.create()]
    await here.end(ended.token)
    t.equal(await why(ended), 'ended')
    theirs.renew()
    await theirs.commit()
    t.equal(await why(renewed), 'renewed')
    empty.end()
    t.equal(empty.signal.aborted, true)
    t.equal(await why(empty), 'ended')
  })

  await t.test('work that waits for the commit is not lost in silence; regenerate() needs nothing of the old session', async (t) => {
    const { there, mine, theirs } = await twice(t)
    const over = why(mine)
    mine.set('n', 1)
    await there.end(theirs.token)
    await over
    await t.rejects(mine.commit(), { code: 'FST_SESSION_GONE' })
    await t.rejects(mine.commit(), { code: 'FST_SESSION_GONE' }, 'and again')
    mine.regenerate()
    mine.set('user', 'ada')
    await mine.commit()
    t.equal((await there.load(mine.token))?.get('user'), 'ada')
  })

  await t.test('a session that is renewed, regenerated or saved by its own user is followed on', async (t) => {
    const { there, mine } = await twice(t)
    const { signal } = mine
    for (const renew of [() => mine.renew(), () => mine.regenerate(['user']), () => mine.renew(), () => mine.regenerate(['user'])]) {
      renew()
      mine.set('n', 1)
      await mine.commit()
      t.strictSame([mine.get('user'), signal.aborted], ['ada', false])
    }
    await Promise.all([why(mine), there.end(mine.token)])
    t.equal(mine.signal, signal)
  })

  await t.test('a store that is away when it is asked why the session is gone is asked again', async (t) => {
    const inner = place.connect()
    let failures = 1
    const store = overriding(inner, {
      load: async (...args: Parameters<CompleteStore['load']>) => {
        if (args[1] === true && failures-- > 0) throw new errors.StoreUnavailableError('away')
        return inner.load(...args)
      },
    })
    const users = connect(t, { store })
    const session = await users.create()
    const over = why(session)
    await connect(t).end(session.token)
    t.equal(await over, 'ended')
    t.ok(failures < 0)
  })

  await t.test('work that is being committed when the end is told is not lost in silence either', async (t) => {
    const inner = place.connect()
    const [asked, answered, refused] = [barrier(), barrier(), barrier()]
    const store = overriding(inner, {
      load: async (...args: Parameters<CompleteStore['load']>) => {
        if (args[1] === true) {
          asked.open()
          await answered.opened
        }
        return inner.load(...args)
      },
      commit: async (...args: Parameters<CompleteStore['commit']>) => {
        const result = await inner.commit(...args)
        await refused.opened
        return result
      },
    })
    const users = connect(t, { store })
    const session = await users.create()
    const over = why(session)
    await connect(t).end(session.token)
    await asked.opened
    const commit = session.set('n', 1).commit()
    answered.open()
    for (let i = 0; i < 20; i++) await turn()
    refused.open()
    await t.rejects(commit, { code: 'FST_SESSION_GONE' })
    t.equal(await over, 'ended')
  })

  await t.test('a key that is being claimed when a renewal is told is refused as any other work', async (t) => {
    const inner = place.connect()
    const [begun, go] = [barrier(), barrier()]
    const store = overriding(inner, {
      commit: async (...args: Parameters<CompleteStore['commit']>) => {
        begun.open()
        await go.opened
        return inner.commit(...args)
      },
    })
    const users = connect(t, { store })
    const session = await users.create({ data: { user: 'ada' } })
    const over = why(session)
    const other = (await connect(t).load(session.token))!
    const claimed = session.claim('user')
    await begun.opened
    other.renew()
    await other.commit()
    t.equal(await over, 'renewed')
    go.open()
    await t.rejects(claimed, { code: 'FST_SESSION_RENEWED' })
    t.equal((await connect(t).load(other.token))?.get('user'), 'ada')
  })

  await t.test('in requests: a new session is followed once it is stored; it costs nothing until it is asked for, and is released with the reply', async (t) => {
    const { store, count } = countingWatches(place.connect())
    const there = connect(t)
    const users = tokenSessions<{ user?: string, n?: number }>({ store })
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { provider: users })
    const signals: AbortSignal[] = []
    app.get('/plain', async (request) => { ((await request.session) as Session).increment('n') })
    app.get('/new', async (request) => {
      const session = (await request.session) as Session
      signals.push(session.signal)
      session.set('user', 'ada')
      await session.commit()
      await there.end(session.token)
      return why(session)
    })
    app.get('/used', async (request) => {
      const session = (await request.session) as Session
      signals.push(session.signal)
      return { user: session.get('user') }
    })
    await app.inject('/plain')
    const { token } = await users.create({ data: { user: 'ada' } })
    await app.inject({ url: '/plain', cookies: { session: token } })
    t.strictSame(count, { begun: 0, open: 0 })
    t.equal((await app.inject('/new')).body, 'ended')
    t.strictSame((await app.inject({ url: '/used', cookies: { session: token } })).json(), { user: 'ada' })
    await there.end(token)
    while (count.open > 0) await turn()
    t.strictSame(signals.map(({ aborted }) => aborted), [true, false], 'what was released is not told')
  })

  await t.test('first asked for after the end of the request', async (t) => {
    const users = connect(t)
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { provider: users })
    const kept: Session[] = []
    app.get('/', async (request) => { kept.push((await request.session) as Session) })
    await exchange(await app.listen({ port: 0, host: '127.0.0.1' })).received
    t.throws(() => kept[0]?.signal, { code: 'FST_SESSION_CLOSED' })
  })

  await t.test('released by releaseSignal(), and when the provider closes', async (t) => {
    const { store, count } = countingWatches(place.connect())
    const users = tokenSessions<{ user?: string, n?: number }>({ store })
    const there = connect(t)
    const [released, followed] = [await users.create(), await users.create()]
    const { signal } = released
    const other = followed.signal
    while (count.open < 2) await turn()
    released.releaseSignal()
    while (count.open > 1) await turn()
    await there.end(released.token)
    t.not(released.signal, signal)
    t.equal(await why(released), 'ended', 'another look follows anew')
    t.equal(signal.aborted, false)
    released.releaseSignal()
    await users.close()
    t.equal(count.open, 0)
    await there.end(followed.token)
    t.equal(other.aborted, false)
  })

  await t.test('a thousand sessions come and go, and nothing is left', async (t) => {
    const { store, count } = countingWatches(place.connect())
    const users = tokenSessions<{ user?: string, n?: number }>({ store, ttl: 3600 })
    t.teardown(() => users.close())
    const sessions = await Promise.all(Array.from({ length: 1000 }, () => users.create({ subject: 'crowd' })))
    const over = sessions.slice(0, 500).map(why)
    for (const { signal } of sessions) signal.addEventListener('abort', () => {})
    while (count.open < 1000) await turn()
    for (const session of sessions.slice(500)) session.releaseSignal()
    await users.endAll({ subject: 'crowd' })
    t.strictSame(new Set(await Promise.all(over)), new Set(['ended']))
    while (count.open > 0) await turn()
    t.equal(await channelsOf(place), 0)
  })

  await t.test('a store that cannot watch', async (t) => {
    const users = tokenSessions({ store: new SpyStore(place.connect()) as SessionStore })
    t.teardown(() => users.close())
    const session = await users.create()
    t.throws(() => session.signal, { code: 'FST_SESSION_STORE_LACKS' })
  })

  if (place.name === 'memory') return
  await t.test('a lost feed: an end that was missed is noticed, a session that lives is not taken for ended', async (t) => {
    const { there, mine, theirs } = await twice(t)
    const lives = (await connect(t).load((await there.create()).token))!
    const { signal } = lives
    const over = why(mine)
    while (await channelsOf(place) < 2) await turn()
    for (const node of place.nodes()) await node.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await there.end(theirs.token)
    t.equal(await over, 'ended')
    t.equal(signal.aborted, false)
    const [later] = await Promise.all([why(lives), there.end(lives.token)])
    t.equal(later, 'ended')
  })

  await t.test('a store that is away when the signal is asked for is asked again', async (t) => {
    const inner = place.connect()
    let isAway = true
    const store = overriding(inner, {
      watch: async (...args: Parameters<CompleteStore['watch']>) => {
        if (isAway) throw new errors.StoreUnavailableError('away')
        return inner.watch(...args)
      },
    })
    const users = tokenSessions({ store })
    t.teardown(() => users.close())
    const session = await users.create()
    const warned = once(process, 'warning')
    const over = why(session)
    t.match((await warned)[0], { message: /the end of a session cannot be followed/ })
    await connect(t).end(session.token)
    isAway = false
    t.equal(await over, 'ended')
  })

  await t.test('very many signals have one connection', async (t) => {
    const many = scaled(500, 10_000)
    const users = connect(t)
    const clients = async (): Promise<number> => {
      const lists = await Promise.all(place.nodes().map((node) => node.client('LIST') as Promise<string>))
      return lists.join('').split('\n').filter((line) => / sub=[1-9]/.test(line) && / psub=0/.test(line)).length
    }
    const before = await clients()
    const sessions: Session[] = []
    for (let i = 0; i < many; i += 500) sessions.push(...await Promise.all(Array.from({ length: 500 }, () => users.create({ subject: 'crowd' }))))
    const over = sessions.map(why)
    while (await channelsOf(place) < many) await turn()
    t.equal(await clients() - before, 1)
    t.equal(await connect(t).endAll({ subject: 'crowd' }), many)
    t.strictSame(new Set(await Promise.all(over)), new Set(['ended']))
    while (await channelsOf(place) > 0) await turn()
  })
}, { clock: false })

/** The number of channels of the place's sessions that somebody listens to. */
async function channelsOf ({ nodes, prefix }: Place): Promise<number> {
  const channels = await Promise.all(nodes().map((node) => node.pubsub('CHANNELS', `${prefix}*`) as Promise<string[]>))
  return channels.flat().length
}
