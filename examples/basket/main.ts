/**
 * A shop whose visitors have a basket without signing in: it is their session. It lives for as long as they use it,
 * and is forgotten some time after that.
 */
import { randomUUID } from 'node:crypto'
import createError from '@fastify/error'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import requestSession, { memoryStore, redisStore, tokenSessions, type CompleteStore, type SessionUpdate, type TokenProvider } from 'fastify-request-session'
import { command } from '../shared/command.js'
import { eventStreams } from '../shared/event-streams.js'
import type { Example } from '../shared/example.js'
import { health } from '../shared/health.js'
import { underTheHood, watchStore } from '../shared/hood/under-the-hood.js'
import { logger } from '../shared/logger.js'
import { pages } from '../shared/pages.js'
import { connectRedis, withoutPassword } from '../shared/redis.js'
import { maxQuantity, receiptFor, viewOf, withQuantity, type Basket, type BasketData } from './basket.js'
import { productIds, products, type ProductId } from './products.js'

declare module 'fastify-request-session' { interface Registered { basket: TokenProvider<BasketData> } }

const EmptyBasketError = createError('SHOP_EMPTY_BASKET', 'The basket is empty: there is nothing to pay for.', 409)
const OtherTotalError = createError('SHOP_OTHER_TOTAL', 'The basket has changed meanwhile: look at its new sum first.', 409)

export interface ShopOptions {
  /** Where the baskets live. @default the embedded store, in memory */
  store?: CompleteStore | undefined
  /** The lifetimes that visitors choose from, in seconds without use; the last one is what a new basket has. */
  lifetimes?: readonly [number, ...number[]] | undefined
  logger?: FastifyServerOptions['logger'] | undefined
}

export async function buildApp ({ store, lifetimes = [10, 30, 1800], logger = false }: ShopOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({
    logger,
    // What does not fit a schema is refused, not bent until it fits.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // JSON is what no form of another site can send: that, and the cookie's SameSite=Lax, keep forged requests out.
  app.removeContentTypeParser('text/plain')

  underTheHood(app, import.meta.url)
  const baskets = tokenSessions<BasketData>({ store: watchStore(store ?? memoryStore()), ttl: lifetimes.at(-1) })
  const openStream = eventStreams(app)
  await app.register(requestSession, { name: 'basket', provider: baskets })
  await app.register(pages, { folder: new URL('public/', import.meta.url) })
  await app.register(health)

  // A basket that is gone has expired, unless this is another shop's memory than that which it was in.
  const memory = store === undefined ? randomUUID() : undefined
  const tell = (basket: Basket) => ({ ...viewOf(basket), memory })

  app.get('/api/shop', async () => ({ products, lifetimes, maxQuantity }))

  app.get('/api/basket', async (request) => tell(await used(request)))

  // A look that does not prolong the basket's life, since nothing of it is committed: the page asks it whether a
  // basket whose time seems to be up was used in another tab.
  app.get('/api/basket/look', { config: { basket: { commitWhen: () => false } } }, async (request) => tell(await request.basket))

  // Tells the page when its basket has changed, in whatever window, and when it has ended: by whoever, or since its time is up.
  app.get('/api/basket/events', { config: { basket: { commitWhen: () => false } } }, async (request, reply) => {
    const { token } = await request.basket
    const stream = openStream(reply)
    const send = async (why: SessionUpdate['type']): Promise<void> => {
      await stream.send(why === 'changed' ? 'changed' : 'over', { why })
      if (why !== 'changed') stream.end()
    }
    await stream.attempt(async () => {
      const subscription = await baskets.subscribe({ token }, ({ type }) => send(type))
      stream.onEnd(() => { subscription?.close() })
      // It may have changed before the first look.
      await send(subscription === undefined ? 'ended' : 'changed')
    })
  })

  app.post<{ Body: { product: ProductId } }>('/api/basket/lines', {
    schema: { body: objectOf({ product: { enum: productIds } }) },
  }, async (request) => {
    const basket = await used(request)
    const { product } = request.body
    // update() applies this to the newest lines: of two tabs that add at the same moment both win.
    basket.update('lines', (lines = {}) => withQuantity(lines, product, (lines[product] ?? 0) + 1))
    basket.delete('receipt')
    return tell(basket)
  })

  app.put<{ Params: { product: ProductId }, Body: { quantity: number } }>('/api/basket/lines/:product', {
    schema: {
      params: objectOf({ product: { enum: productIds } }),
      body: objectOf({ quantity: { type: 'integer', minimum: 0, maximum: maxQuantity } }),
    },
  }, async (request) => {
    const basket = await used(request)
    const { product } = request.params
    basket.update('lines', (lines = {}) => withQuantity(lines, product, request.body.quantity))
    return tell(basket)
  })

  app.put<{ Body: { ttl: number } }>('/api/basket/lifetime', {
    schema: { body: objectOf({ ttl: { enum: lifetimes } }) },
  }, async (request) => {
    const basket = await used(request)
    basket.expire(request.body.ttl)
    basket.add('lines', {}) // a session begins with the first write: what is empty is not saved
    return tell(basket)
  })

  app.post<{ Body: { total: number } }>('/api/checkout', {
    schema: { body: objectOf({ total: { type: 'integer' } }) },
  }, async (request) => {
    const basket = await used(request)
    const { lines, total } = viewOf(basket)
    if (lines.length === 0) throw new EmptyBasketError()
    if (total !== request.body.total) throw new OtherTotalError()
    // Of two checkouts at the same moment exactly one gets the lines.
    if (await basket.claim('lines') === undefined) throw new EmptyBasketError()
    // From here on the session is worth more: one who got hold of its token before is left behind.
    basket.renew()
    basket.set('receipt', receiptFor(lines))
    return tell(basket)
  })

  app.delete('/api/basket', async (request, reply) => {
    const basket = await request.basket
    basket.end()
    return reply.code(204).send()
  })

  return app
}

/**
 * The basket, its time begun anew. Use alone would do that too, but write it at most once per tenth of the time, and
 * this shop shows the clock.
 */
async function used (request: FastifyRequest): Promise<Basket> {
  const basket = await request.basket
  basket.touch()
  return basket
}

function objectOf (properties: Record<string, object>): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** On Redis if `REDIS_URL` names one, else on the embedded store. */
export async function start (): Promise<Example> {
  const url = process.env['REDIS_URL']
  const tries = [
    'Fill a basket with the page in two windows side by side: both follow. Another browser has a basket of its own.',
    'Let it be forgotten after 10 s, and wait. Open "Under the hood" to see what becomes of each request.',
  ] as const
  if (!url) {
    return {
      app: await buildApp({ logger }),
      store: 'the embedded store',
      tries: (address) => [...tries, `In a terminal: curl -i ${address}/api/basket (to look costs no cookie; the drawer shows it at once).`],
    }
  }
  const redis = await connectRedis(url)
  const app = await buildApp({ logger, store: redisStore(redis, { prefix: 'basket:' }) })
  redis.on('error', (error) => app.log.error(error, 'the connection to Redis failed'))
  app.addHook('onClose', async () => redis.disconnect())
  const options = `--prefix basket: --redis ${withoutPassword(url)}`
  return {
    app,
    store: `Redis at ${withoutPassword(url)}`,
    tries: () => [...tries, `In a terminal: ${command} list ${options}, and then end --id ID --yes ${options}: the page follows at once.`],
  }
}
