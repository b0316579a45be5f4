import { once } from 'node:events'
import { request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { assertNoOpenSessions, memoryStore, tokenSessions, type CompleteStore, type TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor, type TokenApp } from '../support/token-app.js'

type Work = (session: TokenSession) => unknown

interface Stage extends TokenApp {
  readonly users: ReturnType<typeof usersOf>
  /** The token of a session with `user` "ada" and `n` 1. */
  readonly token: string
  /** Does this work in a request that comes with this token; `before`: the session is loaded then. */
  work (token: string, work: Work, before?: () => Promise<unknown>): ReturnType<Visitor['get']>
}

const usersOf = (store: CompleteStore) => tokenSessions({ store })

async function stage (t: Test, store: CompleteStore): Promise<Stage> {
  const works = new Map<string, { work: Work, before: (() => Promise<unknown>) | undefined }>()
  const { app, log } = await tokenApp(t, { store }, (app) => {
    app.get('/:work', async (request) => {
      const { work, before } = works.get(request.url.slice(1)) as { work: Work, before: (() => Promise<unknown>) | undefined }
      const session = await request.session
      await before?.()
      return { answer: await work(session) ?? null }
    })
  })
  const users = usersOf(store)
  const { token } = await users.create({ data: { user: 'ada', n: 1 } })
  return {
    app,
    log,
    users,
    token,
    work: (token, work, before) => {
      const url = `/${works.size}`
      works.set(url.slice(1), { work, before })
      return app.inject({ url, headers: { cookie: `session=${token}` } })
    },
  }
}

/** The token of the cookie that a reply sets. */
function tokenIn (reply: Awaited<ReturnType<Visitor['get']>>): string {
  return reply.cookies[0]?.value ?? ''
}

const logIn: Work = (session) => { session.renew(); session.set('login', true) }

t.test('a request that had loaded the session before its renewal goes on with it, and sets no cookie', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, token, users } = await stage(t, connect())
    const works: Record<string, Work> = {
      increment: (session) => session.increment('n'),
      set: (session) => { session.set('set', 1) },
      append: (session) => { session.append('list', 'a') },
      update: (session) => session.update('n', (n) => Number(n) + 1),
      delete: (session) => session.delete('user'),
      clear: (session) => { session.clear() },
      expire: (session) => { session.expire(5000) },
      subject: (session) => { session.subject = 'ada' },
      claim: (session) => session.claim('n'),
      'claim twice': async (session) => [await session.claim('n'), await session.claim('n')],
      'commit, then more': async (session) => { session.increment('n'); await session.commit(); session.increment('n') },
      reload: async (session) => { await session.reload(); return session.get('login') },
    }
    const expected: Record<string, object> = {
      increment: { n: 2 },
      set: { set: 1 },
      append: { list: ['a'] },
      update: { n: 2 },
      delete: { user: undefined },
      clear: { user: undefined, login: undefined },
      expire: { login: true },
      subject: { login: true },
      claim: { n: undefined },
      'claim twice': { n: undefined },
      'commit, then more': { n: 3 },
      reload: { login: true },
    }
    await Promise.all(Object.entries(works).map(async ([name, change]) => {
      const { token } = await users.create({ data: { user: 'ada', n: 1 } })
      let renewed = token
      const reply = await work(token, change, async () => {
        for (let i = 0; i < 2; i++) renewed = tokenIn(await work(renewed, logIn))
      })
      t.match([reply.statusCode, setCookies(reply)], [200, []], name)
      const session = await users.load(renewed)
      t.match(session?.data(), expected[name] as object, name)
      if (name === 'expire') t.equal(session?.ttl, 5000)
      if (name === 'subject') t.equal(session?.subject, 'ada')
      if (name === 'reload') t.equal(reply.json().answer, true)
    }))
    const other = await users.create({ data: { user: 'ada', n: 1 } })
    const again = await work(other.token, async (session) => {
      session.increment('n')
      await session.commit()
      session.renew()
    }, () => work(other.token, logIn))
    t.strictSame((await users.load(tokenIn(again)))?.data(), { user: 'ada', n: 2, login: true }, 'its own renewal sets a cookie')
    const read = await work(token, (session) => session.get('user'), () => work(token, logIn))
    t.match([read.statusCode, read.json(), setCookies(read)], [200, { answer: 'ada' }, []], 'a mere use')
  }, { clock: false })
})

