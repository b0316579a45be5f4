import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { getSession, tokenSessions } from '../../lib/index.js'
import { barrier, type Barrier } from '../support/barrier.js'
import { fakeClock } from '../support/clock.js'
import { inEachPlace } from '../support/places.js'
import { setCookies, tokenApp } from '../support/token-app.js'

t.test('a session that was used in time does not expire under its request', async (t) => {
  await inEachPlace(t, async (t, { connect, advance }) => {
    const store = connect()
    const ttl = 30
    const users = tokenSessions({ store, ttl })
    let entered: Barrier
    let goOn: Barrier
    const { app } = await tokenApp(t, { store, ttl }, (app) => {
      app.get('/:work', async (request) => {
        const session = await request.session
        entered.open()
        await goOn.opened
        if (request.url === '/upload') session.increment('uploads')
        return session.get('user')
      })
    })
    for (const url of ['/upload', '/look']) {
      entered = barrier()
      goOn = barrier()
      const { token } = await users.create({ data: { user: 'ada' } })
      await advance(20_000)
      const reply = app.inject({ url, headers: { cookie: `session=${token}` } })
      await entered.opened
      for (let i = 0; i < 80; i++) {
        await advance(500)
        await turn()
      }
      goOn.open()
      t.match([(await reply).statusCode, (await reply).body], [200, 'ada'], url)
      t.match(setCookies(await reply), [new RegExp(`Max-Age=${ttl};`)], 'the cookie lives as long as the session')
      await advance(20_000)
      t.equal((await users.load(token))?.get('uploads'), url === '/upload' ? 1 : undefined)
      t.ok(await users.load(token))
      await advance(15_000)
      t.equal(await users.load(token), undefined)
    }
  }, { timers: true })
})

t.test('a session is kept alive within its maxAge only, not after the headers, and not once it has ended', async (t) => {
  const tick = fakeClock(t)
  const users = tokenSessions({ ttl: 30, maxAge: 60 })
  const { token } = await users.create({ data: { user: 'ada' } })
  await getSession(users, null, async (session) => {
    for (let i = 0; i < 100; i++) tick(500)
    t.ok(await users.load(token), 'after 50 s')
    for (let i = 0; i < 30; i++) tick(500)
    t.equal(await users.load(token), undefined, 'after 65 s')
    t.equal(session.get('user'), 'ada')
  }, { token })
  const other = await users.create({ data: { user: 'ada' } })
  await getSession(users, null, async (session) => {
    session.end()
    await session.commit()
    for (let i = 0; i < 100; i++) tick(500)
    t.equal(await users.load(other.token), undefined)
  }, { token: other.token })
  mock.timers.reset()
})
