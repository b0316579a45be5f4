import t from 'tap'
import { fakeApp } from '../support/fake-app.js'

for (const commit of ['onSend', 'onResponse'] as const) {
  t.test(`commit: ${commit}`, async (t) => {
    t.test('rollbackOnly() rolls back, whatever the reply and the options say', async (t) => {
      const { app, first, second } = await fakeApp(t, { first: { commit, commitWhen: () => true }, second: { commit, commits: 'always' } }, (app) => {
        app.get('/', async (request) => {
          request.first.add('a')
          request.second.add('a')
          request.firstScope.rollbackOnly()
          request.secondScope.rollbackOnly()
          return 'ok'
        })
      })
      t.equal((await app.inject('/')).statusCode, 200)
      await Promise.all([first.provider.allClosed(), second.provider.allClosed()])
      t.strictSame([[...first.kept], [...second.kept]], [[], []])
    })

    t.test('commitWhen of the plugin replaces the rule, in both directions', async (t) => {
      const { app, first } = await fakeApp(t, { first: { commit, commitWhen: (_request, reply) => reply.statusCode !== 200 } }, (app) => {
        app.get('/:code', async ({ first, params }, reply) => {
          const { code } = params as { code: string }
          first.add(code)
          return reply.code(Number(code)).send('ok')
        })
      })
      for (const code of ['200', '401']) await app.inject(`/${code}`)
      await first.provider.allClosed()
      t.strictSame([...first.kept], ['401'])
    })

    t.test('commitWhen of a route replaces that of the plugin, and commit too', async (t) => {
      const other = commit === 'onSend' ? 'onResponse' : 'onSend'
      const { app, first } = await fakeApp(t, { first: { commit, commitWhen: () => false } }, (app) => {
        app.get('/plugin', async ({ first }) => { first.add('plugin'); return 'ok' })
        app.get('/route', { config: { first: { commit: other, commitWhen: ({ url }) => url === '/route' } } }, async ({ first }) => { first.add('route'); return 'ok' })
      })
      for (const url of ['/plugin', '/route']) await app.inject(url)
      await first.provider.allClosed()
      t.strictSame([...first.kept], ['route'])
      t.equal(first.provider.sessions[1]?.settledAfterHeaders, other === 'onResponse')
    })

    t.test('commitWhen sees the reply of an error, and may commit it', async (t) => {
      const seen: number[] = []
      const { app, first } = await fakeApp(t, { first: { commit, commitWhen: (_request, { statusCode }) => { seen.push(statusCode); return true } } }, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); throw new Error('thrown') })
      })
      t.equal((await app.inject('/')).statusCode, 500)
      await first.provider.allClosed()
      t.strictSame([seen, [...first.kept]], [[500], ['a']])
    })

    t.test('a commitWhen that throws rolls back and is reported', async (t) => {
      const { app, log, first } = await fakeApp(t, { first: { commit, commitWhen: () => { throw new Error('undecided') } } }, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); return 'ok' })
      })
      t.equal((await app.inject('/')).statusCode, commit === 'onSend' ? 500 : 200)
      await first.provider.allClosed()
      t.strictSame([...first.kept], [])
      t.strictSame(first.provider.steps, ['open', 'rollback', 'close'])
      t.ok(log.some(({ level, err }) => level === 50 && err?.message === 'undecided'))
    })
  })
}

t.test('an explicit commit() settles for good', async (t) => {
  t.test('what comes after it changes nothing: neither an error, nor rollbackOnly(), nor a second commit()', async (t) => {
    const { app, first } = await fakeApp(t, {}, (app) => {
      app.get('/', async ({ first, firstScope }) => {
        first.add('a')
        await firstScope.commit()
        t.strictSame([firstScope.state, firstScope.outcome], ['committed', 'committed'])
        firstScope.rollbackOnly()
        await firstScope.commit()
        throw new Error('thrown after the commit')
      })
    })
    t.equal((await app.inject('/')).statusCode, 500)
    await first.provider.allClosed()
    t.strictSame([[...first.kept], first.provider.steps], [['a'], ['open', 'commit', 'close']])
  })

  t.test('it rejects with what the commit failed with; a second one does not pretend', async (t) => {
    const { app, first } = await fakeApp(t, {}, (app) => {
      app.get('/', async ({ first, firstScope }) => {
        first.add('a')
        await t.rejects(firstScope.commit(), { message: 'no commit' })
        await t.rejects(firstScope.commit(), { code: 'FST_SESSION_CLOSED' })
        return 'caught'
      })
    })
    first.provider.before.commit = () => { throw new Error('no commit') }
    t.equal((await app.inject('/')).body, 'caught')
    await first.provider.allClosed()
    t.strictSame(first.provider.steps, ['open', 'commit', 'close'])
  })

  t.test('it does nothing for a session that was not used, and rolls back after rollbackOnly()', async (t) => {
    const { app, first } = await fakeApp(t, {}, (app) => {
      app.get('/', async (request) => {
        await request.firstScope.commit()
        t.strictSame([request.firstScope.state, request.firstScope.outcome], ['unopened', 'unused'])
        request.first.add('a')
        request.firstScope.rollbackOnly()
        await request.firstScope.commit()
        t.equal(request.firstScope.outcome, 'rolled-back')
        return 'ok'
      })
    })
    t.equal((await app.inject('/')).statusCode, 200)
    await first.provider.allClosed()
    t.strictSame([[...first.kept], first.provider.steps], [[], ['open', 'rollback', 'close']])
  })
})

t.test('a session that the error handler opens goes by its reply alone', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/', async () => { throw new Error('thrown') })
    app.setErrorHandler(async (_error, { first }, reply) => {
      first.add('by the error handler')
      return reply.code(200).send('handled')
    })
  })
  t.equal((await app.inject('/')).statusCode, 200)
  await first.provider.allClosed()
  t.strictSame([...first.kept], ['by the error handler'])
})
