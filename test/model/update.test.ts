import t, { type Test } from 'tap'
import { memoryStore, tokenSessions, type CompleteTokenProvider, type SessionUpdate, type TokenSession } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'
import { SpyStore } from '../support/spy-store.js'

type Data = { roles: string[], visits: number }
type Users = CompleteTokenProvider<Data>

const secret = 'the secret of an app that delivers pizza'
const ttl = 1000

function takeAdmin (session: TokenSession<Data>): void {
  session.update('roles', (roles = []) => roles.filter((role) => role !== 'admin'))
}

async function rolesOf (users: Users, { token }: { token: string }): Promise<string[] | undefined> {
  return (await users.load(token))?.get('roles')
}

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, options = {}): Users => {
    const users = tokenSessions<Data>({ store: place.connect(), secret, ttl, ...options })
    t.teardown(() => users.close())
    return users
  }
  const admin = (users: Users, more = {}) => users.create({ subject: 'ada', data: { roles: ['user', 'admin'], visits: 1 }, ...more })

  await t.test('a role that is taken away is gone in all sessions of its user, and of no other', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const sessions = await Promise.all(Array.from({ length: 7 }, () => admin(here)))
    const kept = await admin(here, { deleteSession: false })
    const other = await admin(here, { subject: 'bob' })
    t.equal(await there.update({ subject: 'ada' }, takeAdmin), 8)
    for (const session of [...sessions, kept]) t.strictSame(await rolesOf(here, session), ['user'])
    t.strictSame(await rolesOf(here, other), ['user', 'admin'])
    t.equal(await there.update({ subject: 'eve' }, takeAdmin), 0)
    await here.endAll()
  })

  await t.test('a session is addressed as ever; one that is not there is left out', async (t) => {
    const users = connect(t)
    const shared = await admin(users, { name: 'kitchen', shared: true })
    const own = await admin(users)
    for (const address of [shared.token, { token: shared.token }, { name: 'kitchen' }, { id: shared.id }, { id: shared.id, subject: 'ada' }]) {
      t.equal(await users.update(address, (session) => { session.increment('visits') }), 1)
    }
    t.equal((await users.open('kitchen'))?.get('visits'), 6)
    t.equal(await users.update({ id: own.id, subject: 'bob' }, takeAdmin), 0)
    for (const address of ['no token', { name: 'bedroom' }, { id: 'x'.repeat(43) }]) t.equal(await users.update(address, () => t.fail('there is none')), 0)
    await users.endAll()
  })

  await t.test('no session is prolonged, and none counts as used, but by touch()', async (t) => {
    const users = connect(t)
    const { token } = await admin(users)
    const before = await users.info(token)
    await place.advance(ttl * 900)
    t.equal(await users.update({ subject: 'ada' }, takeAdmin), 1)
    const { expiresAt, lastUsedAt, keys } = { ...await users.info(token) }
    t.strictSame([expiresAt, lastUsedAt, keys], [before?.expiresAt, before?.lastUsedAt, 2])
    t.equal(await users.update({ subject: 'ada' }, (session) => { session.touch() }), 1)
    const touched = await users.info(token)
    t.ok(Number(touched?.expiresAt) - Number(before?.expiresAt) >= ttl * 900, 'touched')
    t.ok(Number(touched?.lastUsedAt) > Number(before?.lastUsedAt))
    t.equal(await users.update({ subject: 'ada' }, (session) => { session.expire(ttl * 2) }), 1)
    t.equal((await users.info(token))?.ttl, ttl * 2)
    await users.endAll()
  })

  await t.test('data that its session outlives still expires', async (t) => {
    const users = connect(t)
    const { token } = await users.create({ subject: 'ada', deleteSession: false })
    t.equal(await users.update({ subject: 'ada' }, (session) => { session.set('visits', 1) }), 1)
    t.ok((await users.info(token))?.expiresAt)
    await place.advance(ttl * 1000 + 1)
    t.equal((await users.info(token))?.keys, 0)
    await users.endAll()
  })

  await t.test('a session that its own request changes meanwhile loses nothing', async (t) => {
    const users = connect(t)
    const { token } = await admin(users)
    await users.update({ subject: 'ada' }, async (session) => {
      takeAdmin(session)
      const own = await users.load(token)
      own?.append('roles', 'cook')
      own?.increment('visits')
      await own?.commit()
    })
    t.strictSame((await users.load(token))?.data(), { roles: ['user', 'cook'], visits: 2 })
    await users.endAll()
  })

  await t.test('a session that is renewed meanwhile is changed under its new id, also by a login; one that ends is left out', async (t) => {
    const users = connect(t)
    const endings: Record<string, (session: TokenSession<Data>) => void> = {
      renewed (session) { session.renew() },
      'logged in' (session) {
        session.regenerate(['roles'])
        session.subject = 'ada'
      },
      ended (session) { session.end() },
      'logged in as another' (session) {
        session.regenerate(['roles'])
        session.subject = 'bob'
      },
      'given to another' (session) { session.subject = 'bob' },
      'renewed for another' (session) {
        session.renew()
        session.subject = 'bob'
      },
    }
    for (const [how, change] of Object.entries(endings)) {
      const own = await admin(users)
      let calls = 0
      const count = await users.update({ subject: 'ada' }, async (session) => {
        if (calls++ === 0) {
          change(own)
          await own.commit()
        }
        takeAdmin(session)
      })
      t.equal(count, ['renewed', 'logged in'].includes(how) ? 1 : 0, how)
      if (count === 1) t.strictSame(await rolesOf(users, own), ['user'], how)
      if (how.endsWith('another')) t.strictSame(await rolesOf(users, own), ['user', 'admin'], how)
      await users.endAll()
    }
    const own = await admin(users)
    const { id } = own
    own.renew()
    await own.commit()
    t.equal(await users.update({ id, subject: 'ada' }, takeAdmin), 1, 'an id that was given up leads on')
    t.strictSame(await rolesOf(users, own), ['user'])
    await users.endAll()
  })

  await t.test('end() ends the session at the commit; a token is neither known nor given', async (t) => {
    const users = connect(t)
    const own = await admin(users)
    const refused: Array<(session: TokenSession<Data>) => unknown> = [
      (session) => session.token, (session) => session.renew(), (session) => session.regenerate(),
    ]
    for (const fn of refused) await t.rejects(users.update(own.token, fn), { code: 'FST_SESSION_NO_TOKEN' })
    let given: TokenSession<Data> | undefined
    t.equal(await users.update(own.token, (session) => {
      given = session
      t.equal(session.id, own.id)
      t.equal(session.subject, 'ada')
      t.strictSame(session.get('roles'), ['user', 'admin'])
    }), 0, 'nothing was changed')
    t.throws(() => given?.set('visits', 7), { code: 'FST_SESSION_CLOSED' }, 'it is over with the call')
    t.equal(await users.update(own.token, (session) => { session.end() }), 1)
    t.equal(await users.load(own.token), undefined)
  })

  await t.test('those who follow a session are told', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const own = await admin(here)
    const updates: SessionUpdate[] = []
    const told = barrier()
    await here.subscribe({ id: own.id }, (update) => {
      updates.push(update)
      told.open()
    })
    await there.update({ subject: 'ada' }, takeAdmin)
    await told.opened
    t.strictSame(updates, [{ type: 'changed', keys: ['roles'] }])
    const over = barrier()
    own.signal.addEventListener('abort', over.open)
    // The end is heard whenever the session began to be followed: before it, or at the first look after it.
    await there.update({ subject: 'ada' }, (session) => { session.end() })
    await over.opened
    t.match(own.signal.reason, { code: 'FST_SESSION_OVER', why: 'ended' })
  })

  await t.test('the failure of one session keeps no other from its change', async (t) => {
    const users = connect(t)
    const sessions = await Promise.all(Array.from({ length: 5 }, () => admin(users)))
    const failing = sessions[2] as TokenSession<Data>
    await t.rejects(users.update({ subject: 'ada' }, (session) => {
      if (session.id === failing.id) throw new Error('out of pizza')
      takeAdmin(session)
    }), { message: 'out of pizza' })
    for (const session of sessions) t.strictSame(await rolesOf(users, session), session === failing ? ['user', 'admin'] : ['user'])
    await users.endAll()
  })

  if (place.name === 'redis') {
    await t.test('a damaged session is none', async (t) => {
      const users = connect(t)
      const [own, damaged] = [await admin(users), await admin(users)]
      for (const node of place.nodes()) for (const key of await node.keys(`${place.prefix}*${damaged.id}`)) await node.hset(key, '', 'not a description')
      t.equal(await users.update({ subject: 'ada' }, takeAdmin), 1)
      t.strictSame(await rolesOf(users, own), ['user'])
      await t.rejects(users.update(damaged.token, takeAdmin), { code: 'FST_SESSION_RECORD' }, 'but where it is meant itself')
      await users.endAll()
    })
  }
})