t.test('end() of a request that had loaded the session before ends what became of it', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    for (const change of [logIn, (session) => { session.regenerate(['user']) }] satisfies Work[]) {
      const { token } = await users.create({ data: { user: 'ada' } })
      let renewed = token
      const reply = await work(token, (session) => { session.end() }, async () => {
        for (let i = 0; i < 2; i++) renewed = tokenIn(await work(renewed, change))
      })
      t.equal(reply.statusCode, 200)
      t.match(setCookies(reply), [/^session=; Max-Age=0/])
      t.equal(await users.load(renewed), undefined)
    }
  }, { clock: false })
})

t.test('the old token lets nobody in: its session is empty, unsaved and without a cookie, and work on it is refused', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users, token } = await stage(t, connect())
    const renewed = tokenIn(await work(token, logIn))
    const look = await work(token, (session) => [session.get('user') ?? null, session.size, session.ended])
    t.match([look.statusCode, look.json(), setCookies(look)], [200, { answer: [null, 0, false] }, []])
    const works: Record<string, Work> = {
      set: (session) => { session.set('a', 1) },
      increment: (session) => session.increment('n'),
      end: (session) => { session.end() },
      renew: (session) => { session.renew() },
      expire: (session) => { session.expire(1) },
      claim: (session) => session.claim('n'),
      reload: (session) => session.reload(),
    }
    for (const [name, change] of Object.entries(works)) {
      const reply = await work(token, change)
      t.match([reply.statusCode, reply.json().code, setCookies(reply)], [409, 'FST_SESSION_RENEWED', []], name)
    }
    t.equal(await users.load(token), undefined)
    t.strictSame(await users.exists(token), { count: 0, tokens: [] })
    t.equal(await users.info(token), undefined)
    t.equal((await users.load(renewed))?.get('user'), 'ada')
    const sessions = []
    for await (const info of users.list()) sessions.push(info)
    t.equal(sessions.length, 1, 'what was given up is not listed')
    const login = await work(token, (session) => { session.regenerate(['user']); session.set('user', 'bob') })
    t.equal(login.statusCode, 200)
    t.strictSame((await users.load(tokenIn(login)))?.data(), { user: 'bob' }, 'a login by regenerate() needs nothing of the old session')
  }, { clock: false })
})

t.test('two renewals at once, as by a double click: both are logged in', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    for (const how of ['renew', 'regenerate'] as const) {
      const { token } = await users.create({ data: { user: 'ada', n: 1 }, ttl: 77, subject: 'ada' })
      const loaded = barrier()
      let waiting = 0
      const change = (name: string): Work => (session) => {
        if (how === 'renew') session.renew()
        else session.regenerate(['n'])
        session.set('login', name)
        session.increment('n')
      }
      const replies = await Promise.all(['first', 'second'].map((name) => work(token, change(name), async () => {
        if (++waiting === 2) loaded.open()
        await loaded.opened
      })))
      t.strictSame(replies.map(({ statusCode }) => statusCode), [200, 200], how)
      const sessions = await Promise.all(replies.map((reply) => users.load(tokenIn(reply))))
      t.strictSame(sessions.map((session) => session?.data()), ['first', 'second'].map((login) => ({ ...how === 'renew' && { user: 'ada' }, n: 2, login })))
      t.strictSame(sessions.map((session) => [session?.ttl, session?.subject]), how === 'renew' ? [[77, 'ada'], [77, 'ada']] : [[1800, undefined], [1800, undefined]])
    }
  }, { clock: false })
})

t.test('renew() of a session that has ended meanwhile is refused, regenerate() is not', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    for (const [call, status] of [['renew', 409], ['regenerate', 200]] as const) {
      const { token } = await users.create({ data: { user: 'ada' } })
      const reply = await work(token, (session) => { session[call](); session.set('user', 'bob') }, () => users.end(token))
      t.equal(reply.statusCode, status, call)
      if (status === 200) t.strictSame((await users.load(tokenIn(reply)))?.data(), { user: 'bob' })
      else t.equal(reply.json().code, 'FST_SESSION_GONE')
    }
  }, { clock: false })
})

