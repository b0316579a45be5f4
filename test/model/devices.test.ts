import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, {
  tokenSessions, type CompleteStore, type CompleteTokenProvider, type CompleteTokenSessionOptions, type SessionData, type SessionInfo, type TokenSession,
} from '../../lib/index.js'
import { recordOf } from '../support/records.js'
import { inEachPlace } from '../support/places.js'
import { Visitor } from '../support/token-app.js'

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, options: CompleteTokenSessionOptions = {}): CompleteTokenProvider<SessionData> => {
    const users = tokenSessions({ store: place.connect(), ttl: 1000, ...options })
    t.teardown(async () => { await users.endAll(); await users.close() })
    return users
  }

  async function devicesOf (users: CompleteTokenProvider<SessionData>, subject: string): Promise<SessionInfo[]> {
    const all: SessionInfo[] = []
    for await (const info of users.list({ subject })) all.push(info)
    return all.sort((a, b) => Number(b.lastUsedAt) - Number(a.lastUsedAt))
  }

  await t.test('a page of devices: this one, last seen, log out that one, log out the others', async (t) => {
    const users = connect(t)
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(requestSession, { provider: users })
    app.get('/login', async (request) => {
      const session = await request.session
      session.regenerate()
      session.subject = 'ada'
      session.label = request.headers['user-agent']
      return { id: session.id }
    })
    app.get('/devices', async (request) => {
      const session = await request.session
      return (await devicesOf(users, 'ada')).map(({ id, label, lastUsedAt }) => ({ label, isThis: id === session.id, lastUsedAt: Number(lastUsedAt) }))
    })
    app.get<{ Params: { id: string } }>('/end/:id', async (request) => {
      const { subject = '' } = await request.session
      return { ended: await users.end({ id: request.params.id, subject }) }
    })
    app.get('/end-others', async (request) => {
      const session = await request.session
      return { ended: await users.endAll({ subject: session.subject ?? '', except: session as TokenSession }) }
    })
    const [phone, laptop, tablet] = [new Visitor(app), new Visitor(app), new Visitor(app)]
    const ids: string[] = []
    for (const [visitor, label] of [[phone, 'phone'], [laptop, 'laptop'], [tablet, 'tablet']] as const) {
      ids.push((await visitor.get('/login', { 'user-agent': label })).json().id)
      await place.advance(1000)
    }
    const now = Date.now()
    t.strictSame((await laptop.get('/devices')).json(), [
      { label: 'tablet', isThis: false, lastUsedAt: now - 1000 }, { label: 'laptop', isThis: true, lastUsedAt: now - 2000 }, { label: 'phone', isThis: false, lastUsedAt: now - 3000 },
    ])
    const bob = await users.create({ subject: 'bob', label: 'of Bob' })
    t.strictSame((await laptop.get(`/end/${bob.id}`)).json(), { ended: false })
    t.strictSame((await laptop.get(`/end/${ids[0]}`)).json(), { ended: true })
    t.strictSame((await laptop.get('/end-others')).json(), { ended: 1 })
    t.strictSame((await laptop.get('/devices')).json().length, 1)
    t.ok(await users.load(bob.token))
  })

  await t.test('id: what list() says, through all steps of a session', async (t) => {
    const users = connect(t)
    const listed = async (): Promise<string[]> => (await devicesOf(users, 'ada')).map(({ id }) => id)
    const session = await users.create({ subject: 'ada' })
    t.strictSame(await listed(), [session.id])
    session.renew()
    t.strictSame(await listed(), [session.id], 'the old one until the commit')
    await session.commit()
    t.strictSame(await listed(), [session.id])
    session.regenerate()
    session.subject = 'ada'
    const { id } = session
    await session.commit()
    t.strictSame([session.id, ...await listed()], [id, id])
    t.equal((await users.info({ id }))?.id, (await users.info(session.token))?.id)
  })

  await t.test('label: it is checked, and stays through renewals, saving and restoring', async (t) => {
    const users = connect(t)
    const session = await users.create({ subject: 'ada', label: 'Firefox on Linux' })
    const label = async (): Promise<unknown[]> => [(await users.load(session.token))?.label, (await users.info(session.token))?.label, (await devicesOf(users, 'ada'))[0]?.label]
    const everywhere = (label: string | undefined): unknown[] => [label, label, label]
    t.strictSame(await label(), everywhere('Firefox on Linux'))
    session.label = 'Ada\'s 🦊'
    t.equal(session.label, 'Ada\'s 🦊')
    t.strictSame(await label(), everywhere('Firefox on Linux'), 'not before the commit')
    session.renew()
    await session.commit()
    t.strictSame(await label(), everywhere('Ada\'s 🦊'))
    const file = new PassThrough()
    await users.save(file)
    const lines = await text(file.end())
    await users.endAll()
    await users.restore(Readable.from([Buffer.from(lines)]))
    t.strictSame(await label(), everywhere('Ada\'s 🦊'))
    session.label = undefined
    await session.commit()
    t.strictSame(await label(), everywhere(undefined))
    for (const bad of ['', 'x'.repeat(257), '\ud800', 7, null]) {
      t.throws(() => { session.label = bad as string }, { code: 'FST_SESSION_NAME', statusCode: 400 })
      await t.rejects(users.create({ label: bad as string }), { code: 'FST_SESSION_NAME' })
    }
    session.label = 'x'
    await session.reload()
    t.equal(session.label, undefined)
    session.label = 'before'
    session.regenerate()
    await session.commit()
    t.equal(session.label, undefined, 'a new session has none')
    session.end()
    t.throws(() => { session.label = 'late' }, { code: 'FST_SESSION_ENDED' })
  })

  await t.test('a label alone makes a session, and a lost one is told', async (t) => {
    const users = connect(t)
    const session = await users.create()
    const gone = (await users.load(session.token))!
    await users.end(session.token)
    gone.label = 'late'
    await t.rejects(gone.commit(), { code: 'FST_SESSION_GONE' })
  })

  await t.test('lastUsedAt: as exact as a tenth of the idle time, also where maxAge holds the expiry', async (t) => {
    for (const [options, step] of [[{ ttl: 1000 }, 100], [{ ttl: 1000, maxAge: 1200 }, 100], [{ ttl: 1000, maxAge: 1000 }, 100], [{ ttl: null }, 86_400]] as const) {
      const users = connect(t, options)
      const { token } = await users.create()
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(requestSession, { provider: users })
      app.get('/', async (request) => ({ seen: (await request.session).lastUsedAt }))
      const use = async (): Promise<number> => Number(new Date((await app.inject({ url: '/', cookies: { session: token } })).json().seen))
      const began = Date.now()
      const stored = async (): Promise<number> => Number((await users.info(token))?.lastUsedAt)
      for (let used = 0; used < 5; used++) {
        await place.advance(step * 900)
        t.equal(await use(), await stored(), 'a use before the step writes nothing')
        await place.advance(step * 100 + 1)
        const before = await stored()
        t.equal(await use(), before, 'the session tells the use before')
        t.equal(await stored(), Date.now())
      }
      t.ok(Date.now() - began >= step * 5000)
    }
  })

  await t.test('end of a subject\'s session: atomic, whatever happens to the session meanwhile', async (t) => {
    const inner = place.connect()
    let before = async (): Promise<void> => {}
    const store = new Proxy(inner, {
      get (_target, name) {
        const value = Reflect.get(inner, name, inner) as unknown
        if (name === 'end') return async (...args: Parameters<CompleteStore['end']>) => { await before(); return inner.end(...args) }
        return typeof value === 'function' ? Reflect.get(value, 'bind').call(value, inner) as unknown : value
      },
    })
    const users = tokenSessions({ store, ttl: 1000 })
    const others = connect(t)
    for (const end of [(id: string) => users.end({ id, subject: 'ada' }), async () => await users.endAll({ subject: 'ada' }) > 0]) {
      const given = await others.create({ subject: 'ada' })
      const { id } = given
      before = async () => {
        before = async () => {}
        given.subject = 'bob'
        await given.commit()
      }
      t.equal(await end(id), false, 'given to another at the last moment')
      t.equal((await recordOf(inner, id))?.subject, 'bob')

      const regenerated = await others.create({ subject: 'ada' })
      const old = regenerated.id
      before = async () => {
        before = async () => {}
        regenerated.regenerate()
        regenerated.subject = 'bob'
        await regenerated.commit()
      }
      t.equal(await end(old), false, 'followed by the session of another')
      t.ok(await others.load(regenerated.token))

      const renewed = await others.create({ subject: 'ada' })
      const former = renewed.id
      before = async () => {
        before = async () => {}
        renewed.renew()
        await renewed.commit()
      }
      t.equal(await end(former), true, 'renewed, and the subject\'s still')
      t.equal(await others.load(renewed.token), undefined)
      await others.endAll()
    }
  })
})