t.test('a filter that would mean all sessions is refused, and so is what is no function', async (t) => {
  const users = tokenSessions<Data>()
  t.teardown(() => users.close())
  const fail = () => t.fail('nothing is changed')
  await t.rejects(users.update({ subject: undefined } as never, fail), { code: 'FST_SESSION_OPTION', message: /subject must not be undefined/ })
  for (const target of [{}, undefined, null, 7, { subject: 'ada', name: 'kitchen' }]) await t.rejects(users.update(target as never, fail), { code: 'FST_SESSION_OPTION' })
  await t.rejects(users.update({ id: 'x', subject: undefined } as never, fail), { code: 'FST_SESSION_NAME' })
  await t.rejects(users.update({ subject: 'ada' }, undefined as never), { code: 'FST_SESSION_OPTION', message: /must be a function of a session/ })
})

t.test('a store without an index of subjects refuses the filter alone', async (t) => {
  const store = new SpyStore(memoryStore())
  const users = tokenSessions<Data>({ store })
  t.teardown(() => users.close())
  await t.rejects(users.update({ subject: 'ada' }, () => {}), { code: 'FST_SESSION_STORE_LACKS', message: /^update\(\)/ })
  const { token } = await users.create({ data: { visits: 1 } })
  store.take()
  t.equal(await users.update(token, (session) => { session.increment('visits') }), 1)
  t.strictSame(store.take(), ['load', 'commit'])
})
