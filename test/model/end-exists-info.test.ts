import t from 'tap'
import { idOf } from '../../lib/token/tokens.js'
import { tokenSessions } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { roundedUp } from '../support/rounded-up.js'

await inEachPlace(t, async (t, place) => {
  const users = tokenSessions({ store: place.connect(), secret: 'the secret of an app that delivers pizza' })
  const unknown = 'x'.repeat(43)

  await t.test('end: by token, name and id; the session and its data are gone', async (t) => {
    for (const deleteSession of [true, false]) {
      const options = { data: { a: 1 }, deleteSession }
      const [one, two, three, four] = await Promise.all([
        users.create(options), users.create({ ...options, name: 'ended', shared: true }), users.create(options), users.create(options),
      ])
      t.equal(await users.end(one.token), true)
      t.equal(await users.end({ name: 'ended' }), true)
      t.equal(await users.end({ id: idOf(three.token) }), true)
      t.equal(await users.end({ token: four.token }), true)
      for (const { token } of [one, two, three, four]) t.equal(await users.load(token), undefined)
      t.equal(await users.end(one.token), false)
      t.equal(await users.end({ name: 'ended' }), false)
    }
  })

  await t.test('an id is a hash: a longer text, as a client may send it, leads to no part of a session', async (t) => {
    const session = await users.create({ data: { a: 1 }, deleteSession: false })
    for (const id of [`${session.id}:data`, session.id.slice(1), '', `${session.id}\n`]) {
      t.equal(await users.info({ id }), undefined)
      t.equal(await users.end({ id }), false)
      t.equal(await users.update({ id }, () => {}), 0)
      t.equal(await users.subscribe({ id }, () => {}), undefined)
    }
    t.strictSame((await users.load(session.token))?.data(), { a: 1 })
    await users.end(session.token)
  })

  await t.test('end and info: with a subject, only if the session is theirs', async (t) => {
    const session = await users.create({ subject: 'ada' })
    const id = idOf(session.token)
    t.equal(await users.end({ id, subject: 'bob' }), false)
    t.equal(await users.info({ id, subject: 'bob' }), undefined)
    t.equal((await users.info({ id, subject: 'ada' }))?.id, id)
    t.ok(await users.load(session.token))
    session.renew()
    await session.commit()
    t.equal(await users.end({ id, subject: 'bob' }), false)
    t.equal(await users.end({ id, subject: 'ada' }), true, 'also once it was renewed')
    t.equal(await users.load(session.token), undefined)
    const other = await users.create()
    t.equal(await users.end({ id: idOf(other.token), subject: 'ada' }), false, 'one that is nobody\'s')
    await users.end(other.token)
    await t.rejects(users.end({ id, subject: undefined } as never), { code: 'FST_SESSION_NAME', statusCode: 400 })
  })

  await t.test('end: of a session that code holds', async (t) => {
    const session = await users.create()
    session.end()
    t.equal(session.ended, true)
    t.equal((await users.infoAll()).sessions, 1, 'not before the commit')
    await session.commit()
    t.equal((await users.infoAll()).sessions, 0)
  })

  await t.test('a commit to a session that was ended writes nothing, and says so', async (t) => {
    const session = await users.create({ data: { a: 1 } })
    await users.end(session.token)
    session.set('a', 2)
    await t.rejects(session.commit(), { code: 'FST_SESSION_GONE', statusCode: 409 })
    t.equal(await users.load(session.token), undefined)
  })

  await t.test('exists: how many, and which, each once', async (t) => {
    const sessions = await Promise.all(Array.from({ length: 600 }, () => users.create({ ttl: 60 })))
    const tokens = sessions.map(({ token }) => token)
    t.same(await users.exists(tokens), { count: 600, tokens })
    t.same(await users.exists(new Set([unknown, tokens[7] as string, 'no token', ''])), { count: 1, tokens: [tokens[7]] })
    t.same(await users.exists([tokens[1] as string, tokens[1] as string]), { count: 1, tokens: [tokens[1]] })
    t.same(await users.exists(tokens[0] as string), { count: 1, tokens: [tokens[0]] })
    t.same(await users.exists(unknown), { count: 0, tokens: [] })
    t.same(await users.exists([]), { count: 0, tokens: [] })
    await place.advance(61_000)
    t.same(await users.exists(tokens), { count: 0, tokens: [] })
  })

  await t.test('info: what a session is, but for its data and its token', async (t) => {
    const createdAt = new Date()
    const session = await users.create({ name: 'known', shared: true, subject: 'ada', ttl: 90, maxAge: 900, data: { password: 'hush', n: 1 } })
    await place.advance(30_500)
    const expected = {
      id: idOf(session.token),
      name: 'known',
      shared: true,
      subject: 'ada',
      label: undefined,
      createdAt,
      lastUsedAt: createdAt,
      expiresAt: new Date(createdAt.getTime() + 90_000),
      timeLeft: 60,
      ttl: 90,
      maxAge: 900,
      keys: 2,
      deleteSession: true,
    }
    for (const address of [session.token, { token: session.token }, { name: 'known' }, { id: idOf(session.token) }]) {
      const info = await users.info(address)
      t.strictSame(roundedUp(info), expected)
      t.notMatch(JSON.stringify(info), session.token)
      t.notMatch(JSON.stringify(info), 'hush')
    }
    const other = await users.create()
    const plain = roundedUp(await users.info(other.token))
    await users.end(other.token)
    t.strictSame([plain?.ttl, plain?.maxAge, plain?.timeLeft], [undefined, undefined, 1800], 'a route may have another ttl than the provider')
    t.equal(await users.info(unknown), undefined)
    t.equal(await users.info('no token'), undefined)
    t.equal(await users.info({ name: 'nobody' }), undefined)
    t.equal(await users.info({ id: 'nothing' }), undefined)
    await place.advance(60_000)
    t.equal(await users.info(session.token), undefined)
  })

  await t.test('infoAll: totals', async (t) => {
    await users.endAll()
    t.same(await users.infoAll(), { sessions: 0, keys: 0, expiring: 0, shared: 0, damaged: 0 })
    await users.create({ name: 's', shared: true, data: { a: 1, b: 2 } })
    await users.create({ ttl: null, data: { a: 1 } })
    await users.create({ ttl: 5, deleteSession: false, data: { a: 1 } })
    await users.create()
    t.same(await users.infoAll(), { sessions: 4, keys: 4, expiring: 3, shared: 1, damaged: 0 })
    await place.advance(6000)
    t.same(await users.infoAll(), { sessions: 4, keys: 3, expiring: 2, shared: 1, damaged: 0 }, 'what outlives its data has no expiry without it')
  })

  await t.test('an address that is none is refused', async (t) => {
    for (const address of [undefined, null, 7, {}, { token: 7 }, { key: 'x' }]) {
      await t.rejects(users.end(address as never), { code: 'FST_SESSION_OPTION' })
      await t.rejects(users.info(address as never), { code: 'FST_SESSION_OPTION' })
    }
  })
})
