import t from 'tap'
import { TokenSession, tokenSessions, type CompleteTokenSessionOptions } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { roundedUp } from '../support/rounded-up.js'

interface Delivery { driver: string, stops: number, log: string[] }

const secret = 'the secret of an app that delivers pizza'

await t.test('a secret that is too weak stops the boot, and is not shown', async (t) => {
  for (const weak of ['short', Buffer.alloc(31), [], ['the secret of an app that delivers pizza', 'hush'], 7, null]) {
    t.throws(() => tokenSessions({ secret: weak as string }), { code: 'FST_SESSION_OPTION', message: /^(?!.*hush)(?!.*short).*32 bytes/ })
  }
})

await inEachPlace(t, async (t, place) => {
  const connect = (more: CompleteTokenSessionOptions = {}) => tokenSessions<Delivery>({ store: place.connect(), secret, ...more })
  const users = connect()

  await t.test('create: a session that is there at once, also empty, and is changed by commit()', async (t) => {
    const session = await users.create()
    t.type(session, TokenSession)
    t.match(session, { isNew: false, size: 0, name: undefined, shared: false, subject: undefined, ttl: 1800 })
    t.equal((await users.load(session.token))?.size, 0)
    session.set('driver', 'ada')
    t.equal((await users.load(session.token))?.get('driver'), undefined, 'not before the commit')
    await session.commit()
    const loaded = await users.load(session.token)
    t.same(loaded?.data(), { driver: 'ada' })
    loaded?.increment('stops')
    loaded?.append('log', 'left')
    await loaded?.commit()
    await session.reload()
    t.same(session.data(), { driver: 'ada', stops: 1, log: ['left'] })
  })

  await t.test('create: with all that it can be given', async (t) => {
    const session = await users.create({ name: 'tour 1', ttl: 60, maxAge: 100, deleteSession: false, subject: 'ada', data: { driver: 'ada', stops: 3 } })
    t.match(session, { name: 'tour 1', ttl: 60, subject: 'ada', shared: false })
    const other = await connect().load(session.token)
    t.match(other, { name: 'tour 1', ttl: 60, subject: 'ada', shared: false })
    t.same(other?.data(), { driver: 'ada', stops: 3 })
    t.match(roundedUp(await users.info(session.token)), { ttl: 60, maxAge: 100, deleteSession: false, timeLeft: 60, keys: 2 })
  })

  await t.test('create: a name is shared by nothing but shared sessions', async (t) => {
    const [one, two] = [await users.create({ name: 'twice' }), await users.create({ name: 'twice' })]
    t.not(one.token, two.token)
    t.equal(await users.open('twice'), undefined)
  })

  await t.test('create: what is wrong is refused, and nothing is made', async (t) => {
    const before = (await users.infoAll()).sessions
    for (const name of ['', 'x'.repeat(257), 7, null, '\ud800', {}]) {
      await t.rejects(users.create({ name: name as string }), { code: 'FST_SESSION_NAME' }, `name ${String(name).slice(0, 9)}`)
      await t.rejects(users.create({ subject: name as string }), { code: 'FST_SESSION_NAME' }, `subject ${String(name).slice(0, 9)}`)
      await t.rejects(users.open(name as string), { code: 'FST_SESSION_NAME' })
    }
    await t.rejects(users.create({ shared: true }), { code: 'FST_SESSION_NAME' }, 'shared without a name')
    await t.rejects(users.create({ ttl: 0 }), { code: 'FST_SESSION_OPTION' })
    await t.rejects(users.create({ maxAge: 1.5 }), { code: 'FST_SESSION_OPTION' })
    await t.rejects(users.create({ shared: 'yes' as never }), { code: 'FST_SESSION_OPTION' })
    await t.rejects(users.create({ nmae: 'x' } as never), { code: 'FST_SESSION_OPTION' })
    await t.rejects(users.create({ data: { stops: NaN } }), { code: 'FST_SESSION_VALUE' })
    await t.rejects(users.create({ data: { '': 1 } as never }), { code: 'FST_SESSION_KEY' })
    await t.rejects(users.create({ data: [] as never }), { code: 'FST_SESSION_OPTION' })
    t.equal((await users.infoAll()).sessions, before)
  })

  await t.test('open: any process opens the same shared session by its name, and both write to it', async (t) => {
    const made = await users.create({ name: 'pizza 42', shared: true, ttl: 600, data: { driver: 'ada' } })
    const other = connect()
    const opened = await other.open('pizza 42')
    t.match(opened, { token: made.token, name: 'pizza 42', shared: true, ttl: 600 })
    opened?.increment('stops', 2)
    made.increment('stops', 1)
    await Promise.all([opened?.commit(), made.commit()])
    t.same((await users.open('pizza 42'))?.data(), { driver: 'ada', stops: 3 })
    t.equal(await users.open('pizza 43'), undefined)
  })

  await t.test('a name of 256 characters, with spaces, percent signs and other scripts, comes back as it was', async (t) => {
    for (const name of ['x'.repeat(256), '100 % {a} \n "', 'Überraschung 🍕', '-', '=', '__proto__']) {
      const { token } = await users.create({ name, shared: true, subject: name })
      t.match(await users.open(name), { token, name, subject: name })
    }
  })

  await t.test('create: one that exists is refused with a name, also in another process', async (t) => {
    const first = await users.create({ name: 'single', shared: true, data: { stops: 1 } })
    await t.rejects(users.create({ name: 'single', shared: true }), { code: 'FST_SESSION_EXISTS', statusCode: 409 })
    await t.rejects(connect().create({ name: 'single', shared: true }), { code: 'FST_SESSION_EXISTS' })
    t.same((await users.load(first.token))?.data(), { stops: 1 })
    t.equal(await users.end(first.token), true)
    const second = await users.create({ name: 'single', shared: true })
    t.equal(second.token, first.token, 'the name is free again')
  })

  await t.test('an ended shared session is not mistaken for the one that took its name', async (t) => {
    const first = await users.create({ name: 'again', shared: true, data: { driver: 'ada' } })
    const stale = await users.open('again')
    await users.end(first.token)
    const second = await users.create({ name: 'again', shared: true, data: { driver: 'bob' } })
    first.set('driver', 'late')
    await t.rejects(first.commit(), { code: 'FST_SESSION_GONE' })
    await t.rejects(first.reload(), { code: 'FST_SESSION_GONE' })
    stale?.end()
    await stale?.commit()
    t.equal((await users.load(second.token))?.get('driver'), 'bob')
  })

  await t.test('a shared session cannot get another token, and needs a secret', async (t) => {
    const session = await users.create({ name: 'fixed', shared: true })
    t.throws(() => session.renew(), { code: 'FST_SESSION_SHARED_TOKEN' })
    const poor = tokenSessions({ store: place.connect() })
    await t.rejects(poor.create({ name: 'fixed', shared: true }), { code: 'FST_SESSION_NO_SECRET' })
    await t.rejects(poor.open('fixed'), { code: 'FST_SESSION_NO_SECRET' })
    await t.rejects(poor.end({ name: 'fixed' }), { code: 'FST_SESSION_NO_SECRET' })
    t.equal((await poor.load(session.token))?.name, 'fixed', 'its token is a token like any other')
  })

  await t.test('a rotated secret: what is older is found until it ends, and not made a second time', async (t) => {
    const newer = Buffer.alloc(32, 'another secret')
    const old = await users.create({ name: 'rotated', shared: true })
    const rotated = connect({ secret: [newer, secret] })
    t.equal((await rotated.open('rotated'))?.token, old.token)
    await t.rejects(rotated.create({ name: 'rotated', shared: true }), { code: 'FST_SESSION_EXISTS' })
    t.match(await rotated.info({ name: 'rotated' }), { name: 'rotated', shared: true })
    const fresh = await rotated.create({ name: 'new', shared: true })
    t.equal(await users.open('new'), undefined)
    t.equal((await connect({ secret: newer }).open('new'))?.token, fresh.token)
    t.equal(await rotated.end({ name: 'rotated' }), true)
    t.equal(await users.open('rotated'), undefined)
    const again = await rotated.create({ name: 'rotated', shared: true })
    t.not(again.token, old.token)
    t.equal(await connect({ secret: 'quite another secret of thirty-two bytes' }).open('rotated'), undefined)
  })

  await t.test('expiry: idle and absolute, of their own and the provider\'s', async (t) => {
    const brief = connect({ ttl: 100, maxAge: 150 })
    const own = await brief.create({ ttl: 1000, maxAge: 2000 })
    const theirs = await brief.create()
    const forever = await brief.create({ ttl: null, maxAge: null })
    t.match(await users.info(forever.token), { ttl: null, maxAge: null, expiresAt: null, timeLeft: null })
    await place.advance(90_000)
    for (const token of [own.token, theirs.token]) {
      const used = await brief.load(token)
      used?.touch()
      await used?.commit()
    }
    t.equal(roundedUp(await brief.info(theirs.token))?.timeLeft, 60, 'maxAge is the limit')
    await place.advance(61_000)
    t.same(await brief.exists([own.token, theirs.token, forever.token]), { count: 2, tokens: [own.token, forever.token] })
    await place.advance(2000_000)
    t.same((await brief.exists([own.token, forever.token])).tokens, [forever.token])
  })

  await t.test('deleteSession: false: the data goes at expiry, the session stays, empty, and takes new data', async (t) => {
    const session = await users.create({ name: 'kept', shared: true, deleteSession: false, ttl: 10, data: { driver: 'ada' } })
    await place.advance(11_000)
    const emptied = await users.open('kept')
    t.match(emptied, { token: session.token, size: 0, expiresAt: null })
    await t.rejects(users.create({ name: 'kept', shared: true }), { code: 'FST_SESSION_EXISTS' })
    emptied?.set('driver', 'bob')
    await emptied?.commit()
    t.match(roundedUp(await users.info(session.token)), { keys: 1, timeLeft: 10, deleteSession: false })
    await place.advance(11_000)
    t.match(await users.info(session.token), { keys: 0, timeLeft: null })
    t.equal(await users.end(session.token), true)
    t.equal(await users.info(session.token), undefined)
  })

  await t.test('uint64: from 0 to 2^64 - 1 every token survives as a string', async (t) => {
    const numbers = connect({ token: 'uint64' })
    const session = await numbers.create({ name: 'n', shared: true })
    t.match(session.token, /^\d{1,20}$/)
    t.equal((await numbers.open('n'))?.token, session.token)
    const store = place.connect()
    for (const token of ['0', '9007199254740992', '9007199254740993', '18446744073709551615']) {
      const { load } = store
      t.type(load, 'function')
      t.equal(await numbers.load(token), undefined)
      t.equal(await numbers.end(token), false)
    }
    t.same(await numbers.exists(['18446744073709551616', '-1', '01', '1e3', session.token]), { count: 1, tokens: [session.token] })
  })
})
