import { expectTypeOf } from 'expect-type'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import {
  cookieTransport, getSession, memoryStore, redisStore, tokenSessions, type CallOptionsOf, type OpenedSession, type RouteOptionsOf,
  type SessionData, type SessionOf, type SessionStore, type TokenProvider, type TokenSession,
} from '../../lib/index.js'

interface Shop { items: string[], visits: number, note?: string, theme: 'dark' | 'light' | undefined }

const shop = tokenSessions<Shop>({ store: memoryStore(), ttl: 60 })
const early = tokenSessions<Shop>({ load: 'onRequest' })
const loose = tokenSessions()
t.equal(loose.kind, 'token')

// Under names that no other test takes.
declare module 'fastify-request-session' { interface Registered { shop: typeof shop, earlyShop: typeof early } }

/** Only looked at by the compiler. */
function compiles (_use: () => unknown): void {}

t.test('SessionOf: a promise of the session, or the session itself where it is loaded early', async (t) => {
  expectTypeOf<SessionOf<typeof shop>>().toEqualTypeOf<Promise<TokenSession<Shop>>>()
  expectTypeOf<SessionOf<typeof early>>().toEqualTypeOf<TokenSession<Shop>>()
  expectTypeOf<SessionOf<typeof loose>>().toEqualTypeOf<Promise<TokenSession<SessionData>>>()
  expectTypeOf<OpenedSession<typeof shop>>().toEqualTypeOf<TokenSession<Shop>>()
  expectTypeOf<OpenedSession<typeof early>>().toEqualTypeOf<TokenSession<Shop>>()
  expectTypeOf<FastifyRequest['shop']>().toEqualTypeOf<Promise<TokenSession<Shop>>>()
  expectTypeOf<FastifyRequest['earlyShop']>().toEqualTypeOf<TokenSession<Shop>>()
  expectTypeOf<Awaited<FastifyRequest['earlyShop']>>().toEqualTypeOf<TokenSession<Shop>>()
  t.pass('compiles')
})

t.test('keys and values are those of the data', async (t) => {
  compiles(async () => {
    const session = await ({} as FastifyRequest).shop
    expectTypeOf(session.get('items')).toEqualTypeOf<string[] | undefined>()
    expectTypeOf(session.get('note')).toEqualTypeOf<string | undefined>()
    expectTypeOf(session.take('visits')).toEqualTypeOf<number | undefined>()
    expectTypeOf(session.update('visits', (visits = 0) => visits + 1)).toEqualTypeOf<number | undefined>()
    expectTypeOf(session.increment('visits')).toEqualTypeOf<number>()
    expectTypeOf(session.add('note', 'x')).toEqualTypeOf<boolean>()
    expectTypeOf(session.data()).toEqualTypeOf<Partial<Shop>>()
    expectTypeOf([...session.keys()]).toEqualTypeOf<Array<'items' | 'visits' | 'note' | 'theme'>>()
    for (const [key, value] of session.entries()) if (key === 'items') expectTypeOf(value).toEqualTypeOf<string[]>()
    expectTypeOf(session.set('theme', 'dark')).toEqualTypeOf<TokenSession<Shop>>()
    session.set('theme', undefined)
    session.set('note', undefined)
    session.set('items', undefined)
    expectTypeOf(session.expiresAt).toEqualTypeOf<Date | null>()
    expectTypeOf(session.token).toEqualTypeOf<string>()
    await shop.endAll({ subject: 'ada', except: session })

    // @ts-expect-error no such key
    session.get('item')
    // @ts-expect-error no such key
    session.has('item')
    // @ts-expect-error no such key
    session.delete('item')
    // @ts-expect-error no such key
    session.set('item', [])
    // @ts-expect-error not a list
    session.set('items', 'pizza')
    // @ts-expect-error neither of the two
    session.set('theme', 'pink')
    // @ts-expect-error nothing to add
    session.add('note', undefined)
    // @ts-expect-error not a number
    session.increment('items')
    // @ts-expect-error not a number
    session.increment('note')
    // @ts-expect-error not a list
    session.update('items', () => 'pizza')
    // @ts-expect-error read only
    session.token = 'mine'
  })
  t.pass('compiles')
})

