import { mock } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { memoryStore, redisStore, type CompleteStore } from 'fastify-request-session'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { BasketView } from '../../examples/basket/basket.js'
import { buildApp, type ShopOptions } from '../../examples/basket/main.js'
import { redisForTest } from '../support/servers/require.js'
import { Visitor } from '../support/visitor.js'

async function open (t: Test, options?: ShopOptions): Promise<FastifyInstance> {
  const app = await buildApp(options)
  t.teardown(() => app.close())
  return app
}

async function view (visitor: Visitor, url = '/api/basket'): Promise<BasketView> {
  const response = await visitor.ask('GET', url)
  return response.json<BasketView>()
}

function add (visitor: Visitor, product: string) {
  return visitor.ask('POST', '/api/basket/lines', { product })
}

function quantities ({ lines }: BasketView): Record<string, number> {
  return Object.fromEntries(lines.map(({ product, quantity }) => [product, quantity]))
}

/** What the shop does on any store. */
function shopTests (t: Test, store: () => CompleteStore): void {
  t.test('who only looks gets no session', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    t.strictSame(await view(visitor), { lines: [], total: 0, ttl: 1800, left: null })
    t.equal(visitor.cookie, '')
  })

  t.test('two visitors have two baskets', async (t) => {
    const app = await open(t, { store: store() })
    const [ann, bob] = [new Visitor(app), new Visitor(app)]
    await add(ann, 'figs')
    await add(bob, 'coffee')
    await add(ann, 'figs')
    t.strictSame(quantities(await view(ann)), { figs: 2 })
    t.strictSame(quantities(await view(bob)), { coffee: 1 })
    t.equal((await view(ann)).total, 1080)
  })

  t.test('what several tabs add at the same moment is all there', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    await add(visitor, 'lemons')
    await Promise.all(['figs', 'coffee', 'figs', 'lemons', 'coffee', 'figs'].map((product) => add(visitor, product)))
    t.strictSame(quantities(await view(visitor)), { lemons: 2, figs: 3, coffee: 2 })
  })

  t.test('quantities are set, bounded, and taken away', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    await add(visitor, 'figs')
    await visitor.ask('PUT', '/api/basket/lines/figs', { quantity: 9 })
    await add(visitor, 'figs')
    await add(visitor, 'lemons')
    t.strictSame(quantities(await view(visitor)), { figs: 9, lemons: 1 })
    await visitor.ask('PUT', '/api/basket/lines/figs', { quantity: 0 })
    t.strictSame(quantities(await view(visitor)), { lemons: 1 })
  })

  t.test('a checkout renews the token, and its receipt stays until the session is ended', async (t) => {
    const app = await open(t, { store: store() })
    const visitor = new Visitor(app)
    await add(visitor, 'figs')
    const thief = new Visitor(app)
    for (const [name, value] of visitor.cookies) thief.cookies.set(name, value)

    const paid = await visitor.ask('POST', '/api/checkout', { total: 540 })
    t.match(paid.json(), { lines: [], receipt: { total: 540, lines: [{ product: 'figs', quantity: 1, sum: 540 }] } })
    t.not(visitor.cookie, thief.cookie)
    t.strictSame(await view(thief), { lines: [], total: 0, ttl: 1800, left: null }, 'the old token is unknown')
    t.strictSame((await view(visitor)).receipt, paid.json<BasketView>().receipt)

    const last = new Visitor(app)
    for (const [name, value] of visitor.cookies) last.cookies.set(name, value)
    t.equal((await visitor.ask('DELETE', '/api/basket')).statusCode, 204)
    t.equal(visitor.cookie, '', 'the cookie is cleared')
    t.equal((await view(last)).left, null, 'the session is deleted')
  })

  t.test('of two checkouts at the same moment one is refused', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    await add(visitor, 'figs')
    const answers = await Promise.all([1, 2].map(() => visitor.ask('POST', '/api/checkout', { total: 540 })))
    t.strictSame(answers.map(({ statusCode }) => statusCode).sort(), [200, 409])
    t.equal((await view(visitor)).receipt?.total, 540)
  })

  t.test('going on shopping puts the receipt away', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    await add(visitor, 'figs')
    await visitor.ask('POST', '/api/checkout', { total: 540 })
    await add(visitor, 'lemons')
    t.match(await view(visitor), { lines: [{ product: 'lemons' }], receipt: undefined })
  })

  t.test('there is no checkout of an empty basket, nor of one that has changed', async (t) => {
    const visitor = new Visitor(await open(t, { store: store() }))
    t.match((await visitor.ask('POST', '/api/checkout', { total: 0 })).json(), { statusCode: 409, code: 'SHOP_EMPTY_BASKET' })
    await add(visitor, 'figs')
    t.match((await visitor.ask('POST', '/api/checkout', { total: 1 })).json(), { statusCode: 409, code: 'SHOP_OTHER_TOTAL' })
    t.strictSame(quantities(await view(visitor)), { figs: 1 })
  })

  t.test('a lifetime can be chosen before anything is in the basket', async (t) => {
    const visitor = new Visitor(await open(t, { store: store(), lifetimes: [20, 60] }))
    const { ttl, left } = (await visitor.ask('PUT', '/api/basket/lifetime', { ttl: 20 })).json<BasketView>()
    t.equal(ttl, 20)
    t.ok(left !== null && left > 15_000 && left <= 20_000, `${left} milliseconds are left`)
    await add(visitor, 'figs')
    t.equal((await view(visitor)).ttl, 20)
  })
}

