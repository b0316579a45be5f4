import { AsyncLocalStorage } from 'node:async_hooks'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { tokenSessions, type CompleteTokenProvider, type SessionAddress, type SessionData, type SessionUpdate } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'

const secret = 'the secret of an app that delivers pizza'

/** Subscribes, and gives what is told, one by one. */
async function follow (users: CompleteTokenProvider<SessionData>, address: SessionAddress) {
  const updates: SessionUpdate[] = []
  let wake = (): void => {}
  const subscription = await users.subscribe(address, (update) => {
    updates.push(update)
    wake()
  })
  async function next (): Promise<SessionUpdate> {
    const update = updates.shift()
    if (update !== undefined) return update
    await new Promise<void>((resolve) => { wake = resolve })
    return next()
  }
  return { subscription, updates, next }
}

function sorted (update: SessionUpdate | undefined): unknown {
  return update?.type === 'changed' ? { ...update, keys: [...update.keys ?? []].sort() } : update
}

// The timers of subscriptions do not keep a process alive; this one does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

await inEachPlace(t, async (t, place) => {
  const connect = (t: Test, options = {}) => {
    const users = tokenSessions({ store: place.connect(), secret, ...options })
    t.teardown(() => users.close())
    return users
  }

  await t.test('a listener runs in the context of whoever subscribed', async (t) => {
    const users = connect(t)
    const context = new AsyncLocalStorage<string>()
    const session = await users.create({ data: { n: 1 } })
    const seen: Array<Promise<unknown>> = []
    for (const name of ['ada', 'bob']) {
      await context.run(name, async () => {
        const told = barrier()
        let found: string | undefined
        await users.subscribe({ token: session.token }, () => { found = context.getStore(); told.open() })
        seen.push(told.opened.then(() => found))
      })
    }
    await context.run('eve', async () => {
      session.increment('n')
      await session.commit()
    })
    t.same(await Promise.all(seen), ['ada', 'bob'])
  })

  await t.test('a listener that ends the session during its renewal ends it', async (t) => {
    const users = connect(t)
    for (let i = 0; i < 5; i++) {
      const session = await users.create({ data: { rights: 'user' } })
      const { token } = session
      const ended = barrier()
      await users.subscribe({ token }, (update) => {
        if (update.type === 'changed') users.end({ token }).then(() => ended.open(), () => {})
      })
      session.set('rights', 'root')
      session.renew()
      await session.commit()
      await ended.opened
      t.equal(await users.load(session.token), undefined)
    }
  })

  await t.test('tells another process of changed keys, and of the end', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const order = await here.create({ name: 'order 1', shared: true, data: { a: 1, b: 2 } })
    for (const address of [order.token, 'order 1', { name: 'order 1' }, { token: order.token }]) {
      const { next, updates } = await follow(there, address)
      order.set('a', Math.random())
      order.delete('b')
      await order.commit()
      t.same(sorted(await next()), { type: 'changed', keys: ['a', 'b'] })
      order.set('b', 1)
      await order.commit()
      t.same(await next(), { type: 'changed', keys: ['b'] })
      order.touch()
      await order.commit()
      t.same(updates, [], 'a mere use is no change')
    }
    const { next, subscription } = await follow(there, 'order 1')
    t.equal(subscription?.closed, false)
    await here.end(order.token)
    t.same(await next(), { type: 'ended', renewed: false })
    t.equal(subscription?.closed, true)
  })

  await t.test('a renewed token is the end for who knows only the old one', async (t) => {
    const users = connect(t)
    const session = await users.create({ data: { a: 1 } })
    const { next } = await follow(users, session.token)
    session.renew()
    await session.commit()
    let update = await next()
    if (update.type === 'changed') update = await next()
    t.same(update, { type: 'ended', renewed: true })
  })

  await t.test('live revocation: "log out everywhere" tells each session that is followed', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const sessions = await Promise.all(Array.from({ length: 20 }, () => here.create({ subject: 'ada' })))
    const followed = await Promise.all(sessions.map(({ token }) => follow(there, token)))
    await here.endAll({ subject: 'ada' })
    t.same(await Promise.all(followed.map(({ next }) => next())), sessions.map(() => ({ type: 'ended', renewed: false })))
  })

  await t.test('expired: when its time is up, slid by use or not; nothing before', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const session = await here.create({ name: 'brief', shared: true, ttl: 1 })
    const { next, updates } = await follow(there, 'brief')
    await new Promise((resolve) => setTimeout(resolve, 600))
    session.touch()
    await session.commit()
    const slid = Date.now()
    t.same(updates, [])
    t.same(await next(), { type: 'expired' })
    t.ok(Date.now() - slid >= 995, 'not before the time is up')
    t.ok(Date.now() - slid < 3000, 'and soon after')
    t.equal(await here.open('brief'), undefined)
  })

  await t.test('deleteSession: false: expired is not the end', async (t) => {
    const [here, there] = [connect(t), connect(t)]
    const session = await here.create({ ttl: 1, deleteSession: false, data: { a: 1 } })
    const { next } = await follow(there, session.token)
    t.same(await next(), { type: 'expired' })
    const emptied = await here.load(session.token)
    emptied?.set('b', 1)
    await emptied?.commit()
    t.same(await next(), { type: 'changed', keys: ['b'] })
    t.same(await next(), { type: 'expired' })
    await here.end(session.token)
    t.same(await next(), { type: 'ended', renewed: false })
  })

  await t.test('a session that took the name of one that expired is another one', async (t) => {
    const users = connect(t)
    await users.create({ name: 'reborn', shared: true, ttl: 1 })
    const { next, updates } = await follow(users, 'reborn')
    t.same(await next(), { type: 'expired' })
    const second = await users.create({ name: 'reborn', shared: true, ttl: 60 })
    second.set('a', 1)
    await second.commit()
    await users.end(second.token)
    t.same(updates, [])
  })

  await t.test('there is nothing to follow where there is no session', async (t) => {
    const users = connect(t)
    t.equal(await users.subscribe('x'.repeat(43), () => {}), undefined)
    t.equal(await users.subscribe('nobody', () => {}), undefined)
    await t.rejects(users.subscribe({} as never, () => {}), { code: 'FST_SESSION_OPTION' })
    await t.rejects(tokenSessions({ store: place.connect() }).subscribe('nobody', () => {}), { code: 'FST_SESSION_NO_SECRET' })
  })

  await t.test('back-pressure: a slow listener is told of many changes as one, and of the end', async (t) => {
    const users = connect(t)
    const session = await users.create()
    const [first, goOn, over] = [barrier(), barrier(), barrier()]
    const told: SessionUpdate[] = []
    await users.subscribe(session.token, async (update) => {
      told.push(update)
      first.open()
      if (update.type === 'ended') over.open()
      await goOn.opened
    })
    const quick = await follow(users, session.token)
    for (let i = 0; i < 300; i++) {
      session.set(`k${i % 7}`, i)
      await session.commit()
      if (i === 0) await first.opened
    }
    await users.end(session.token)
    while ((await quick.next()).type !== 'ended');
    goOn.open()
    await over.opened
    t.equal(told.length, 3)
    t.same(told[0], { type: 'changed', keys: ['k0'] })
    t.same(sorted(told[1]), { type: 'changed', keys: ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6'] })
  })

  await t.test('close: nothing more is told, and nothing is left on the server', async (t) => {
    const users = connect(t)
    const session = await users.create()
    const [one, two] = [await follow(users, session.token), await follow(users, session.token)]
    await one.subscription?.close()
    session.set('a', 1)
    await session.commit()
    t.same(await two.next(), { type: 'changed', keys: ['a'] })
    t.same(one.updates, [])
    await users.close()
    t.equal(two.subscription?.closed, true)
    session.set('a', 2)
    await session.commit()
    t.same(two.updates, [])
    for (const node of place.nodes()) {
      while ((await node.pubsub('CHANNELS', `${place.prefix}*`) as string[]).length > 0) await node.ping()
    }
  })

  await t.test('close: the app closes what its provider follows', async (t) => {
    const users = connect(t)
    const app = Fastify()
    await app.register(requestSession, { provider: users })
    const session = await users.create()
    const { subscription } = await follow(users, session.token)
    await app.close()
    t.equal(subscription?.closed, true)
  })

  if (place.name === 'memory') return
  await t.test('a lost connection: what may have been missed is told when it is there again', async (t) => {
    const users = connect(t)
    const [changed, ended] = [await users.create(), await users.create()]
    const [one, two] = [await follow(users, changed.token), await follow(users, ended.token)]
    for (const node of place.nodes()) await node.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    changed.set('a', 1)
    await Promise.all([changed.commit(), users.end(ended.token)])
    const update = await two.next()
    t.same(update, { type: 'ended', renewed: false })
    t.equal((await one.next()).type, 'changed')
    for (let i = 0; ; i++) {
      changed.set('b', i)
      await changed.commit()
      const { type, keys } = await one.next() as { type: string, keys: string[] | undefined }
      t.equal(type, 'changed')
      if (keys?.includes('b')) break
    }
  })
}, { clock: false })
