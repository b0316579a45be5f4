import t from 'tap'
import { fakeApp } from '../support/fake-app.js'

t.test('an async commitWhen is refused at boot, of the plugin and of a route: its promise would always count as true', async (t) => {
  const commitWhen = (async () => false) as unknown as () => boolean
  const message = /commitWhen must be a synchronous function/
  await t.rejects(fakeApp(t, { first: { commitWhen } }, () => {}), { code: 'FST_SESSION_OPTION', message })
  await t.rejects(fakeApp(t, {}, (app) => {
    app.get('/wrong', { config: { first: { commitWhen } } }, async () => 'ok')
  }), { code: 'FST_SESSION_OPTION', message: /config\.first of GET \/wrong: .*commitWhen/ })
})

for (const commit of ['onSend', 'onResponse'] as const) {
  for (const [answer, promise] of Object.entries({ true: () => Promise.resolve(true), 'an error': () => Promise.reject(new Error('undecided')) })) {
    t.test(`a commitWhen that answers with a promise of ${answer} rolls back, and is told so; commit: ${commit}`, async (t) => {
      const commitWhen = promise as unknown as () => boolean
      const { app, log, first } = await fakeApp(t, { first: { commit, commitWhen } }, (app) => {
        app.get('/', async ({ first }) => {
          first.add('a')
          return 'ok'
        })
      })
      t.equal((await app.inject('/')).statusCode, commit === 'onSend' ? 500 : 200)
      await first.provider.allClosed()
      t.strictSame([[...first.kept], first.provider.steps], [[], ['open', 'rollback', 'close']])
      t.match(log, [{ level: 50, err: { code: 'FST_SESSION_OPTION', message: /^commitWhen of GET \/: must return a boolean/ } }])
    })
  }

  t.test(`commitWhen sees the status of a web Response; commit: ${commit}`, async (t) => {
    const seen: number[] = []
    const { app, first } = await fakeApp(t, { first: { commit, commitWhen: (_request, { statusCode }) => { seen.push(statusCode); return statusCode === 409 } } }, (app) => {
      app.get('/:code', async ({ first, params }) => {
        const { code } = params as { code: string }
        first.add(code)
        return new Response('body', { status: Number(code) })
      })
    })
    for (const code of [201, 409]) t.equal((await app.inject(`/${code}`)).statusCode, code)
    await first.provider.allClosed()
    t.strictSame([seen, [...first.kept]], [[201, 409], ['409']])
  })
}