t.test('without a type any key goes, and values are unknown', async (t) => {
  compiles(async () => {
    const session = await ({} as { session: SessionOf<typeof loose> }).session
    expectTypeOf(session.get('whatever')).toEqualTypeOf<unknown>()
    session.set('whatever', { a: 1 })
    session.increment('whatever')
    // @ts-expect-error keys are strings
    session.set(1, 1)
  })
  t.pass('compiles')
})

t.test('an interface is a type of data as well as a type alias is', async (t) => {
  type Alias = { a: number }
  expectTypeOf(tokenSessions<Alias>()).toExtend<TokenProvider<Alias>>()
  expectTypeOf(tokenSessions<Shop>()).toExtend<TokenProvider<Shop>>()
  // @ts-expect-error not an object
  compiles(() => tokenSessions<string>())
  t.pass('compiles')
})

t.test('RouteOptionsOf: what a route may say', async (t) => {
  type Route = RouteOptionsOf<typeof shop>
  expectTypeOf<false>().toExtend<Route>()
  expectTypeOf<{ ttl: 5, maxAge: null, load: 'onRequest', onStoreError: 'anonymous', commit: 'onResponse', commitWhen: () => boolean }>().toExtend<Route>()
  expectTypeOf<{ ttl: undefined, commit: undefined }>().toExtend<Route>()
  expectTypeOf<true>().not.toExtend<Route>()
  expectTypeOf<{ ttl: '5' }>().not.toExtend<Route>()
  expectTypeOf<{ load: 'early' }>().not.toExtend<Route>()
  compiles(() => {
    const app = {} as FastifyInstance
    app.get('/', { config: { shop: { ttl: 600 } } }, async (request) => (await request.shop).get('items'))
    app.get('/', { config: { shop: false } }, async () => '')
    // @ts-expect-error not a number
    app.get('/', { config: { shop: { ttl: '600' } } }, async () => '')
    // @ts-expect-error no such option
    const route: Route = { Ttl: 600 }
    return route
  })
  t.pass('compiles')
})

t.test('getSession: with a provider, and on the app', async (t) => {
  expectTypeOf<CallOptionsOf<typeof shop>>().toEqualTypeOf<{ ttl?: number | null | undefined, maxAge?: number | null | undefined, token?: string | undefined }>()
  compiles(async () => {
    expectTypeOf(await getSession(shop, null, (session) => session.get('visits'))).toEqualTypeOf<number | undefined>()
    expectTypeOf(await getSession(early, undefined, async (session) => session.get('items'), { token: 'x' })).toEqualTypeOf<string[] | undefined>()
    const app = {} as FastifyInstance
    expectTypeOf(await app.getShop(null, (session) => session.size)).toEqualTypeOf<number>()
    await app.getShop(await ({} as FastifyRequest).shop, (session) => session.increment('visits'), { ttl: 5 })
    // @ts-expect-error another kind of data
    await app.getShop({} as TokenSession<{ other: 1 }>, () => {})
    // @ts-expect-error no such option
    await app.getShop(null, () => {}, { load: 'lazy' })
    // @ts-expect-error no such key
    await getSession(shop, null, (session) => session.get('visit'))
  })
  t.pass('compiles')
})

t.test('options: with exactOptionalPropertyTypes undefined is allowed, and wrong ones are not', async (t) => {
  compiles(() => {
    tokenSessions<Shop>({ ttl: undefined, store: undefined, transport: undefined, load: undefined })
    cookieTransport({ name: undefined, domain: undefined })
    // @ts-expect-error no such option
    tokenSessions({ Ttl: 1 })
    // @ts-expect-error not a number
    tokenSessions({ ttl: '1' })
    // @ts-expect-error no such form
    tokenSessions({ token: 'uint32' })
    // @ts-expect-error no store
    tokenSessions({ store: new Redis() })
    // @ts-expect-error no such value
    cookieTransport({ sameSite: 'Lax' })
  })
  t.pass('compiles')
})

t.test('ioredis clients are taken as they are', async (t) => {
  compiles(() => {
    expectTypeOf(redisStore(new Redis())).toExtend<SessionStore>()
    redisStore(new Redis({ enableAutoPipelining: true }), { prefix: 'a:', timeout: 5 })
    redisStore(new Cluster([]))
    redisStore({} as Redis | Cluster)
    // @ts-expect-error no client
    redisStore('redis://localhost')
  })
  t.pass('compiles')
})
