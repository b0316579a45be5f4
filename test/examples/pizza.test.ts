import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { memoryStore, redisStore, type CompleteStore } from 'fastify-request-session'
import { buildApp, type PizzeriaOptions } from '../../examples/pizza/main.js'
import type { OrderView } from '../../examples/pizza/orders.js'
import { redisForTest } from '../support/servers/require.js'

interface ServerEvent { event: string, data: { how?: string } & Partial<OrderView> & OrderView[] }

/** An app that listens, and what a browser with one cookie asks of it. */
class Client {
  readonly #url: string
  #cookie = ''

  constructor (url: string) {
    this.#url = url
  }

  async ask (method: string, path: string, body?: object): Promise<{ status: number, body: Record<string, unknown> }> {
    const reply = await fetch(`${this.#url}/api/${path}`, {
      method, headers: { cookie: this.#cookie, ...body && { 'content-type': 'application/json' } }, ...body && { body: JSON.stringify(body) },
    })
    for (const cookie of reply.headers.getSetCookie()) this.#cookie = cookie.split(';', 1)[0] as string
    const text = await reply.text()
    return { status: reply.status, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
  }

  async * events (path: string): AsyncGenerator<ServerEvent, undefined> {
    const reply = await fetch(`${this.#url}/api/${path}`, { headers: { cookie: this.#cookie } })
    const decoder = new TextDecoder()
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader()
    let rest = ''
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const blocks = (rest + decoder.decode(read.value, { stream: true })).split('\n\n')
      rest = blocks.pop() as string
      for (const block of blocks) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
        if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as ServerEvent['data'] }
      }
    }
    return undefined
  }
}

async function serve (t: Test, options: PizzeriaOptions): Promise<{ client: Client, app: FastifyInstance }> {
  const app = await buildApp(options)
  t.teardown(() => app.close())
  return { client: new Client(await app.listen({ port: 0, host: '127.0.0.1' })), app }
}

async function until (events: AsyncGenerator<ServerEvent>, fits: (event: ServerEvent) => boolean): Promise<ServerEvent> {
  for (;;) {
    const { value, done } = await events.next()
    if (done) throw new Error('the stream ended')
    if (fits(value as ServerEvent)) return value as ServerEvent
  }
}

async function aDay (t: Test, connect: () => { orders: CompleteStore, shifts: CompleteStore }): Promise<void> {
  const stores = connect()
  const { client: one } = await serve(t, stores)
  const { client: two } = await serve(t, connect())
  const { status, body: { number, token } } = await one.ask('POST', 'orders', { pizza: 'funghi', customer: ' Ada ' })
  t.equal(status, 201)
  const customer = two.events(`orders/${String(token)}/events`)
  t.match(await until(customer, ({ event }) => event !== 'process'), { event: 'order', data: { number, pizza: 'funghi', customer: 'Ada', stage: 'ordered', minutes: 24 } })
  const kitchen = two.events('orders/events')
  t.match((await until(kitchen, ({ event }) => event === 'orders')).data.map(({ number }) => number), [number])

  t.equal((await one.ask('POST', `orders/${String(number)}/ready`)).status, 409, 'it is not in the oven')
  const cooks = await Promise.all([one.ask('POST', `orders/${String(number)}/bake`), two.ask('POST', `orders/${String(number)}/bake`)])
  t.same(cooks.map(({ status }) => status).sort(), [200, 409], 'of two cooks at once one is refused')
  await until(customer, ({ data }) => data.stage === 'baking')
  await one.ask('POST', `orders/${String(number)}/ready`)
  await until(kitchen, ({ data }) => data[0]?.stage === 'ready')

  t.equal((await one.ask('POST', `shift/${String(number)}`)).status, 403, 'who is not on shift takes nothing')
  t.match((await one.ask('PUT', 'shift', { driver: 'Bob' })).body, { driver: 'Bob', deliveries: [] })
  await two.ask('PUT', 'shift', { driver: 'Cid' })
  const own = one.events('shift/events')
  await until(own, ({ data }) => data[0]?.stage === 'ready')
  t.match((await one.ask('POST', `shift/${String(number)}`)).body, { deliveries: [{ number, pizza: 'funghi', deliveredAt: null }] })
  t.equal((await two.ask('POST', `shift/${String(number)}`)).status, 409)
  t.equal((await two.ask('PUT', `shift/${String(number)}`, { progress: 1 })).status, 409, 'another driver does not move it')
  for (let progress = 0.25; progress <= 1; progress += 0.25) {
    t.match((await one.ask('PUT', `shift/${String(number)}`, { progress })).body, { progress, minutes: 12 * (1 - progress) })
    await until(customer, ({ data }) => data.progress === progress)
  }
  t.equal((await one.ask('PUT', `shift/${String(number)}`, { progress: 2 })).status, 400)
  t.match((await one.ask('POST', `shift/${String(number)}/delivered`)).body, { deliveries: [{ number, deliveredAt: String }] })
  t.match(await until(customer, ({ event }) => event === 'over'), { data: { how: 'ended' } })
  t.equal((await customer.next()).done, true, 'and the stream ends')
  await until(kitchen, ({ data }) => data.length === 0)
  t.equal((await two.ask('POST', `orders/${String(number)}/bake`)).status, 404)
  t.equal((await two.ask('GET', `orders/${String(token)}/events`)).status, 404)
  t.equal((await one.ask('DELETE', 'shift')).status, 204)
  t.match((await one.ask('GET', 'shift')).body, { deliveries: [] })
}

const redis = await redisForTest(t)

await t.test('a day on the embedded store', async (t) => {
  const stores = { orders: memoryStore(), shifts: memoryStore() }
  await aDay(t, () => stores)
})

if (redis) {
  await t.test('a day on Redis: two apps that share nothing else', async (t) => {
    await aDay(t, () => {
      const client = new Redis(redis.url)
      t.teardown(() => client.disconnect())
      return { orders: redisStore(client, { prefix: `${t.fullname}:order:` }), shifts: redisStore(client, { prefix: `${t.fullname}:shift:` }) }
    })
  })
}

await t.test('every order has a number of its own', async (t) => {
  const { client } = await serve(t, {})
  const orders = await Promise.all(Array.from({ length: 20 }, () => client.ask('POST', 'orders', { pizza: 'diavola', customer: 'Ada' })))
  t.same(orders.map(({ body }) => body['number']).sort((a, b) => Number(a) - Number(b)), Array.from({ length: 20 }, (_, i) => i + 1))
  t.equal((await client.ask('POST', 'orders', { pizza: 'hawaii', customer: 'Ada' })).status, 400)
  t.equal((await client.ask('POST', 'orders', { pizza: 'diavola', customer: ' ' })).status, 400)
})

await t.test('an order that nobody finishes is given up, and its pages are told', async (t) => {
  const { client } = await serve(t, { patience: 1 })
  const { body: { token } } = await client.ask('POST', 'orders', { pizza: 'diavola', customer: 'Ada' })
  t.match(await until(client.events(`orders/${String(token)}/events`), ({ event }) => event === 'over'), { data: { how: 'expired' } })
})

await t.test('a stream tells which process sends it, and a store that fails is an answer with a status', async (t) => {
  const orders = memoryStore()
  const { client, app } = await serve(t, { orders })
  t.equal((await client.ask('GET', 'health')).status, 200)
  const stream = client.events('orders/events')
  t.strictSame((await stream.next()).value, { event: 'process', data: { pid: process.pid, port: (app.server.address() as AddressInfo).port } })
  await until(stream, ({ event }) => event === 'orders')
  const { body: { token } } = await client.ask('POST', 'orders', { pizza: 'diavola', customer: 'Ada' })
  const customer = client.events(`orders/${String(token)}/events`)
  await until(customer, ({ event }) => event === 'order')
  orders.load = async () => { throw new Error('connect ECONNREFUSED') }
  t.equal((await client.ask('GET', 'orders/events')).status, 503)
  t.equal((await client.ask('GET', `orders/${String(token)}/events`)).status, 503)
})

await t.test('the app closes although pages follow it', async (t) => {
  const { client, app } = await serve(t, {})
  const { body: { token } } = await client.ask('POST', 'orders', { pizza: 'diavola', customer: 'Ada' })
  const streams = [client.events('orders/events'), client.events(`orders/${String(token)}/events`)]
  for (const stream of streams) await until(stream, ({ event }) => event !== 'process')
  await app.close()
  for (const stream of streams) t.equal((await stream.next()).done, true)
})