t.test('renew() of a session that was renewed meanwhile, and ended or regenerated after that, is refused: its data do not come back', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    const sessions = async (): Promise<number> => (await users.infoAll()).sessions
    const ends: Array<[code: string, left: number, renewals: number, end: Work]> = [0, 1, 2].flatMap((renewals) => [
      ['FST_SESSION_GONE', 0, renewals, (session) => { session.end() }],
      ['FST_SESSION_RENEWED', 1, renewals, (session) => { session.regenerate() }],
    ])
    for (const [code, left, renewals, end] of ends) {
      const { token } = await users.create({ data: { user: 'ada' } })
      const before = await sessions() - 1
      const reply = await work(token, (session) => { session.renew(); session.set('late', true) }, async () => {
        let renewed = token
        for (let i = 0; i < renewals; i++) renewed = tokenIn(await work(renewed, logIn))
        await work(renewed, end)
      })
      t.match([reply.statusCode, reply.json().code, setCookies(reply)], [409, code, []], `${code} after ${renewals} renewals`)
      t.equal(await sessions(), before + left)
    }
  }, { clock: false })
})

t.test('a second renewal with clear(): its session keeps what was set afterwards', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users, token } = await stage(t, connect())
    const reply = await work(token, async (session) => {
      session.renew()
      session.clear()
      session.set('a', 1)
      await session.commit()
      session.set('b', 2)
    }, () => work(token, logIn))
    t.equal(reply.statusCode, 200)
    t.strictSame((await users.load(tokenIn(reply)))?.data(), { a: 1, b: 2 })
  }, { clock: false })
})

t.test('regenerate: a new session with only the named keys; ttl, subject and the clock of maxAge begin anew', async (t) => {
  await inEachPlace(t, async (t, { connect, advance }) => {
    const { work, users } = await stage(t, connect())
    for (const deleteSession of [true, false]) {
      const { token } = await users.create({ data: { basket: ['pizza'], user: 'ada', n: 1 }, ttl: 50, maxAge: 3, subject: 'ada', name: 'a name', deleteSession })
      await advance(2000)
      const reply = await work(token, (session) => {
        session.regenerate(['basket', 'absent'])
        session.append('basket', 'figs')
        return [session.isNew, session.token !== token, session.ttl, session.subject ?? null, session.name ?? null, session.size]
      })
      t.strictSame(reply.json(), { answer: [true, true, 1800, null, null, 1] })
      await advance(2000)
      const session = await users.load(tokenIn(reply))
      t.strictSame(session?.data(), { basket: ['pizza', 'figs'] })
      t.strictSame([session?.ttl, session?.subject, session?.name], [1800, undefined, undefined])
      t.equal(Date.now() - (session?.createdAt.getTime() ?? 0), 2000)
      t.equal(await users.load(token), undefined)
      t.equal((await users.list({ subject: 'ada' }).next()).done, true)
      const late = await work(token, (session) => session.get('user'))
      t.match([late.json(), setCookies(late)], [{ answer: null }, []])
      await users.end(tokenIn(reply))
    }
  })
})

t.test('regenerate: a kept value that JSON does not keep is refused, and the old session stays', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    const { token } = await users.create({ data: { basket: { item: 'pizza' }, n: 1 } })
    const reply = await work(token, (session) => {
      (session.get('basket') as Record<string, unknown>)['at'] = new Date()
      t.throws(() => session.regenerate(['n', 'basket']), { code: 'FST_SESSION_VALUE', message: /'basket' cannot be stored: at is an instance of Date/ })
      t.equal(session.token, token)
      session.delete('basket')
      session.increment('n')
    })
    t.match([reply.statusCode, setCookies(reply)], [200, []])
    t.strictSame((await users.load(token))?.data(), { n: 2 })
    const refused = await work(token, (session) => {
      session.set('basket', { item: 'figs' });
      (session.get('basket') as Record<string, unknown>)['at'] = NaN
      session.regenerate(['basket'])
    })
    t.match([refused.statusCode, setCookies(refused)], [500, []])
    t.strictSame((await users.load(token))?.data(), { n: 2 })
    await users.endAll()
  })
})

