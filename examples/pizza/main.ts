/**
 * A pizzeria: the customer orders, the kitchen bakes, a driver brings it, and any number of pages follow it live. An
 * order is a shared session, a driver's shift is the session of his browser, with his deliveries as its keys.
 */
import createError from '@fastify/error'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import requestSession, {
  memoryStore, redisStore, tokenSessions, type CompleteStore, type TokenProvider,
} from 'fastify-request-session'
import { command } from '../shared/command.js'
import { eventStreams, type EventStream } from '../shared/event-streams.js'
import type { Example } from '../shared/example.js'
import { health } from '../shared/health.js'
import { underTheHood, watchStore } from '../shared/hood/under-the-hood.js'
import { logger } from '../shared/logger.js'
import { pages } from '../shared/pages.js'
import { connectRedis, withoutPassword } from '../shared/redis.js'
import { menu, pizzaIds, type OrderView, type PizzaId } from './orders.js'
import { NoOrderError, Pizzeria } from './pizzeria.js'
import { deliveryKey, shiftView, type ShiftData } from './shift.js'

declare module 'fastify-request-session' { interface Registered { shift: TokenProvider<ShiftData> } }

const NoShiftError = createError('PIZZA_NO_SHIFT', 'Begin your shift first.', 403)

export interface PizzeriaOptions {
  /** Where orders live. @default the embedded store, in memory */
  orders?: CompleteStore | undefined
  /** Where shifts live: apart from the orders, so that the token of the one is none of the other. @default the embedded store */
  shifts?: CompleteStore | undefined
  /** The tokens of orders follow from it. */
  secret?: string | undefined
  /** Seconds after which an order is given up. */
  patience?: number | undefined
  logger?: FastifyServerOptions['logger'] | undefined
}

const demoSecret = 'whoever has read this can guess the orders of the demo'

