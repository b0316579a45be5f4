import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { cached, memoryStore, redisStore, tokenSessions, type CompleteTokenProvider, type Feed, type FeedListener, type FeedUpdate, type SessionData, type TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { ioredis } from '../support/cache-stage.js'
import { fakeClock } from '../support/clock.js'
import { holdingProxy } from '../support/redis-proxy.js'
import { inEachPlace } from '../support/places.js'
import { Random } from '../support/random.js'
import { startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'
import { freePort } from '../support/servers/free-port.js'
import { SpyStore } from '../support/spy-store.js'
import { TrackedStore } from '../support/tracked-store.js'

type Users = CompleteTokenProvider<SessionData>
type Store = ReturnType<typeof redisStore>

// The timers of feeds do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** What a feed has told, one by one, as `type id`, with the names that the test has given to ids. */
class Told {
  readonly updates: FeedUpdate[] = []
  readonly names = new Map<string, string>()
  feed!: Feed
  #wake = (): void => {}

  readonly listener: FeedListener = (update) => {
    this.updates.push(update)
    this.#wake()
  }

  async next (): Promise<string> {
    for (;;) {
      const update = this.updates.shift()
      if (update !== undefined) return `${update.type}${update.type === 'ended' && update.renewed ? ' (renewed)' : ''} ${this.names.get(update.id) ?? update.id} of ${update.subject ?? 'nobody'}`
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }
}

/** A store with some other methods. */
function over<S extends object> (store: S, methods: Partial<S>): S {
  return new Proxy(store, {
    get (_target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : store, name, store)
      return typeof value === 'function' ? value.bind(store) as unknown : value
    },
  })
}

/** Waits until a count does not grow any more in a turn of the event loop. */
async function steady (count: () => number): Promise<number> {
  let before = -1
  for (; before !== count(); await turn()) before = count()
  return before
}

async function follow (users: Users, subject?: string): Promise<Told> {
  const told = new Told()
  told.feed = subject === undefined ? await users.subscribe(told.listener) : await users.subscribe({ subject }, told.listener)
  return told
}

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, store = place.connect()): Users => {
    const users = tokenSessions({ store })
    t.teardown(async () => {
      await users.endAll().catch(() => {})
      await users.close()
    })
    return users
  }

  await t.test('a feed of the store tells another process what becomes of a session, and no mere use', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const old = await here.create({ subject: 'ada', data: { n: 1 } })
    const told = await follow(there)
    told.names.set(old.id, 'old')
    const steps: Array<[string, (session: TokenSession) => unknown]> = [
      ['changed', (session) => session.set('n', 2)],
      ['changed', (session) => session.delete('n')],
      ['changed', (session) => { session.subject = 'bob' }],
      ['changed', (session) => { session.label = 'Firefox' }],
      ['changed', (session) => { session.expire(77) }],
      ['ended', (session) => session.end()],
    ]
    for (const [type, change] of steps) {
      old.touch()
      await old.commit()
      change(old)
      await old.commit()
      t.equal(await told.next(), `${type} old of ${old.subject ?? 'bob'}`)
    }
    const created = await here.create({ data: { n: 1 } })
    told.names.set(created.id, 'new')
    t.equal(await told.next(), 'created new of nobody')
    await here.end(created.token)
    t.equal(await told.next(), 'ended new of nobody')
    t.strictSame(told.updates, [])
  })

  await t.test('an update has id, subject and type, and no token', async (t) => {
    const users = connect(t)
    const told = await follow(users)
    const session = await users.create({ subject: 'ada' })
    await told.next().then((line) => t.equal(line, `created ${session.id} of ada`))
    session.renew()
    const { id } = session
    await session.commit()
    const lines = [await told.next(), await told.next()].sort()
    t.strictSame(lines, [`created ${session.id} of ada`, `ended (renewed) ${id} of ada`])
    await users.end(session.token)
    const [ended] = [await told.next(), told.updates]
    t.equal(ended, `ended ${session.id} of ada`)
    const first = new Promise<FeedUpdate>((resolve, reject) => { users.subscribe(resolve).then(() => users.create({ subject: 'ada' })).catch(reject) })
    const line = await told.next()
    t.equal(line, `created ${(await first).id} of ada`)
    t.strictSame(Object.keys(await first).sort(), ['id', 'subject', 'type'])
  })

  await t.test('a feed of a subject tells of its sessions alone, also of those that get or lose it', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const [ada, bob, nobody] = [await here.create({ subject: 'ada' }), await here.create({ subject: 'bob' }), await here.create()]
    const told = await follow(there, 'ada')
    for (const [name, { id }] of Object.entries({ ada, bob, nobody })) told.names.set(id, name)
    for (const session of [bob, nobody, ada]) {
      session.set('n', 1)
      await session.commit()
    }
    t.equal(await told.next(), 'changed ada of ada')
    nobody.subject = 'ada'
    await nobody.commit()
    t.equal(await told.next(), 'created nobody of ada')
    bob.subject = 'ada'
    await bob.commit()
    t.equal(await told.next(), 'created bob of ada')
    ada.subject = 'bob'
    await ada.commit()
    t.equal(await told.next(), 'ended ada of ada')
    t.equal(await here.update({ subject: 'ada' }, (session) => { session.set('role', 'cook') }), 2)
    t.strictSame([await told.next(), await told.next()].sort(), ['changed bob of ada', 'changed nobody of ada'])
    await here.endAll({ subject: 'bob' })
    await here.endAll({ subject: 'ada' })
    t.strictSame([await told.next(), await told.next()].sort(), ['ended bob of ada', 'ended nobody of ada'])
    t.strictSame(told.updates, [])
  })

  await t.test('expired: told to each feed of the subject, and by one process of those that follow all', async (t) => {
    const stores = [place.connect(), place.connect()].map((store) => {
      const done = barrier()
      const spied = over(store, {
        async lease (work: string, holder: string, ms: number) {
          const lease = await store.lease(work, holder, ms)
          if (lease === 'done') done.open()
          return lease
        },
      })
      return { spied, done }
    })
    const [here, there] = stores.map(({ spied }) => connect(t, spied)) as [Users, Users]
    const all = [await follow(here), await follow(there)]
    const own = [await follow(here, 'ada'), await follow(there, 'ada')]
    const session = await here.create({ subject: 'ada', ttl: 1 })
    for (const told of [...all, ...own]) told.names.set(session.id, 'it')
    for (const told of [...all, ...own]) t.equal(await told.next(), 'created it of ada')
    for (const told of own) t.equal(await told.next(), 'expired it of ada')
    t.equal(await Promise.race(all.map((told) => told.next())), 'expired it of ada')
    await Promise.race(stores.map(({ done }) => done.opened)) // the other process has learned that it was told
    t.strictSame([...all, ...own].flatMap(({ updates }) => updates), [], 'and no more')
  })

  await t.test('expired: told by another process where the one that was to tell it dies', async (t) => {
    const [store, other] = [place.connect(), place.connect()]
    const [held, died] = [barrier(), barrier()]
    let isDead = false
    const never = new Promise<never>(() => {})
    const dying = over(store, {
      async lease (...args: Parameters<Store['lease']>) {
        if (isDead) return never
        const lease = await store.lease(...args)
        held.open()
        return lease
      },
      finish: async () => never,
    })
    const second = over(other, {
      async lease (...args: Parameters<Store['lease']>) {
        await held.opened
        return other.lease(...args)
      },
    })
    const [here, there] = [connect(t, dying), connect(t, second)]
    await here.subscribe(({ type }) => {
      if (type !== 'expired') return
      isDead = true
      died.open()
      return never // it never tells that it is done
    })
    const told = await follow(there)
    const session = await there.create({ ttl: 1 })
    t.equal(await told.next(), `created ${session.id} of nobody`)
    await died.opened
    t.strictSame(told.updates, [])
    t.equal(await told.next(), `expired ${session.id} of nobody`)
  })

  await t.test('expired: told again where the listener has failed', async (t) => {
    const warnings: string[] = []
    const warned = (warning: Error): void => { warnings.push(warning.message) }
    process.on('warning', warned)
    t.teardown(() => { process.off('warning', warned) })
    const users = connect(t)
    const told = new Told()
    let calls = 0
    await users.subscribe((update) => {
      if (update.type === 'expired' && calls++ === 0) throw new Error('out of pizza')
      return told.listener(update)
    })
    const session = await users.create({ ttl: 1 })
    t.equal(await told.next(), `created ${session.id} of nobody`)
    t.equal(await told.next(), `expired ${session.id} of nobody`)
    t.equal(calls, 2)
    t.ok(warnings.some((message) => message.includes('out of pizza')))
  })

  await t.test('a listener that throws a thing without a text is told of the next update all the same', async (t) => {
    const users = connect(t)
    const told = new Told()
    const feed = await users.subscribe(async (update) => {
      await told.listener(update)
      throw Object.create(null)
    })
    const session = await users.create({ data: { n: 1 } })
    const one = new Told()
    await users.subscribe({ token: session.token }, (update) => {
      one.updates.push({ id: session.id, subject: undefined, type: update.type } as FeedUpdate)
      throw Object.create(null)
    })
    t.equal(await told.next(), `created ${session.id} of nobody`)
    for (const n of [2, 3]) {
      session.set('n', n)
      await session.commit()
      t.equal(await told.next(), `changed ${session.id} of nobody`)
      while (one.updates.length < n - 1) await new Promise(setImmediate)
    }
    await feed.close()
  })

  await t.test('deleteSession: false: the data expire, and the session goes on', async (t) => {
    const users = connect(t)
    const told = await follow(users)
    const session = await users.create({ ttl: 1, deleteSession: false, data: { a: 1 } })
    told.names.set(session.id, 'it')
    t.equal(await told.next(), 'created it of nobody')
    t.equal(await told.next(), 'expired it of nobody')
    const emptied = await users.load(session.token)
    emptied?.set('b', 1)
    await emptied?.commit()
    t.equal(await told.next(), 'changed it of nobody')
    t.equal(await told.next(), 'expired it of nobody')
    await users.end(session.token)
    t.equal(await told.next(), 'ended it of nobody')
  })

  await t.test('a session that slides does not expire before its time', async (t) => {
    const users = connect(t)
    const told = await follow(users, 'ada')
    const session = await users.create({ ttl: 1, subject: 'ada' })
    told.names.set(session.id, 'it')
    t.equal(await told.next(), 'created it of ada')
    await new Promise((resolve) => setTimeout(resolve, 700))
    session.touch()
    await session.commit()
    const slid = Date.now()
    t.equal(await told.next(), 'expired it of ada')
    t.ok(Date.now() - slid >= 950, 'not before the time is up')
  })

  await t.test('who joins later is told of later changes alone; who has closed is told nothing', async (t) => {
    const users = connect(t)
    const first = await follow(users)
    const session = await users.create({ subject: 'ada', data: { n: 0 } })
    await first.next()
    const [second, own, other] = [await follow(users), await follow(users, 'ada'), await follow(users, 'bob')]
    await first.feed.close()
    t.equal(first.feed.closed, true)
    session.set('n', 1)
    await session.commit()
    for (const told of [second, own]) t.equal(await told.next(), `changed ${session.id} of ada`)
    for (const told of [first, other]) t.strictSame(told.updates, [])
    await second.feed.close()
    await users.end(session.token)
    t.equal(await own.next(), `ended ${session.id} of ada`)
    t.strictSame([...second.updates, ...own.updates], [])
    await users.close()
    t.equal(own.feed.closed, true)
  })

  await t.test('changes add up while the listener is at work', async (t) => {
    const users = connect(t)
    const [begun, go] = [barrier(), barrier()]
    const told = new Told()
    await users.subscribe(async (update) => {
      begun.open()
      await go.opened
      return told.listener(update)
    })
    const session = await users.create({ data: { n: 0 } })
    await begun.opened
    for (let n = 1; n <= 50; n++) {
      session.set('n', n)
      await session.commit()
    }
    await users.end(session.token)
    go.open()
    const lines: string[] = []
    while (lines.at(-1)?.startsWith('ended') !== true) lines.push(await told.next())
    t.ok(lines.length <= 3, `${lines.length} updates`)
  })

  await t.test('whatever happens, a table that is made of a feed is that of the store', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const online = new Map<string, string | undefined>()
    const ofAda = new Set<string>()
    const problems: string[] = []
    await there.subscribe(({ type, id, subject }) => {
      if ((type === 'created') === online.has(id)) problems.push(`${type} ${id}`)
      if (type === 'ended' || type === 'expired') online.delete(id)
      else online.set(id, subject)
    })
    await there.subscribe({ subject: 'ada' }, ({ type, id }) => {
      if ((type === 'created') === ofAda.has(id)) problems.push(`ada: ${type} ${id}`)
      if (type === 'ended' || type === 'expired') ofAda.delete(id)
      else ofAda.add(id)
    })
    const random = new Random(7)
    const sessions: TokenSession[] = []
    for (let i = 0; i < 40; i++) {
      await Promise.all(Array.from({ length: 10 }, async () => {
        const users = random.pick([here, there])
        const session = random.onceIn(3) || sessions.length === 0 ? undefined : random.pick(sessions)
        if (session === undefined) {
          sessions.push(await users.create({ subject: random.pick(['ada', 'bob', undefined]) }))
          return
        }
        switch (random.below(5)) {
          case 0: session.set('n', random.below(9)); break
          case 1: session.subject = random.pick(['ada', 'bob', undefined]); break
          case 2: session.renew(); break
          case 3: session.regenerate(); break
          default: session.end()
        }
        await session.commit()
      }).map((work) => work.catch((error: Error & { code?: string }) => {
        if (error.code?.startsWith('FST_SESSION_') !== true) throw error
      })))
    }
    const stored = async (): Promise<Map<string, string | undefined>> => {
      const found = new Map<string, string | undefined>()
      for await (const { id, subject } of here.list()) found.set(id, subject)
      return found
    }
    const expected = await stored()
    const lines = (map: Map<string, string | undefined>): string[] => [...map].map(([id, subject]) => `${id} ${subject}`).sort()
    const end = performance.now() + 20_000
    while (performance.now() < end && String(lines(online)) !== String(lines(expected))) await new Promise(setImmediate)
    t.strictSame(lines(online), lines(expected))
    t.strictSame([...ofAda].sort(), [...expected].filter(([, subject]) => subject === 'ada').map(([id]) => id).sort())
    t.strictSame(problems, [])
    t.ok(expected.size > 20)
  })
}, { clock: false })