t.test('regenerate: changes by a request that had loaded the old session are refused, reading is not', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    const works: Record<string, Work> = {
      set: (session) => { session.set('user', 'mallory') },
      increment: (session) => session.increment('n'),
      claim: (session) => session.claim('n'),
      reload: (session) => session.reload(),
      expire: (session) => { session.expire(1) },
    }
    for (const [name, change] of Object.entries(works)) {
      const { token } = await users.create({ data: { user: 'ada', n: 1 } })
      let login = ''
      const reply = await work(token, change, async () => { login = tokenIn(await work(token, (session) => { session.regenerate(['user', 'n']) })) })
      t.match([reply.statusCode, reply.json().code, setCookies(reply)], [409, 'FST_SESSION_RENEWED', []], name)
      t.strictSame((await users.load(login))?.data(), { user: 'ada', n: 1 }, name)
    }
    const { token } = await users.create({ data: { user: 'ada' } })
    const read = await work(token, (session) => session.get('user'), () => work(token, (session) => { session.regenerate() }))
    t.match([read.statusCode, read.json(), setCookies(read)], [200, { answer: 'ada' }, []])
  }, { clock: false })
})

t.test('regenerate: beside the other calls of one request', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const { work, users } = await stage(t, connect())
    const works: Record<string, [Work, object | undefined]> = {
      twice: [(session) => { session.regenerate(['a', 'b']); session.set('c', 3); session.regenerate(['b', 'c']) }, { b: 2, c: 3 }],
      'after a change': [(session) => { session.set('a', 9); session.increment('b'); session.regenerate(['a', 'b']) }, { a: 9, b: 3 }],
      'with nothing kept': [(session) => { session.regenerate() }, {}],
      'with a message, for a logout': [(session) => { session.regenerate(); session.set('flash', 'Bye') }, { flash: 'Bye' }],
      'after a commit': [async (session) => { session.set('a', 9); await session.commit(); session.regenerate(['a']) }, { a: 9 }],
      'after renew()': [(session) => { session.renew(); session.regenerate(['a']) }, { a: 1 }],
      'before renew()': [(session) => { session.regenerate(['a']); session.renew() }, { a: 1 }],
      'then committed and changed': [async (session) => { session.regenerate(['a']); await session.commit(); session.increment('a') }, { a: 2 }],
      'during a commit': [(session) => { session.set('a', 9); session.commit().catch(() => {}); session.regenerate(['a']); session.set('d', 4) }, { a: 9, d: 4 }],
      'during a commit that renews': [(session) => { session.renew(); session.set('a', 9); session.commit().catch(() => {}); session.regenerate(['a']) }, { a: 9 }],
      'during a commit that regenerates': [(session) => { session.regenerate(['a', 'b']); session.commit().catch(() => {}); session.regenerate(['b']) }, { b: 2 }],
      'then end()': [(session) => { session.regenerate(['a']); session.end() }, undefined],
    }
    for (const [name, [change, expected]] of Object.entries(works)) {
      const { token } = await users.create({ data: { a: 1, b: 2 } })
      const reply = await work(token, change)
      t.equal(reply.statusCode, 200, name)
      t.equal(reply.cookies.length, 1, name)
      t.strictSame((await users.load(tokenIn(reply)))?.data(), expected, name)
      t.equal(await users.load(token), undefined, name)
      t.equal((await users.infoAll()).sessions, expected === undefined ? 1 : 2, `${name}: nothing else is left`)
      await users.end(tokenIn(reply))
    }
    const reply = await work('', (session) => { session.set('a', 1); session.commit().catch(() => {}); session.regenerate(['a']); session.set('b', 2) })
    t.strictSame((await users.load(tokenIn(reply)))?.data(), { a: 1, b: 2 }, 'during the commit of a new session')
    t.equal((await users.infoAll()).sessions, 2)
  }, { clock: false })
})

t.test('regenerate: the keys are a list, and a shared session keeps its token', async (t) => {
  const users = tokenSessions({ secret: 'x'.repeat(32) })
  const session = await users.create()
  t.throws(() => { session.regenerate('a' as never) }, { code: 'FST_SESSION_OPTION', message: /keep must be a list of keys; got a string/ })
  const shared = await users.create({ name: 'shared', shared: true })
  t.throws(() => { shared.regenerate() }, { code: 'FST_SESSION_SHARED_TOKEN' })
})

