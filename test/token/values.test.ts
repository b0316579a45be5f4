import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { getSession, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { checkValue } from '../../lib/token/values.js'
import { SpyStore } from '../support/spy-store.js'

/** Runs something on a saved session that has `kept`, and gives what the store then has. */
async function saved (use: (session: TokenSession) => void | Promise<void>): Promise<Record<string, unknown>> {
  const provider = tokenSessions({ store: memoryStore() })
  const token = await getSession(provider, null, async (session) => {
    session.set('kept', { list: [1] })
    await session.commit()
    return session.token
  })
  await getSession(provider, null, use, { token })
  return getSession(provider, null, (session) => session.data(), { token })
}

const cycle: Record<string, unknown> = {}
cycle['self'] = { list: [cycle] }
class Basket { items = [] }
class List extends Array<number> {}
const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)]
const sparse = (): unknown[] => { const list: unknown[] = [1, 2, 3]; delete list[1]; return list }

const refusedValues: Array<[string, unknown, RegExp]> = [
  ['a function', () => {}, /it is a function/],
  ['a class', Basket, /it is a function/],
  ['a symbol', Symbol('s'), /it is a symbol/],
  ['a BigInt', 1n, /it is a bigint/],
  ['NaN', NaN, /it is NaN/],
  ['Infinity', -Infinity, /it is -Infinity/],
  ['undefined inside an array', [1, [undefined]], /\[1\]\[0\] is undefined/],
  ['a hole in an array', sparse(), /\[1\] is undefined/],
  ['a hole in an array inside', { list: { at: sparse() } }, /list\.at\[1\] is undefined/],
  ['a function deep inside', { list: [{ run () {} }] }, /list\[0\]\.run is a function/],
  ['a BigInt inside', { n: 1n }, /n is a bigint/],
  ['NaN inside', { n: NaN }, /n is NaN/],
  ['a cycle', cycle, /self\.list\[0\] refers back/],
  ['a Map', new Map([['a', 1]]), /it is an instance of Map/],
  ['a Set inside', { tags: new Set() }, /tags is an instance of Set/],
  ['a WeakRef', new WeakRef({}), /it is an instance of WeakRef/],
  ['a promise that nobody awaited', Promise.resolve(1), /it is an instance of Promise/],
  ['an instance of a class', new Basket(), /it is an instance of Basket/],
  ['an error', new Error('no'), /it is an instance of Error/],
  ['a regular expression', /x/, /it is an instance of RegExp/],
  ['a typed array', new Uint8Array(2), /it is an instance of Uint8Array/],
  ['a Buffer, which has a toJSON', Buffer.from('a'), /it is an instance of Buffer/],
  ['an ArrayBuffer', new ArrayBuffer(1), /it is an instance of ArrayBuffer/],
  ['a Date', new Date(0), /it is an instance of Date/],
  ['an invalid Date', new Date(NaN), /it is an instance of Date/],
  ['a Date inside', { list: [{ at: new Date(0) }] }, /list\[0\]\.at is an instance of Date/],
  ['a URL', new URL('http://localhost/'), /it is an instance of URL/],
  ['an object with a toJSON', { toJSON: () => 1 }, /toJSON is a function/],
  ['an object with a hidden toJSON', Object.defineProperty({}, 'toJSON', { value: () => 1 }), /it has a hidden/],
  ['an object that inherits a toJSON', Object.create({ toJSON: () => 1 }), /it is an object with a prototype of its own/],
  ['a boxed number', Object(1), /it is an instance of Number/],
  ['a boxed string', Object('text'), /it is an instance of String/],
  ['a boxed BigInt', Object(1n), /it is an instance of BigInt/],
  ['a boxed symbol', Object(Symbol('s')), /it is an instance of Symbol/],
  ['an object that inherits its properties', Object.create({ a: 1 }), /it is an object with a prototype of its own/],
  ['one that inherits them from an object without a prototype', Object.create(Object.assign(Object.create(null) as object, { a: 1 })), /it is an object with a prototype of its own/],
  ['an object with a prototype of its own', Object.create(Object.create(Object.create(null))), /it is an object with a prototype of its own/],
  ['a key that is a symbol', { a: { [Symbol('key')]: 1 } }, /a has a symbol as a key/],
  ['a property that is not enumerable', { a: Object.defineProperty({}, 'b', { value: 1 }) }, /a has a hidden/],
  ['a getter', { a: { get b () { return 1 } } }, /a\.b is computed by a getter/],
  ['the arguments of a function', (function (..._: number[]) { return arguments })(1), /it has a hidden/],
  ['an array with a property', Object.assign([1], { total: 1 }), /it is an array with properties/],
  ['what match() gives', 'abc'.match(/b/), /it is an array with properties/],
  ['an array with a key that is a symbol', Object.assign([1], { [Symbol('key')]: 1 }), /it is an array with properties/],
  ['an array of a subclass', List.from([1]), /it is an instance of List/],
  ['a property whose name moves the cursor', { 'a \x1b[2J': { x: NaN } }, /stored: \['a \\x1B\[2J'\]\.x is NaN/],
  ['a property with a long name', { ['k'.repeat(61)]: [NaN] }, /stored: \[a string of 61 characters\]\[0\] is NaN/],
  ['what nests too deep', deep(201), /nested more than 200/],
]