t.test('while a listener is at work, few of the changed sessions are remembered; all are looked at later', async (t) => {
  const store = memoryStore()
  const free = barrier()
  let loads = 0
  let tell = (_id: string): void => {}
  const users = tokenSessions({
    store: over(store, {
      track (listener) {
        tell = (id) => { listener.changed(id) }
        return { lag: () => 0, checkAtBoot: async () => {}, stop () {} }
      },
      load (...args) {
        loads++
        return store.load(...args)
      },
    }),
  })
  t.teardown(() => users.close())
  const told = new Set<string>()
  let heard = (): void => {}
  await users.subscribe({ subject: 'ada' }, async ({ id }) => {
    await free.opened
    told.add(id)
    heard()
  })
  const waiting = 1100
  for (let n = 0; n < waiting; n++) tell((await users.create({ subject: 'ada' })).id)
  const looked = await steady(() => loads)
  for (let n = 0; n < 50_000; n++) tell(`a visitor who is gone, number ${n}`)
  const { id } = await users.create({ subject: 'ada' })
  tell(id)
  free.open()
  while (!told.has(id)) await new Promise<void>((resolve) => { heard = resolve })
  t.equal(told.size, waiting + 1)
  t.ok(loads - looked < 15_000, `${loads - looked} sessions were read`)
})