export async function buildApp (options: PizzeriaOptions = {}): Promise<FastifyInstance> {
  const { orders = memoryStore(), shifts = memoryStore(), secret = demoSecret, patience = 3600, logger = false } = options
  const app = Fastify({ logger, ajv: { customOptions: { removeAdditional: false } } })
  // JSON is what no form of another site can send: that, and the cookie's SameSite=Lax, keep forged requests out.
  app.removeContentTypeParser('text/plain')

  underTheHood(app, import.meta.url, new URL('pizzeria.ts', import.meta.url))
  const pizzeria = new Pizzeria(watchStore(orders), secret, patience)
  app.addHook('onClose', () => pizzeria.close())
  const open = eventStreams(app)
  await app.register(requestSession, { name: 'shift', provider: tokenSessions<ShiftData>({ store: watchStore(shifts), ttl: 12 * 3600 }) })
  await app.register(pages, { folder: new URL('public/', import.meta.url) })
  await app.register(health)

  /** Begins with the process that answers: pages of two processes on one Redis show the same orders. */
  async function openStream (reply: FastifyReply): Promise<EventStream> {
    const stream = open(reply)
    await stream.send('process', { pid: process.pid, port: reply.request.socket.localPort })
    return stream
  }

  /** Sends these of the open orders, now and whenever something about them changes. */
  async function showOrders (reply: FastifyReply, fits: (order: OrderView) => boolean): Promise<void> {
    const look = async (): Promise<OrderView[]> => (await pizzeria.open()).filter(fits)
    await look()
    const stream = await openStream(reply)
    const send = (): Promise<void> => stream.attempt(async () => stream.send('orders', await look()))
    await stream.attempt(async () => {
      const subscription = await pizzeria.followAll(send)
      stream.onEnd(() => { subscription?.close() })
    })
    await send()
  }

  const number = { type: 'integer', minimum: 1 }
  const one = { schema: { params: objectOf({ number }) } }

  app.get('/api/menu', async () => menu)

  app.post<{ Body: { pizza: PizzaId, customer: string } }>('/api/orders', {
    schema: { body: objectOf({ pizza: { enum: pizzaIds }, customer: { type: 'string', minLength: 1, maxLength: 40, pattern: '\\S' } }) },
  }, async (request, reply) => {
    reply.code(201)
    return pizzeria.take(request.body.pizza, request.body.customer.trim())
  })

  app.get<{ Params: { token: string } }>('/api/orders/:token/events', async (request, reply) => {
    const { token } = request.params
    const first = await pizzeria.find(token)
    if (first === undefined) throw new NoOrderError()
    const stream = await openStream(reply)
    await stream.attempt(async () => {
      const subscription = await pizzeria.follow(token, ({ type }) => stream.attempt(async () => {
        if (type !== 'changed') return over(type)
        const view = await pizzeria.find(token)
        if (view !== undefined) await stream.send('order', view)
      }))
      stream.onEnd(() => { subscription?.close() })
      // Read only now: what has happened since the first look is in it, what happens from now on is told.
      const view = await pizzeria.find(token)
      if (view !== undefined) await stream.send('order', view)
      else if (subscription === undefined) await over('ended')
    })

    async function over (how: string): Promise<void> {
      await stream.send('over', { how })
      stream.end()
    }
  })

  app.get('/api/orders/events', async (_request, reply) => showOrders(reply, () => true))

  app.post<{ Params: { number: number } }>('/api/orders/:number/bake', one, async ({ params }) => pizzeria.advance(params.number, 'ordered', 'baking'))

  app.post<{ Params: { number: number } }>('/api/orders/:number/ready', one, async ({ params }) => pizzeria.advance(params.number, 'baking', 'ready'))

  app.get('/api/shift', async (request) => shiftView(await request.shift))

  app.put<{ Body: { driver: string } }>('/api/shift', {
    schema: { body: objectOf({ driver: { type: 'string', minLength: 1, maxLength: 30, pattern: '\\S' } }) },
  }, async (request) => {
    const shift = await request.shift
    shift.regenerate() // a new shift is a login
    shift.set('driver', request.body.driver.trim())
    return shiftView(shift)
  })

  app.delete('/api/shift', async (request, reply) => {
    const shift = await request.shift
    shift.end()
    return reply.code(204).send()
  })

  app.post<{ Params: { number: number } }>('/api/shift/:number', one, async (request) => {
    const { shift, driver } = await onShift(request)
    const { number } = request.params
    const order = await pizzeria.hand(number, driver)
    shift.set(deliveryKey(number), { pizza: order.pizza, customer: order.customer, deliveredAt: null })
    return shiftView(shift)
  })

  app.put<{ Params: { number: number }, Body: { progress: number } }>('/api/shift/:number', {
    schema: { params: objectOf({ number }), body: objectOf({ progress: { type: 'number', minimum: 0, maximum: 1 } }) },
  }, async (request) => {
    const { driver } = await onShift(request)
    return pizzeria.move(request.params.number, driver, request.body.progress)
  })

  app.post<{ Params: { number: number } }>('/api/shift/:number/delivered', one, async (request) => {
    const { shift, driver } = await onShift(request)
    const { number } = request.params
    await pizzeria.deliver(number, driver)
    shift.update(deliveryKey(number), (delivery) => delivery && { ...delivery, deliveredAt: new Date().toISOString() })
    return shiftView(shift)
  })

  /** The driver's own view: his orders, live. His shift is saved before the reply is taken out of Fastify's hands. */
  app.get('/api/shift/events', async (request, reply) => {
    const { shift, driver } = await onShift(request)
    shift.touch()
    await request.shiftScope.commit()
    await showOrders(reply, (order) => order.stage === 'ready' || order.driver === driver)
  })

  return app
}

async function onShift (request: FastifyRequest) {
  const shift = await request.shift
  const driver = shift.get('driver')
  if (driver === undefined) throw new NoShiftError()
  return { shift, driver }
}

function objectOf (properties: Record<string, object>): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** On Redis if `REDIS_URL` names one, else on the embedded store. `PIZZA_SECRET` has to be the same in all processes. */
export async function start (): Promise<Example> {
  const url = process.env['REDIS_URL']
  const secret = process.env['PIZZA_SECRET'] || undefined
  const tries = (address: string) => [
    `Order, and open ${address}/kitchen.html and ${address}/driver.html beside it: all follow.`,
    'Send the order\'s address to a friend. With HOST=0.0.0.0 a phone in your network can follow too, by its QR code.',
  ] as const
  if (!url) {
    return {
      app: await buildApp({ logger, secret }),
      store: 'the embedded store',
      tries: (address) => [...tries(address),
        `In a terminal: curl ${address}/api/orders --json '{"pizza":"funghi","customer":"Ada"}' (the kitchen has it at once).`],
    }
  }
  const redis = await connectRedis(url)
  const store = (prefix: string) => redisStore(redis, { prefix })
  const app = await buildApp({ logger, secret, orders: store('pizza:order:'), shifts: store('pizza:shift:') })
  redis.on('error', (error) => app.log.error(error, 'the connection to Redis failed'))
  app.addHook('onClose', async () => redis.disconnect())
  const options = `--prefix pizza:order: --redis ${withoutPassword(url)}`
  return {
    app,
    store: `Redis at ${withoutPassword(url)}`,
    tries: (address) => [...tries(address), `In a terminal: ${command} list ${options}, and then end --id ID --yes ${options}: who follows the order is told at once.`],
  }
}