t.test('a value that JSON cannot hold is refused at once, and nothing is half-written', async (t) => {
  for (const [name, value, message] of refusedValues) {
    await t.test(name, async (t) => {
      const data = await saved((session) => {
        const refused = { name: 'FastifyError', code: 'FST_SESSION_VALUE', message }
        t.throws(() => session.set('new', value), refused)
        t.throws(() => session.set('kept', value), refused)
        t.throws(() => session.add('new', value as object), refused)
        t.throws(() => session.update('kept', () => value as object), refused)
        t.throws(() => session.update('kept', (kept) => Object.assign(kept as object, { list: value as object })), { code: 'FST_SESSION_VALUE' })
        t.equal(session.has('new'), false)
        t.strictSame(session.get('kept'), { list: [1] })
        session.set('other', 1)
      })
      t.strictSame(data, { kept: { list: [1] }, other: 1 })
    })
  }
})

t.test('the errors are TypeErrors, with a status code', async (t) => {
  await saved((session) => {
    assert.throws(() => session.set('a', 1n), TypeError)
    assert.throws(() => session.set('a', 1n), { statusCode: 500 })
    assert.throws(() => session.set('', 1), TypeError)
    assert.throws(() => session.increment('kept' as never), TypeError)
    t.pass('they are')
  })
})

t.test('a value that was changed in place into one that JSON cannot hold is refused at commit, and nothing is written', async (t) => {
  for (const bad of [1n, () => {}, undefined, NaN, cycle, new Map(), new Date(0), new Date(NaN), { get a () { return 1 } }]) {
    const data = await saved(async (session) => {
      const kept = session.get('kept') as { list: unknown[] }
      kept.list.push(bad)
      session.set('other', 1)
      await t.rejects(session.commit(), { code: 'FST_SESSION_VALUE' })
      kept.list.pop()
      session.delete('other')
    })
    t.strictSame(data, { kept: { list: [1] } })
    await t.rejects(saved((session) => { (session.get('kept') as { list: unknown[] }).list.push(bad) }), { code: 'FST_SESSION_VALUE' }, 'at the end too')
    await t.rejects(saved((session) => { session.set('kept', []); (session.get('kept') as unknown[]).push(bad) }), { code: 'FST_SESSION_VALUE' }, 'after a set')
  }
})