t.test('on the embedded store', async (t) => shopTests(t, () => memoryStore()))

t.test('on Redis', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const redis = new Redis(server.url)
  t.teardown(() => redis.disconnect())
  const prefix = `shop-${process.pid}:`
  shopTests(t, () => redisStore(redis, { prefix }))

  t.test('each use sets the time to live in Redis, a look does not', async (t) => {
    const own = `${prefix}ttl:`
    const visitor = new Visitor(await open(t, { store: redisStore(redis, { prefix: own }), lifetimes: [20, 60] }))
    await add(visitor, 'figs')
    const [key = ''] = await redis.keys(`${own}*`)
    const left = async (): Promise<number> => redis.pttl(key)
    t.ok(await left() > 55_000, 'a new basket has the last lifetime')

    await redis.pexpire(key, 5000)
    await view(visitor, '/api/basket/look')
    t.ok(await left() <= 5000, 'a look leaves it')
    await view(visitor)
    t.ok(await left() > 55_000, 'a use begins it anew')
    await visitor.ask('PUT', '/api/basket/lifetime', { ttl: 20 })
    t.ok(await left() > 15_000 && await left() <= 20_000, 'a lifetime that is chosen counts at once')

    await redis.pexpire(key, 1)
    while (await redis.exists(key) === 1);
    t.equal((await view(visitor)).left, null)
  })
})

t.test('a basket expires when it was not used for its lifetime', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  t.teardown(() => mock.timers.reset())
  const visitor = new Visitor(await open(t, { lifetimes: [10, 30] }))
  await add(visitor, 'figs')
  t.equal((await visitor.ask('PUT', '/api/basket/lifetime', { ttl: 10 })).json<BasketView>().left, 10_000)

  mock.timers.tick(9000)
  t.equal((await add(visitor, 'figs')).json<BasketView>().left, 10_000, 'a use begins the time anew')
  mock.timers.tick(500)
  t.equal((await view(visitor)).left, 10_000, 'however soon it comes')
  mock.timers.tick(9000)
  t.equal((await view(visitor, '/api/basket/look')).left, 1000, 'a look does not')
  t.strictSame(quantities(await view(visitor, '/api/basket/look')), { figs: 2 })
  mock.timers.tick(1000)
  t.match(await view(visitor), { lines: { length: 0 }, total: 0, ttl: 30, left: null })
})

t.test('bad input is answered clearly and changes nothing', async (t) => {
  const app = await open(t)
  const visitor = new Visitor(app)
  await add(visitor, 'figs')
  const bad: [method: 'POST' | 'PUT', url: string, body: object | undefined, message: string][] = [
    ['POST', '/api/basket/lines', { product: 'caviar' }, 'body/product must be equal to one of the allowed values'],
    ['POST', '/api/basket/lines', { product: '__proto__' }, 'body/product must be equal to one of the allowed values'],
    ['POST', '/api/basket/lines', {}, "body must have required property 'product'"],
    ['POST', '/api/basket/lines', { product: 'figs', price: 1 }, 'body must NOT have additional properties'],
    ['POST', '/api/basket/lines', [], 'body must be object'],
    ['POST', '/api/basket/lines', undefined, 'body must be object'],
    ['PUT', '/api/basket/lines/figs', { quantity: 10 }, 'body/quantity must be <= 9'],
    ['PUT', '/api/basket/lines/figs', { quantity: -1 }, 'body/quantity must be >= 0'],
    ['PUT', '/api/basket/lines/figs', { quantity: 1.5 }, 'body/quantity must be integer'],
    ['PUT', '/api/basket/lines/figs', { quantity: '2' }, 'body/quantity must be integer'],
    ['PUT', '/api/basket/lines/caviar', { quantity: 1 }, 'params/product must be equal to one of the allowed values'],
    ['PUT', '/api/basket/lifetime', { ttl: 11 }, 'body/ttl must be equal to one of the allowed values'],
    ['PUT', '/api/basket/lifetime', { ttl: null }, 'body/ttl must be equal to one of the allowed values'],
    ['POST', '/api/checkout', {}, "body must have required property 'total'"],
  ]
  for (const [method, url, body, message] of bad) {
    const answer = await visitor.ask(method, url, body)
    t.match(answer.json(), { statusCode: 400, message }, `${method} ${url} ${JSON.stringify(body)}`)
  }
  t.strictSame(quantities(await view(visitor)), { figs: 1 })
})

t.test('what a form of another site can send is refused', async (t) => {
  const app = await open(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const answer = await app.inject({
      method: 'POST', url: '/api/basket/lines', headers: { 'content-type': type }, payload: '{"product":"figs"}',
    })
    t.equal(answer.statusCode, 415, type)
    t.equal(answer.headers['set-cookie'], undefined)
  }
})

t.test('the page and all that it names is served, from here alone', async (t) => {
  const app = await open(t)
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.match(page.headers, { 'content-type': /text\/html/, 'content-security-policy': /default-src 'self'/ })
  const { products } = (await app.inject('/api/shop')).json<{ products: { id: string }[] }>()
  const named = [...page.body.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map(([, path]) => path as string)
  for (const path of [...named, ...products.map(({ id }) => `/art/${id}.svg`)]) {
    t.equal((await app.inject(path)).statusCode, 200, path)
  }
  t.notMatch(page.body, /https?:\/\//)
  t.equal((await app.inject('/../main.ts')).statusCode, 404)
})
