import assert from 'node:assert/strict'
import t from 'tap'
import { getSession, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
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
const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)]

const refusedValues: Array<[string, unknown, RegExp]> = [
  ['a function', () => {}, /it is of type function/],
  ['a symbol', Symbol('s'), /it is of type symbol/],
  ['a BigInt', 1n, /it is of type bigint/],
  ['NaN', NaN, /it is NaN/],
  ['Infinity', -Infinity, /it is -Infinity/],
  ['undefined inside an object', { a: { b: undefined } }, /a\.b is of type undefined/],
  ['undefined inside an array', [1, [undefined]], /\[1\]\[0\] is of type undefined/],
  ['a hole in an array', Object.assign([], { length: 1 }), /\[0\] is of type undefined/],
  ['a function deep inside', { list: [{ run () {} }] }, /list\[0\]\.run is of type function/],
  ['a BigInt inside', { n: 1n }, /n is of type bigint/],
  ['NaN inside', { n: NaN }, /n is NaN/],
  ['a cycle', cycle, /self\.list\[0\] refers back/],
  ['a Map', new Map([['a', 1]]), /it is a Map/],
  ['a Set inside', { tags: new Set() }, /tags is a Set/],
  ['an instance of a class', new Basket(), /it is a Basket/],
  ['an error', new Error('no'), /it is a Error/],
  ['a regular expression', /x/, /it is a RegExp/],
  ['a typed array', new Uint8Array(2), /it is a Uint8Array/],
  ['a boxed number', Object(1), /it is a Number/],
  ['an object with a prototype of its own', Object.create(Object.create(Object.create(null))), /it is an object with a prototype of its own/],
  ['what nests too deep', deep(201), /nested more than 200/],
  ['a toJSON that gives nothing', { toJSON: () => undefined }, /undefined/],
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
  for (const bad of [1n, () => {}, undefined, NaN, cycle, new Map()]) {
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

t.test('what has a toJSON is what that gives, from the set on', async (t) => {
  const date = new Date(0)
  const data = await saved((session) => {
    session.set('date', date)
    t.equal(session.get('date'), date.toJSON())
    session.set('inside', [{ at: date }])
    t.strictSame(session.get('inside'), [{ at: date.toJSON() }])
    session.set('url', new URL('http://localhost/'))
    ;(session.get('kept') as Record<string, unknown>)['at'] = date
  })
  t.strictSame(data, { kept: { list: [1], at: date.toJSON() }, date: date.toJSON(), inside: [{ at: date.toJSON() }], url: 'http://localhost/' })
})

t.test('plain values: null prototypes, repeated references, the deepest nesting', async (t) => {
  const shared = { a: 1 }
  const data = await saved((session) => {
    session.set('bare', Object.assign(Object.create(null) as object, { a: 1 }))
    session.set('twice', [shared, shared])
    session.set('deep', deep(200))
    session.set('null', null)
    session.set('empty', '')
  })
  t.strictSame(data, { kept: { list: [1] }, bare: { a: 1 }, twice: [shared, shared], deep: deep(200), null: null, empty: '' })
})

t.test('increment: what is not a whole number is refused at once, and nothing changes', async (t) => {
  const data = await saved((session) => {
    session.set('max', Number.MAX_SAFE_INTEGER)
    for (const value of ['1', 1.5, null, true, [], {}]) {
      session.set('value', value)
      t.throws(() => session.increment('value' as never), { code: 'FST_SESSION_NOT_A_NUMBER', message: /'value'/ })
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