t.test('a key that is not a non-empty, well-formed string is refused', async (t) => {
  for (const key of ['', '\ud800', 'a\udc00b', 1, null, undefined, {}, Symbol('key')]) {
    const data = await saved((session) => {
      const refused = { code: 'FST_SESSION_KEY' }
      t.throws(() => session.set(key as string, 1), refused)
      t.throws(() => session.add(key as string, 1), refused)
      t.throws(() => session.increment(key as string), refused)
      t.throws(() => session.update(key as string, () => 1), refused)
      t.equal(session.get(key as string), undefined)
      t.equal(session.has(key as string), false)
      t.equal(session.delete(key as string), false)
    })
    t.strictSame(data, { kept: { list: [1] } })
  }
})

t.test('__proto__ is data like any other, as a key and inside values', async (t) => {
  const inside: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
  const data = await saved((session) => {
    session.set('__proto__', { polluted: 1 })
    session.set('constructor', 'text')
    session.set('inside', inside)
  })
  t.equal(Object.getPrototypeOf(data), Object.prototype)
  t.strictSame(Object.getOwnPropertyDescriptor(data, '__proto__')?.value, { polluted: 1 })
  t.equal(JSON.stringify(data['inside']), JSON.stringify(inside))
  t.equal('polluted' in {}, false)
})

t.test('what JSON would leave out without a word is noticed where a value was changed in place', async (t) => {
  const changes: Array<(kept: { list: unknown[] }) => unknown> = [
    (kept) => Object.assign(kept, { run () {} }),
    (kept) => Object.assign(kept, { symbol: Symbol('s') }),
    (kept) => Object.assign(kept, { [Symbol('key')]: 1 }),
    (kept) => Object.assign(kept.list, { total: 1 }),
    (kept) => Object.defineProperty(kept, 'hidden', { value: 1 }),
    (kept) => Object.setPrototypeOf(kept, Basket.prototype) as unknown,
  ]
  for (const change of changes) {
    await t.rejects(saved((session) => { change(session.get('kept') as { list: unknown[] }) }), { code: 'FST_SESSION_VALUE' })
  }
})

t.test('a property that is undefined is left out', async (t) => {
  const data = await saved((session) => {
    session.set('user', { id: 7, nick: undefined, theme: [{ dark: undefined }] })
    session.update('kept', (kept) => ({ ...kept as object, more: undefined }))
    session.add('profile', { image: undefined })
  })
  t.strictSame(data, { kept: { list: [1] }, user: { id: 7, theme: [{}] }, profile: {} })
})

t.test('plain values: null prototypes, other realms, repeated references, any text, the deepest nesting', async (t) => {
  const shared = { a: 1 }
  const data = await saved((session) => {
    session.set('bare', Object.assign(Object.create(null) as object, { a: 1 }))
    session.set('parsed', Object.assign(Object.create(Object.create(null) as object) as object, { a: 1 })) // of a query or cookies
    session.set('foreign', runInNewContext('({ list: [1, { a: 1 }] })'))
    session.set('frozen', Object.freeze({ list: Object.freeze([1]) }))
    session.set('twice', [shared, shared])
    session.set('deep', deep(200))
    session.set('lone', { '\ud800': 'a\udc00b' })
    session.set('null', null)
    session.set('empty', '')
    session.set('zero', [-0, { toJSON: 1 }])
  })
  t.strictSame(data, {
    kept: { list: [1] },
    bare: { a: 1 },
    parsed: { a: 1 },
    foreign: { list: [1, { a: 1 }] },
    frozen: { list: [1] },
    twice: [shared, shared],
    deep: deep(200),
    lone: { '\ud800': 'a\udc00b' },
    null: null,
    empty: '',
    zero: [0, { toJSON: 1 }],
  })
})

t.test('whatever is taken comes back as it was', async (t) => {
  const atoms = fc.oneof(fc.string({ unit: 'binary' }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null))
  const extras = fc.oneof(fc.constant(undefined), fc.date(), fc.bigInt(), fc.double(), fc.sparseArray(fc.integer(), { maxLength: 3 }), fc.constant(new Map()))
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, { weight: 9, arbitrary: atoms }, { weight: 1, arbitrary: extras }, fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4 })),
  }))
  let taken = 0
  fc.assert(fc.property(value, (value) => {
    try {
      checkValue('key', value)
    } catch {
      return
    }
    taken++
    // What is refused is checked one by one above. Here -0 and undefined properties are the only differences.
    assert.deepEqual(JSON.parse(JSON.stringify(value)), withoutUndefined(value))
  }), { numRuns: 3000, seed: 28 })
  t.ok(taken > 1000, `${taken} were taken`)
})