t.test('what a lost connection has kept from a feed is told once it is back', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const proxy = await holdingProxy(t, server.port)
  const admin = ioredis(t, server.url)
  const here = tokenSessions({ store: redisStore(ioredis(t, proxy.url), { timeout: 500 }) })
  const there = tokenSessions({ store: redisStore(admin) })
  t.teardown(async () => { await Promise.all([here.close(), there.close()]) })
  const [changed, ended, expired, kept] = await Promise.all([60, 60, 1, 60].map((ttl) => there.create({ subject: 'ada', ttl, data: { n: 1 } }))) as [TokenSession, TokenSession, TokenSession, TokenSession]
  const [all, own] = [await follow(here), await follow(here, 'ada')]
  proxy.turnTo(await freePort())
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  changed.set('n', 2)
  await changed.commit()
  kept.touch()
  await kept.commit()
  await there.end(ended.token)
  const created = await there.create({ subject: 'ada' })
  while (await there.load(expired.token) !== undefined) await new Promise(setImmediate)
  t.strictSame([...all.updates, ...own.updates], [])
  proxy.turnTo(server.port)
  for (const told of [all, own]) {
    for (const [name, { id }] of Object.entries({ changed, ended, expired, created })) told.names.set(id, name)
    const lines = [await told.next(), await told.next(), await told.next(), await told.next()]
    t.strictSame(lines.sort(), ['changed changed of ada', 'created created of ada', 'ended ended of ada', 'expired expired of ada'])
    t.strictSame(told.updates, [])
  }
})

