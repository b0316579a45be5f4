import { expectTypeOf } from 'expect-type'
import t from 'tap'
import { memoryStore, tokenSessions, type JsonData, type TokenProvider, type TokenSession } from '../../lib/index.js'

/** Only the compiler looks at it. */
function compiles (_use: () => unknown): void {}

interface Address { street: string, lines?: string[] }
interface Tree { name: string, children: Tree[], parent?: Tree }
type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }
type Steps = string | readonly [Steps, Steps?] | Steps[]
type UserId = string & { readonly brand: unique symbol }
type Event = { kind: 'login', at: string } | { kind: 'logout', reason?: string }
enum Theme { dark, light }

/** Whatever a session can hold. */
interface Data {
  text: string
  number: number
  flag?: boolean
  nothing: null
  maybe: string | undefined
  literal: 'a' | 'b' | 1
  template: `user:${string}`
  id: UserId
  theme: Theme
  address: Address
  optional?: Address | null
  list: Address[]
  readonly frozen: readonly string[]
  tuple: [string, number]
  rest: [string, ...number[]]
  gaps: [string, number?]
  nested: Array<{ a: Array<{ b: string[][] }> }>
  record: Record<string, Address>
  partial: Partial<Record<'a' | 'b', number>>
  event: Event
  events: Event[]
  tree: Tree
  json: JsonValue
  steps: Steps
  unknown: unknown
  unknowns: unknown[]
  object: { [key: string]: unknown }
  empty: {}
}

t.test('data that JSON keeps compiles: interfaces, optional keys, unions, tuples, recursion, unknown', async (t) => {
  const isKept: Data extends JsonData<Data> ? true : false = true
  t.ok(isKept)
  expectTypeOf(tokenSessions<Data>()).toExtend<TokenProvider<Data>>()
  expectTypeOf(tokenSessions<Data>({ load: 'onRequest' })).toExtend<TokenProvider<Data, TokenSession<Data>>>()
  compiles(() => tokenSessions<{ [key: string]: string }>())
  compiles(() => tokenSessions<Record<string, unknown>>())
  compiles(() => tokenSessions<{}>())
  compiles(() => tokenSessions<Partial<Data>>({ store: memoryStore() }))
  compiles(() => tokenSessions<Readonly<Data>>())
  compiles(async () => {
    const session = await tokenSessions<Data>().create({ data: { text: 'a', tuple: ['a', 1] } })
    session.set('event', { kind: 'logout' }).set('tuple', ['b', 2]).set('unknown', new Date()) // found out at run time
    expectTypeOf(session.get('tree')).toEqualTypeOf<Tree | undefined>()
    expectTypeOf(session.get('gaps')).toEqualTypeOf<[string, number?] | undefined>()
  })
  t.pass('compiles')
})

t.test('a function that is generic in the data of a session', async (t) => {
  function inMemory<D extends JsonData<D>> () {
    return tokenSessions<D>({ store: memoryStore() })
  }
  expectTypeOf(inMemory<Data>()).toExtend<TokenProvider<Data>>()
  // @ts-expect-error a Date
  compiles(() => inMemory<{ at: Date }>())
  t.pass('compiles')
})

t.test('data that JSON does not keep is refused by the compiler', async (t) => {
  expectTypeOf<{ at?: Date }>().not.toExtend<JsonData<{ at?: Date }>>()
  // @ts-expect-error a Date
  compiles(() => tokenSessions<{ at?: Date }>())
  // @ts-expect-error a Date inside
  compiles(() => tokenSessions<{ user: { on: Date } }>())
  // @ts-expect-error a Date in a list
  compiles(() => tokenSessions<{ dates: Date[] }>())
  // @ts-expect-error a Date in a tuple
  compiles(() => tokenSessions<{ range: [Date, string] }>())
  // @ts-expect-error a Date in a union
  compiles(() => tokenSessions<{ at: string | Date }>())
  // @ts-expect-error a Date in a record
  compiles(() => tokenSessions<{ at: Record<string, Date> }>())
  // @ts-expect-error a Date in a record of the session itself
  compiles(() => tokenSessions<Record<string, Date>>())
  // @ts-expect-error bytes
  compiles(() => tokenSessions<{ it?: Buffer }>())
  // @ts-expect-error bytes
  compiles(() => tokenSessions<{ it: Uint8Array }>())
  // @ts-expect-error a Map
  compiles(() => tokenSessions<{ it?: Map<string, number> }>())
  // @ts-expect-error a Set
  compiles(() => tokenSessions<{ it: ReadonlySet<string> }>())
  // @ts-expect-error a bigint
  compiles(() => tokenSessions<{ it?: bigint }>())
  // @ts-expect-error a bigint among others
  compiles(() => tokenSessions<{ it: number | bigint }>())
  // @ts-expect-error a symbol
  compiles(() => tokenSessions<{ it: symbol }>())
  // @ts-expect-error a function
  compiles(() => tokenSessions<{ it: () => void }>())
  // @ts-expect-error a class
  compiles(() => tokenSessions<{ it: typeof Date }>())
  // @ts-expect-error an object with a method
  compiles(() => tokenSessions<{ it: { run (): void } }>())
  // @ts-expect-error an instance of a class with a method
  compiles(() => tokenSessions<{ it: URL }>())
  // @ts-expect-error a regular expression
  compiles(() => tokenSessions<{ it: RegExp }>())
  // @ts-expect-error a promise
  compiles(() => tokenSessions<{ it: Promise<string> }>())
  // @ts-expect-error an element that is undefined becomes null
  compiles(() => tokenSessions<{ it: Array<string | undefined> }>())
  // @ts-expect-error a Date, also where sessions are loaded early
  compiles(() => tokenSessions<{ at: Date }>({ load: 'onRequest' }))
  // @ts-expect-error no object
  compiles(() => tokenSessions<string>())
  t.pass('compiles')
})