/** A copy without the properties that are undefined and without -0, with the usual prototypes. */
function withoutUndefined (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null) return value === 0 ? 0 : value
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined).map(([key, each]) => [key, withoutUndefined(each)]))
}

t.test('create(): data is a plain object, whatever else would lose its content', async (t) => {
  const users = tokenSessions()
  for (const data of [new Map([['a', 1]]), new Set([1]), new Basket(), [1], new Date(0), Promise.resolve({}), 'text', { [Symbol('a')]: 1 }, { get a () { return 1 } },
    Object.defineProperty({}, 'a', { value: 1 })]) {
    await t.rejects(users.create({ data: data as Record<string, unknown> }), { code: 'FST_SESSION_OPTION', message: /option data must be a plain object/ })
  }
  await t.rejects(users.create({ data: { at: new Date(0) } }), { code: 'FST_SESSION_VALUE', message: /'at'.*an instance of Date/ })
  t.strictSame((await users.create({ data: { a: undefined, b: { c: undefined } } })).data(), { b: {} })
})

t.test('increment: what is not a whole number is refused at once, and nothing changes', async (t) => {
  const data = await saved((session) => {
    session.set('max', Number.MAX_SAFE_INTEGER)
    for (const value of ['1', 1.5, null, true, [], {}]) {
      session.set('value', value)
      t.throws(() => session.increment('value' as never), { code: 'FST_SESSION_NOT_A_NUMBER', message: /'value' cannot be incremented: its value, (?!.*1\.5)/ })
      t.strictSame(session.get('value'), value)
    }
    for (const by of [1.5, NaN, Infinity, '1', null, 1n]) {
      t.throws(() => session.increment('max' as never, by as number), { code: 'FST_SESSION_NOT_A_NUMBER' })
    }
    t.throws(() => session.increment('max' as never, 1), { code: 'FST_SESSION_NOT_A_NUMBER', message: /2\^53/ })
    session.delete('value')
  })
  t.strictSame(data, { kept: { list: [1] }, max: Number.MAX_SAFE_INTEGER })
})

t.test('increment: what another request made of the key is found out at commit, and nothing is written', async (t) => {
  const provider = tokenSessions({ store: memoryStore() })
  const token = await getSession(provider, null, async (session) => { session.set('n', 1); await session.commit(); return session.token })
  await t.rejects(getSession(provider, null, async (session) => {
    session.increment('n')
    session.set('other', 1)
    await getSession(provider, null, (session) => { session.set('n', 'one') }, { token })
  }, { token }), { code: 'FST_SESSION_NOT_A_NUMBER', message: /another request/ })
  await getSession(provider, null, (session) => { t.strictSame(session.data(), { n: 'one' }) }, { token })
})

t.test('update: a function that throws half way has changed nothing', async (t) => {
  const data = await saved((session) => {
    t.throws(() => session.update('kept', (kept) => {
      (kept as { list: number[] }).list.push(2)
      throw new Error('half way')
    }), { message: 'half way' })
    t.strictSame(session.get('kept'), { list: [1] })
  })
  t.strictSame(data, { kept: { list: [1] } })
})

t.test('a value that was handed out by data() is a copy', async (t) => {
  const store = new SpyStore(memoryStore())
  const provider = tokenSessions({ store })
  const token = await getSession(provider, null, async (session) => { session.set('a', { b: 1 }); await session.commit(); return session.token })
  store.take()
  await getSession(provider, null, (session) => { (session.data()['a'] as { b: number }).b = 2 }, { token })
  t.strictSame(store.take(), ['load'])
})