t.test('feeds of a provider share one connection, which ends with the last of them', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const admin = ioredis(t, server.url)
  const tracking = async (): Promise<number> => (await admin.call('CLIENT', 'LIST') as string).split('\n').filter((line) => / flags=\S*t/.test(line)).length
  const users = tokenSessions({ store: redisStore(ioredis(t, server.url)) })
  t.teardown(() => users.close())
  await users.create()
  t.equal(await tracking(), 0)
  const feeds = [await follow(users), await follow(users, 'ada'), await follow(users, 'bob')]
  t.equal(await tracking(), 1)
  for (const { feed } of feeds) await feed.close()
  while (await tracking() > 0) await new Promise(setImmediate)
  const again = await follow(users)
  const session = await users.create()
  t.equal(await again.next(), `created ${session.id} of nobody`)
})

t.test('a listener that closes its feed at an expiry leaves it to no later feed', async (t) => {
  const tick = fakeClock(t, ['Date'])
  const users = tokenSessions()
  t.teardown(() => users.close())
  const [created, closed] = [barrier(), barrier()]
  const feed: Feed = await users.subscribe(async ({ type }) => {
    if (type !== 'expired') return created.open()
    await feed.close()
    closed.open()
  })
  await users.create({ ttl: 1 })
  await created.opened
  tick(1000)
  await closed.opened
  const told = new Told()
  let failures = 1
  await users.subscribe((update) => {
    told.listener(update)
    if (update.type === 'expired' && failures-- > 0) throw new Error('out of pizza')
  })
  const { id } = await users.create({ ttl: 1 })
  t.equal(await told.next(), `created ${id} of nobody`)
  tick(1000)
  t.equal(await told.next(), `expired ${id} of nobody`)
  await new Promise(setImmediate) // the listener has failed
  tick(6000) // the leases are over
  t.equal(await told.next(), `expired ${id} of nobody`, 'tried again, and nothing before it')
})

