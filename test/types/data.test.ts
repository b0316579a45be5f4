import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import t from 'tap'
import * as v from 'valibot'
import * as z from 'zod'
import { memoryStore, tokenSessions, type CompleteTokenProvider, type DataOptions, type SessionData, type SessionOf, type SessionStore, type TokenProvider, type TokenSession, type TokenSessionOptions } from '../../lib/index.js'

interface Shop { items: string[], note?: string | undefined }

/** Only looked at by the compiler. */
function compiles (_use: () => unknown): void {}

t.test('the type of the data follows from the schema', async (t) => {
  const byZod = tokenSessions({ ttl: 60, data: { schema: z.object({ items: z.array(z.string()).default([]), note: z.string().optional() }) } })
  expectTypeOf(byZod).toEqualTypeOf<CompleteTokenProvider<Shop>>()
  const byValibot = tokenSessions({ data: { schema: v.object({ items: v.array(v.string()), note: v.optional(v.string()) }), initial: () => ({ items: [] }) } })
  expectTypeOf(byValibot).toEqualTypeOf<CompleteTokenProvider<Shop>>()
  const byArktype = tokenSessions({ data: { schema: type({ items: 'string[]' }) }, load: 'onRequest' })
  t.equal(byArktype.kind, 'token')
  expectTypeOf<SessionOf<typeof byArktype>>().toEqualTypeOf<TokenSession<{ items: string[] }>>()
  const own = tokenSessions({ store: memoryStore() as SessionStore, data: { schema: z.object({ n: z.number() }), version: 1, migrate: () => ({ n: 1 }) } })
  expectTypeOf(own).toEqualTypeOf<TokenProvider<{ n: number }>>()
  compiles(async () => {
    const session = await byZod.create()
    expectTypeOf(session.get('items')).toEqualTypeOf<string[] | undefined>()
    // @ts-expect-error not a list of numbers
    session.set('items', [1])
    // @ts-expect-error no such key
    session.get('itmes')
  })
  t.pass('compiles')
})

t.test('initial() and migrate() have the type of the schema, or are the type', async (t) => {
  const users = tokenSessions({ data: { initial: () => ({ items: [] as string[], n: 0 }) } })
  expectTypeOf(users).toEqualTypeOf<CompleteTokenProvider<{ items: string[], n: number }>>()
  const rules: DataOptions<Shop> = { initial: () => ({ items: [] }), version: 2, migrate: (data, version) => ({ items: version < 2 ? data['basket'] as string[] : [] }) }
  expectTypeOf(tokenSessions({ data: rules })).toEqualTypeOf<CompleteTokenProvider<Shop>>()
  expectTypeOf(tokenSessions<Shop>({ data: { initial: () => ({}), onInvalid: 'fresh' } })).toEqualTypeOf<CompleteTokenProvider<Shop>>()
  expectTypeOf(tokenSessions<Shop>({ data: { schema: z.object({ items: z.array(z.string()) }) } })).toEqualTypeOf<CompleteTokenProvider<Shop>>()
  expectTypeOf(tokenSessions({ data: { version: 1 } })).toEqualTypeOf<CompleteTokenProvider<SessionData>>()
  const without: TokenSessionOptions = { ttl: 5 }
  expectTypeOf(tokenSessions<Shop>(without)).toExtend<TokenProvider<Shop>>()
  compiles(() => {
    // @ts-expect-error the schema wants n
    tokenSessions({ data: { schema: z.object({ items: z.array(z.string()), n: z.number() }), initial: () => ({ items: [] }) } })
    // @ts-expect-error the schema wants a number
    tokenSessions({ data: { schema: z.object({ n: z.number() }), initial: () => ({ n: 'x' }) } })
    // @ts-expect-error migrate() gives another n
    tokenSessions({ data: { schema: z.object({ n: z.number() }), migrate: () => ({ n: 'x' }) } })
    // @ts-expect-error JSON keeps no Date
    tokenSessions({ data: { schema: z.object({ at: z.coerce.date() }) } })
    // @ts-expect-error the schema is of other data
    tokenSessions<Shop>({ data: { schema: z.object({ itmes: z.array(z.string()) }) } })
    // @ts-expect-error no such option
    tokenSessions({ data: { schema: z.object({ n: z.number() }), inital: () => ({ n: 1 }) } })
    // @ts-expect-error neither of the two
    return tokenSessions({ data: { onInvalid: 'end' } })
  })
  t.pass('compiles')
})
