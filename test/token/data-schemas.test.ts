import { type } from 'arktype'
import t from 'tap'
import * as v from 'valibot'
import * as z from 'zod'
import { memoryStore, tokenSessions, type DataOptions, type DataSchema, type SessionData } from '../../lib/index.js'

interface Shop { items: string[], visits: number, theme?: 'dark' | 'light' | undefined, address?: { zip: string } | undefined }

/** The same data by each library: a default, an optional key, a part within a part, a transform. */
const schemas: Record<string, DataSchema<Shop>> = {
  zod: z.object({
    items: z.array(z.string().trim()), visits: z.number().default(5), theme: z.enum(['dark', 'light']).optional(), address: z.object({ zip: z.string().min(4) }).optional(),
  }),
  valibot: v.object({
    items: v.array(v.pipe(v.string(), v.trim())), visits: v.optional(v.number(), 5), theme: v.optional(v.picklist(['dark', 'light'])), address: v.optional(v.object({ zip: v.pipe(v.string(), v.minLength(4)) })),
  }),
  arktype: type({ items: 'string.trim[]', visits: 'number = 5', 'theme?': "'dark' | 'light' | undefined", 'address?': type({ zip: 'string >= 4' }).or('undefined') }),
}

for (const [name, schema] of Object.entries(schemas)) {
  await t.test(name, async (t) => {
    const store = memoryStore()
    const raw = tokenSessions({ store })
    const users = tokenSessions({ store, data: { schema } as DataOptions<Shop> })
    const session = await users.create({ data: { items: [' pizza '], theme: 'dark' } })
    t.strictSame(session.data(), { items: ['pizza'], visits: 5, theme: 'dark' }, 'a created session has defaults and transforms')

    const { token } = await raw.create({ data: { items: [' figs '], plugin: { a: 1 } } })
    const read = await users.load(token)
    t.strictSame(read?.data(), { items: ['figs'], visits: 5, plugin: { a: 1 } }, 'a stored one shows them')
    read?.increment('visits')
    await read?.commit()
    t.strictSame((await raw.load(token))?.data(), { items: [' figs '], visits: 6, plugin: { a: 1 } })

    const invalid: Array<[string, (data: SessionData) => void, RegExp]> = [
      ['items', (data) => { (data['items'] as unknown[]).push('nuts', 'a secret text'.length) }, /items\[2\]/],
      ['theme', (data) => { data['theme'] = 'a secret text' }, /theme/],
      ['address', (data) => { data['address'] = { zip: 'sec' } }, /address/],
      ['visits', (data) => { data['visits'] = 'a secret text which is long enough to be shortened by one who quotes it, as it is longer than such libraries care to show' }, /visits/],
      ['all', (data) => { delete data['items'] }, /items/],
    ]
    for (const [key, change, message] of invalid) {
      const data: SessionData = { items: ['pizza'], visits: 1 }
      change(data)
      await t.rejects(users.create({ data: data as never }), { code: 'FST_SESSION_DATA', message }, key)
      const { token } = await raw.create({ data })
      const error: unknown = await users.load(token).catch((error: unknown) => error)
      t.match(error, { code: 'FST_SESSION_DATA', why: 'invalid', message })
      t.notMatch((error as Error).message, /secret|"sec"|\b13\b/, 'no value is told')
    }
  })
}

t.test('a schema that answers with a promise is refused where that is seen', async (t) => {
  const slow = async (): Promise<boolean> => true
  t.throws(() => tokenSessions({ data: { schema: v.objectAsync({ items: v.pipeAsync(v.array(v.string()), v.checkAsync(slow)) }) } }), { code: 'FST_SESSION_OPTION', message: /answers with a promise/ })
  t.throws(() => tokenSessions({ data: { schema: z.object({ items: z.array(z.string()).refine(slow) }), initial: () => ({ items: [] }) } }), { code: 'FST_SESSION_OPTION', message: /answers with a promise/ })
  const users = tokenSessions({ data: { schema: z.object({ items: z.array(z.string().refine(slow)) }), initial: () => ({ items: [] }) } })
  await t.rejects(users.create({ data: { items: ['pizza'] } }), { code: 'FST_SESSION_DATA', message: /answers with a promise/ })
})

t.test('many issues, long messages, awkward places', async (t) => {
  const issues = [
    { message: 'x'.repeat(1000), path: ['a', 0, 'b c', Symbol('s'), { key: 7 }] },
    { message: 'no path' },
    ...Array.from({ length: 9 }, (_, i) => ({ message: `number ${i}`, path: [`k${i}`] })),
  ]
  const schema: DataSchema<SessionData> = { '~standard': { version: 1, vendor: 'test', validate: (value) => Object.keys(value as object).length === 0 ? { value } : { issues } } }
  const users = tokenSessions({ data: { schema } })
  await t.rejects(users.create({ data: { k0: 0 } }), {
    message: `The data of the session of create() do not fit: a[0]['b c']['Symbol(s)'][7]: ${'x'.repeat(200)}; the data: no path; k0 does not fit; k1: number 1; k2: number 2; and 6 more. Nothing was saved.`,
  })
})
