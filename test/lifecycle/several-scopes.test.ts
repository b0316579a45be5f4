import t from 'tap'
import { fakeApp, type FakeApp } from '../support/fake-app.js'

/** Steps of both providers in the order in which they were asked. */
function watchOrder ({ first, second }: FakeApp): string[] {
  const order: string[] = []
  for (const [name, { provider }] of Object.entries({ first, second })) {
    for (const step of ['commit', 'rollback', 'close'] as const) provider.before[step] = () => { order.push(`${step} ${name}`) }
  }
  return order
}

for (const answers of ['later', 'at-once'] as const) {
  for (const commit of ['onSend', 'onResponse'] as const) {
    const options = { first: { commit, answers }, second: { commit, answers } }

    t.test(`commit: ${commit}, answers ${answers}`, async (t) => {
      t.test('two scopes settle in reverse order of registration, in whatever order they were used', async (t) => {
        const fake = await fakeApp(t, options, (app) => {
          app.get('/first-first', async ({ first, second }) => { first.add('a'); second.add('a'); return 'ok' })
          app.get('/second-first', async ({ second, first }) => { second.add('b'); first.add('b'); return 'ok' })
        })
        const order = watchOrder(fake)
        for (const url of ['/first-first', '/second-first']) {
          await fake.app.inject(url)
          await Promise.all([fake.first.provider.allClosed(), fake.second.provider.allClosed()])
          t.strictSame(order.splice(0).filter((step) => !step.startsWith('close')), ['commit second', 'commit first'], url)
        }
      })

      t.test('if the one that commits first fails, the other rolls back, even if it always commits', async (t) => {
        const fake = await fakeApp(t, { ...options, first: { ...options.first, commits: 'always' } }, (app) => {
          app.get('/', async ({ first, second }) => { first.add('a'); second.add('a'); return 'ok' })
        })
        const order = watchOrder(fake)
        fake.second.provider.before.commit = () => { throw new Error('no second') }
        const { statusCode } = await fake.app.inject('/')
        await Promise.all([fake.first.provider.allClosed(), fake.second.provider.allClosed()])
        t.equal(statusCode, commit === 'onSend' ? 500 : 200)
        t.strictSame(order.filter((step) => !step.startsWith('close')), ['rollback first'])
        t.strictSame([[...fake.first.kept], [...fake.second.kept]], [[], []])
        t.strictSame([fake.first.provider.open, fake.second.provider.open], [0, 0])
      })

      t.test('if the one that commits last fails, the other stays committed, and the log says so', async (t) => {
        const { app, first, second, log } = await fakeApp(t, options, (app) => {
          app.get('/', async ({ first, second }) => { first.add('a'); second.add('a'); return 'ok' })
        })
        first.provider.before.commit = () => { throw new Error('no first') }
        const { statusCode } = await app.inject('/')
        await Promise.all([first.provider.allClosed(), second.provider.allClosed()])
        t.equal(statusCode, commit === 'onSend' ? 500 : 200)
        t.strictSame([[...first.kept], [...second.kept]], [[], ['a']])
        t.strictSame(log.filter(({ level }) => level === 50).map(({ err }) => err?.message), ['no first'])
        const warned = log.filter(({ level }) => level === 40).map(({ msg }) => msg)
        t.strictSame(warned, commit === 'onSend' ? ['request.second of GET / was committed before its reply became an error'] : [])
      })
    })
  }
}

t.test('one scope that fails to commit before the headers lets the one that commits after them roll back', async (t) => {
  const { app, first, second } = await fakeApp(t, { first: { commit: 'onResponse' } }, (app) => {
    app.get('/', async ({ first, second }) => { first.add('a'); second.add('a'); return 'ok' })
  })
  second.provider.before.commit = () => { throw new Error('no second') }
  t.equal((await app.inject('/')).statusCode, 500)
  await first.provider.allClosed()
  t.strictSame([...first.kept], [])
  t.strictSame(first.provider.steps, ['open', 'rollback', 'close'])
})

t.test('an error while the first of two commits is under way does not change what the second goes by', async (t) => {
  const { app, first, second } = await fakeApp(t, {}, (app) => {
    app.get('/', (request, reply) => {
      request.first.add('a')
      request.second.add('a')
      reply.code(201).header('x-kind', 'good').send('good')
      throw new Error('thrown after send()')
    })
  })
  const { statusCode, headers, body } = await app.inject('/')
  t.strictSame([statusCode, headers['x-kind'], headers['content-type'], body], [201, 'good', 'text/plain; charset=utf-8', 'good'])
  t.strictSame([[...first.kept], [...second.kept]], [['a'], ['a']])
})

t.test('an error that both know: the one that was registered first says what the reply is', async (t) => {
  const options = { first: { replyTo: () => ({ statusCode: 503 }) }, second: { replyTo: () => ({ statusCode: 504 }) } }
  const { app } = await fakeApp(t, options, (app) => {
    app.get('/both', async ({ second, first }) => { second.add('a'); first.add('a'); throw new Error('known') })
    app.get('/second', async ({ second }) => { second.add('a'); throw new Error('known') })
  })
  t.equal((await app.inject('/both')).statusCode, 503)
  t.equal((await app.inject('/second')).statusCode, 504)
})