t.test('a feed behind a cache', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const [here, there] = [cached(redisStore(ioredis(t, server.url))), redisStore(ioredis(t, server.url))].map((store) => tokenSessions({ store })) as [Users, Users]
  t.teardown(async () => { await Promise.all([here.close(), there.close()]) })
  const told = await follow(here)
  const session = await there.create({ data: { n: 1 } })
  t.equal(await told.next(), `created ${session.id} of nobody`)
  for (const users of [here, there]) {
    await users.update(session.token, (session) => { session.increment('n') })
    t.equal(await told.next(), `changed ${session.id} of nobody`)
  }
})

t.test('a change that cannot be read is told once it can', async (t) => {
  const store = memoryStore()
  const failed = barrier()
  let isDown = false
  const users = tokenSessions({
    store: over(store, {
      load (id, look) {
        if (isDown && look === true) {
          failed.open()
          throw new Error('down')
        }
        return store.load(id, look)
      },
    }),
  })
  t.teardown(() => users.close())
  const session = await users.create({ data: { n: 1 } })
  const told = await follow(users)
  isDown = true
  session.set('n', 2)
  await session.commit()
  await failed.opened
  isDown = false
  t.equal(await told.next(), `changed ${session.id} of nobody`)
})

t.test('a store that cannot serve a feed, or is away, is told', async (t) => {
  const fail = () => t.fail('nothing is told')
  const spied = tokenSessions({ store: new SpyStore(memoryStore()) }) as unknown as Users
  t.teardown(() => spied.close())
  await t.rejects(spied.subscribe(fail), { code: 'FST_SESSION_STORE_LACKS', message: /^subscribe\(\) needs a store that can list/ })
  await t.rejects(spied.subscribe({ subject: 'ada' }, fail), { code: 'FST_SESSION_STORE_LACKS' })
  const store = Object.assign(new TrackedStore(), { idsOf: async function * () {} })
  store.lag = Infinity
  const away = tokenSessions({ store }) as unknown as Users
  t.teardown(() => away.close())
  await t.rejects(away.subscribe({ subject: 'ada' }, fail), { code: 'FST_SESSION_STORE_UNAVAILABLE' })
  t.equal(store.isStopped, true)
  const later = away.subscribe({ subject: 'ada' }, () => {})
  await new Promise(setImmediate)
  store.lag = 0
  t.equal((await later).closed, false, 'one that connects a moment later')
  const users = tokenSessions()
  t.teardown(() => users.close())
  await t.rejects(users.subscribe({ subject: undefined } as never, fail), { code: 'FST_SESSION_OPTION' })
  await t.rejects(users.subscribe({ subject: 'ada' }, undefined as never), { code: 'FST_SESSION_OPTION', message: /the listener must be a function/ })
  await t.rejects(users.subscribe({ subject: 'ada', name: 'x' } as never, fail), { code: 'FST_SESSION_OPTION' })
})

t.test('a session whose time is up has expired, also where the clock was set back meanwhile or the machine has slept', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const [day, running] = [Date.now, performance.now.bind(performance)]
  const putBack = (): void => { Object.assign(Date, { now: day }); Object.assign(performance, { now: running }) }
  t.teardown(putBack)
  const moved: Record<string, () => void> = {
    'set back': () => { Date.now = () => day() - 2000 },
    asleep: () => { performance.now = () => running() - 2000 },
  }
  for (const [name, move] of Object.entries(moved)) {
    const users = tokenSessions({ store: redisStore(ioredis(t, server.url)), ttl: 1 })
    t.teardown(() => users.close())
    const [all, one] = [await follow(users), new Told()]
    const { id, token } = await users.create()
    await users.subscribe({ token }, ({ type }) => { one.listener({ type, id, subject: undefined } as FeedUpdate) })
    t.equal(await all.next(), `created ${id} of nobody`)
    move()
    t.strictSame(await Promise.all([all.next(), one.next()]), [`expired ${id} of nobody`, `expired ${id} of nobody`], name)
    putBack()
  }
})
