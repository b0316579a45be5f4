import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { assertNoOpenSessions, memoryStore, type TokenSession } from '../../lib/index.js'
import { exchange } from '../support/lifecycle/client.js'
import { SpyStore } from '../support/spy-store.js'
import { setCookies, tokenApp, Visitor } from '../support/token-app.js'

for (const hook of ['preSerialization', 'onSend', 'onResponse'] as const) {
  for (const commit of ['onSend', 'onResponse'] as const) {
    t.test(`an ${hook} hook that reads the session goes on working after a logout; commit: ${commit}`, async (t) => {
      const seen: unknown[] = []
      const { app, log } = await tokenApp(t, { commit }, (app) => {
        app.addHook(hook, async (request: { session: Promise<TokenSession> }) => {
          await setImmediate()
          const session = await request.session
          seen.push(session.ended, session.get('user'))
        })
        app.get('/in', async (request) => { (await request.session).set('user', 'ada'); return { done: true } })
        app.get('/out', async (request) => {
          const session = await request.session
          session.end()
          session.end()
          return { ended: session.ended }
        })
      })
      const visitor = new Visitor(app)
      await visitor.get('/in')
      const reply = await visitor.get('/out')
      await assertNoOpenSessions(app)
      t.strictSame([reply.statusCode, reply.json()], [200, { ended: true }])
      t.strictSame(setCookies(reply), ['session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
      t.strictSame(seen, [false, 'ada', true, undefined])
      t.strictSame(log, [])
    })
  }
}

t.test('after the request what was loaded can be read, and writes throw', async (t) => {
  let kept: TokenSession | undefined
  let again: Promise<TokenSession> | undefined
  const store = new SpyStore(memoryStore())
  const { app, log } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request, reply) => {
      kept = (await request.session).set('a', { b: 1 })
      reply.raw.once('close', () => { again = request.session })
      return 'ok'
    })
  })
  t.equal((await exchange(await app.listen({ port: 0, host: '127.0.0.1' })).received).status, 200)
  await assertNoOpenSessions(app)
  const session = kept as TokenSession
  t.equal(await again, session, 'the request still gives it')
  t.strictSame([session.get('a'), session.has('a'), session.size, [...session.keys()], session.data(), session.ended], [{ b: 1 }, true, 1, ['a'], { a: { b: 1 } }, false])
  store.take()
  const writes: Record<string, () => unknown> = {
    set: () => session.set('a', 2),
    add: () => session.add('b', 2),
    update: () => session.update('a', () => 1),
    increment: () => session.increment('n'),
    append: () => session.append('l', 1),
    take: () => session.take('a'),
    delete: () => session.delete('a'),
    clear: () => session.clear(),
    expire: () => session.expire(60),
    touch: () => session.touch(),
    renew: () => session.renew(),
    end: () => session.end(),
    subject: () => { session.subject = 'ada' },
    commit: () => session.commit(),
    reload: () => session.reload(),
  }
  for (const [name, write] of Object.entries(writes)) await t.rejects(async () => write(), { code: 'FST_SESSION_CLOSED' }, name)
  t.strictSame([session.get('a'), session.ended, store.take(), log], [{ b: 1 }, false, [], []])
})

t.test('a session that was never opened cannot be opened after the request, and asks the store nothing', async (t) => {
  const store = new SpyStore(memoryStore())
  const opened: Array<Promise<unknown>> = []
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request, reply) => {
      reply.raw.once('close', () => {
        opened.push(t.rejects(async () => request.session, { code: 'FST_SESSION_CLOSED' }))
        opened.push(t.rejects(request.session.then(), { code: 'FST_SESSION_CLOSED' }))
        opened.push(t.rejects(request.session.finally(), { code: 'FST_SESSION_CLOSED' }))
        opened.push(request.session.catch(({ code }: { code: string }) => { t.equal(code, 'FST_SESSION_CLOSED') }))
      })
      return 'ok'
    })
  })
  await exchange(await app.listen({ port: 0, host: '127.0.0.1' })).received
  while (opened.length === 0) await setImmediate()
  await Promise.all(opened)
  await assertNoOpenSessions(app)
  t.strictSame(store.take(), [])
})
