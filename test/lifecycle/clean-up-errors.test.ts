import t from 'tap'
import { OutcomeUnknownError } from '../../lib/errors.js'
import { assertNoOpenSessions } from '../../lib/index.js'
import { fakeApp } from '../support/fake-app.js'

/** Both ways in which a step can fail. */
const failures = {
  throws: (message: string) => () => { throw new Error(message) },
  rejects: (message: string) => () => Promise.reject(new Error(message)),
}

for (const [way, failing] of Object.entries(failures)) {
  t.test(`a step that ${way}`, async (t) => {
    t.test("rollback and close: logged, and the app's error is the reply", async (t) => {
      const { app, log, first } = await fakeApp(t, {}, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); throw new Error('the error of the app') })
      })
      first.provider.before.rollback = failing('no rollback')
      first.provider.before.close = failing('no close')
      const { statusCode, body } = await app.inject('/')
      await assertNoOpenSessions(app)
      t.equal(statusCode, 500)
      t.match(body, 'the error of the app')
      t.strictSame(log.filter(({ route }) => route !== undefined).map(({ level, msg, err }) => [level, msg, err?.message]), [
        [50, 'rolling back request.first of GET / failed', 'no rollback'],
        [50, 'closing request.first of GET / failed', 'no close'],
      ])
      t.strictSame(app.sessionStats()['first'], { kind: 'graph', open: 0, opened: 1, committed: 0, readOnly: 0, rolledBack: 1, failed: 0, anonymous: 0, unknown: 0, lateAccesses: 0, failedFollowUps: 0 })
    })

    t.test('close: logged, and the reply is as it was', async (t) => {
      const { app, log, first } = await fakeApp(t, {}, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); return 'done' })
      })
      first.provider.before.close = failing('no close')
      t.equal((await app.inject('/')).body, 'done')
      await assertNoOpenSessions(app)
      t.strictSame(log.map(({ level, msg }) => [level, msg]), [[50, 'closing request.first of GET / failed']])
      t.strictSame([[...first.kept], app.sessionStats()['first']?.open], [['a'], 0])
    })

    t.test("commit and close: the commit's error is the reply", async (t) => {
      const { app, log, first } = await fakeApp(t, {}, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); return 'done' })
      })
      first.provider.before.commit = failing('no commit')
      first.provider.before.close = failing('no close')
      const { statusCode, body } = await app.inject('/')
      await assertNoOpenSessions(app)
      t.equal(statusCode, 500)
      t.match(body, 'no commit')
      t.strictSame(log.map(({ err }) => err?.message), ['no commit', 'no close'])
    })

    t.test("commit after the reply: logged, with the route's name", async (t) => {
      const { app, log, first } = await fakeApp(t, { first: { commit: 'onResponse' } }, (app) => {
        app.get('/', async ({ first }) => { first.add('a'); return 'done' })
      })
      first.provider.before.commit = failing('no commit')
      t.equal((await app.inject('/')).statusCode, 200)
      await assertNoOpenSessions(app)
      t.strictSame(log.map(({ level, msg, err }) => [level, msg, err?.message]),
        [[50, 'committing request.first of GET / failed after its reply', 'no commit']])
    })
  })
}

t.test('a session that cannot be opened: the handler gets the error, and nothing is open', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/', async (request) => request.first)
  })
  first.provider.before.open = () => { throw new Error('no session') }
  const { statusCode, body } = await app.inject('/')
  t.equal(statusCode, 500)
  t.match(body, 'no session')
  t.strictSame([app.sessionStats()['first']?.opened, first.provider.steps], [0, ['open']])
})

t.test('a commit whose answer is lost: the outcome is unknown, and says so', async (t) => {
  const { app, first } = await fakeApp(t, {}, (app) => {
    app.get('/', async (request, reply) => {
      request.first.add('a')
      reply.raw.once('close', () => { t.equal(request.firstScope.outcome, 'unknown') })
      return 'done'
    })
  })
  first.provider.before.commit = () => { throw new OutcomeUnknownError('the connection was lost') }
  const { statusCode, json } = await app.inject('/')
  await assertNoOpenSessions(app)
  t.equal(statusCode, 503)
  t.match(json(), { code: 'FST_SESSION_OUTCOME_UNKNOWN' })
  t.match(app.sessionStats()['first'], { committed: 0, rolledBack: 0, unknown: 1, open: 0 })
  t.strictSame(first.provider.steps, ['open', 'commit', 'close'])
})