t.test('an id that was given up leads on for a minute', async (t) => {
  await inEachPlace(t, async (t, { connect, advance }) => {
    const { work, users, token } = await stage(t, connect())
    await work(token, logIn)
    await advance(59_000)
    t.equal((await work(token, (session) => { session.set('a', 1) })).statusCode, 409)
    await advance(1001)
    const reply = await work(token, (session) => { session.set('a', 1) })
    t.equal(reply.statusCode, 200)
    t.not(tokenIn(reply), token, 'a token is never adopted')
    t.equal((await users.infoAll()).sessions, 2)
  })
})

t.test('endAll: a session that is renewed after it was listed is ended; what an exception was renewed to is kept', async (t) => {
  await inEachPlace(t, async (t, { connect }) => {
    const inner = connect()
    let between: (() => Promise<unknown>) | undefined
    const store = new Proxy(inner, {
      get (target, name) {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        return name !== 'end'
          ? value.bind(target) as unknown
          : async (...args: unknown[]) => { const run = between; between = undefined; await run?.(); return Reflect.apply(value, target, args) as unknown }
      },
    })
    const [users, elsewhere] = [usersOf(store), usersOf(inner)]
    for (const [change, ended] of [[(session) => { session.renew() }, 1], [(session) => { session.regenerate(['a']); session.subject = 'ada' }, 1],
      [(session) => { session.regenerate(['a']); session.subject = 'bob' }, 0]] satisfies Array<[Work, number]>) {
      const session = await elsewhere.create({ subject: 'ada', data: { a: 1 } })
      between = async () => { change(session as TokenSession); await session.commit() }
      t.equal(await users.endAll({ subject: 'ada' }), ended)
      t.equal(await elsewhere.load(session.token) === undefined, ended === 1)
      await elsewhere.endAll()
    }
    const { token } = await elsewhere.create({ subject: 'ada' })
    const [mine, other] = [await elsewhere.load(token), await elsewhere.load(token)]
    await elsewhere.create({ subject: 'ada' })
    other?.renew()
    await other?.commit()
    t.equal(await users.endAll({ subject: 'ada', except: mine as TokenSession }), 1)
    t.ok(await elsewhere.load(other?.token ?? ''))
  }, { clock: false })
})

t.test('a client that cannot learn of a new token: nothing of that commit is kept', async (t) => {
  const changes: Record<string, Work> = {
    renew: (session) => { session.renew(); session.set('login', true) },
    regenerate: (session) => { session.regenerate(); session.set('login', true) },
  }
  for (const [name, change] of Object.entries(changes)) {
    for (const isNew of [false, true]) {
      const entered = barrier()
      const store = memoryStore()
      const users = usersOf(store)
      const { app, log } = await tokenApp(t, { store }, (app) => {
        app.get('/login', async (request, reply) => {
          change(await request.session)
          const left = once(reply.raw, 'close')
          entered.open()
          await left
          return 'nobody reads this'
        })
      })
      const { token } = await users.create({ data: { user: 'ada' } })
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      const client = send({ port, host: '127.0.0.1', path: '/login', headers: isNew ? {} : { cookie: `session=${token}` } }).on('error', () => {})
      client.end()
      await entered.opened
      client.destroy()
      await assertNoOpenSessions(app)
      t.strictSame((await users.load(token))?.data(), { user: 'ada' }, `${name}, ${isNew ? 'a new session' : 'a stored one'}`)
      t.equal((await users.infoAll()).sessions, 1)
      t.match(log, [{ level: 40, msg: /cannot receive the session's new token/ }])
    }
  }
})

t.test('after hijack() a new token is refused at the call, and no session is made for nobody', async (t) => {
  const store = new SpyStore(memoryStore())
  const refused: Array<string | undefined> = []
  const { app, log } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request, reply) => {
      const session = await request.session
      reply.hijack()
      for (const call of ['renew', 'regenerate'] as const) {
        try { session[call]() } catch (error) { refused.push((error as { code?: string }).code) }
      }
      session.set('a', 1)
      reply.raw.end('bye')
    })
  })
  await app.inject('/')
  await assertNoOpenSessions(app)
  t.strictSame(refused, ['FST_SESSION_CLOSED', 'FST_SESSION_CLOSED'])
  t.strictSame(store.take(), [])
  t.match(log, [{ level: 40, msg: /cannot receive the session's new token/ }])
})
