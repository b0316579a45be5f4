import assert from 'node:assert/strict'
import type { SessionRecord } from '../stores/store.js'
import type { Case } from './harness.js'

/** Keys that trip up plain objects, encodings and separators. */
export const awkwardKeys = [
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', '0', '-1', '1e3', ' ', '  two  ', 'a b', 'a\nb', 'a\0b', '\t',
  ':', ':data', 'data', 'fields', 'name', 'ttl', '{tag}', '"quoted"', "it's", '\\', '%', '*', '?', '[x]',
  'ä', 'ключ', '鍵', '🔑', 'e\u0301', '\u00e9', '\ufeff', '\uffff', 'k'.repeat(1000),
]

/** JSON texts at the edges: empty ones, long ones, ones that look like something else. */
const awkwardTexts = [
  '""', '" "', 'null', 'true', 'false', '0', '-0', '-1', '1.5', '1e+21', '9007199254740991', '[]', '{}', '[[],{}]', '"\\u0000"', '"\\ud800"',
  '"-"', '"="', '"1 2 3"', '{"__proto__":{"polluted":true}}', '"ä 鍵 🔑"', JSON.stringify('line\nline'), ' [ 1 , 2 ] ',
]

/** Reading, creating and ending. */
export const recordCases: Case[] = [
  {
    name: 'load: an id that was never known is undefined, no error',
    async test (bench) {
      assert.equal(await bench.store.load(bench.id()), undefined)
    },
  },
  {
    name: 'end, commit and renew: an id that was never known is an answer, no error',
    test: (bench) => bench.isGone(bench.id()),
  },
  {
    name: 'create, load: the record comes back as it went in',
    async test (bench) {
      const record = bench.record({ user: '"ada"', items: '["pizza"]' }, { ttl: 600, name: 'ada' })
      const id = bench.id()
      assert.equal(await bench.store.create(id, record), true)
      await bench.is(id, record)
      assert.ok((await bench.loaded(id)).fields instanceof Map)
    },
  },
  {
    name: 'create, load: each form of ttl, expiresAt, deleteSession and name',
    async test (bench) {
      const forms: Array<Partial<SessionRecord>> = [
        { ttl: 1 }, { ttl: 2_147_483_647 }, { ttl: null }, { ttl: undefined },
        { expiresAt: null }, { expiresAt: null, ttl: null }, { deleteSession: false }, { deleteSession: false, ttl: 5, name: 'kept' },
        { name: 'two words' }, { name: ' ' }, { name: '-' }, { name: '=' }, { name: 'line\nline' }, { name: '🍕 ключ' }, { name: '1 2 3 - 0 x' },
        { createdAt: 0 }, { createdAt: 1 },
      ]
      for (const form of forms) {
        const record = bench.record({ key: '1' }, form)
        const id = bench.id()
        await bench.store.create(id, record)
        await bench.is(id, record)
      }
    },
  },
  {
    name: 'create, load: a session without data is one',
    async test (bench) {
      const record = bench.record()
      const id = bench.id()
      await bench.store.create(id, record)
      await bench.is(id, record)
    },
  },
  {
    name: 'any non-empty string is a key, __proto__ too, and nothing is polluted',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const fields = new Map(awkwardKeys.map((key, i) => [key, String(i)]))
        const record = bench.record({}, { fields, deleteSession })
        const id = bench.id()
        await bench.store.create(id, record)
        await bench.is(id, record)
        await bench.committed(id, { set: new Map(awkwardKeys.map((key) => [key, '"set"'])) })
        assert.deepEqual(new Set((await bench.loaded(id)).fields.values()), new Set(['"set"']))
        await bench.committed(id, { expect: new Map(awkwardKeys.map((key) => [key, '"set"'])), remove: awkwardKeys })
        assert.equal((await bench.loaded(id)).fields.size, 0)
        await bench.committed(id, { increment: new Map(awkwardKeys.map((key, i) => [key, i])) })
        assert.deepEqual((await bench.loaded(id)).fields.get('__proto__'), '0')
        assert.equal('polluted' in {}, false)
      }
    },
  },
  {
    name: 'any JSON text is a value, and comes back as it was written',
    async test (bench) {
      const fields = new Map(awkwardTexts.map((text, i) => [`k${i}`, text]))
      const id = await bench.created({}, { fields })
      await bench.hasData(id, Object.fromEntries(fields))
      for (const [key, text] of fields) await bench.committed(id, { expect: new Map([[key, text]]), set: new Map([[key, text]]) })
      await bench.hasData(id, Object.fromEntries(fields))
    },
  },
  {
    name: 'big values and many keys',
    async test (bench) {
      const big = JSON.stringify('🍕x'.repeat(350_000))
      const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key ${i}`, String(i)]))
      const id = await bench.created({ big })
      await bench.committed(id, { set: new Map(Object.entries(many)) })
      await bench.hasData(id, { big, ...many })
      await bench.committed(id, { remove: Object.keys(many) })
      await bench.hasData(id, { big })
    },
  },
  {
    name: 'create: an id that is taken answers false, and nothing is written',
    async test (bench) {
      const record = bench.record({ mine: '1' }, { name: 'mine', ttl: 5 })
      const id = bench.id()
      await bench.store.create(id, record)
      assert.equal(await bench.store.create(id, bench.record({ yours: '2' }, { name: 'yours', deleteSession: false, expiresAt: null })), false)
      await bench.is(id, record)
    },
  },
  {
    name: 'load, create: what they give and take is the caller\'s own',
    async test (bench) {
      const record = bench.record({ key: '1' })
      const id = bench.id()
      await bench.store.create(id, record)
      record.fields.set('key', '2')
      record.expiresAt = null
      const loaded = await bench.loaded(id)
      assert.equal(loaded.fields.get('key'), '1')
      assert.notEqual(loaded.expiresAt, null)
      loaded.fields.clear()
      loaded.createdAt = 0
      await bench.hasData(id, { key: '1' })
      assert.notEqual((await bench.loaded(id)).createdAt, 0)
    },
  },
  {
    name: 'end: deletes the session and its data, once',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const id = await bench.created({ key: '1' }, { deleteSession })
        assert.equal(await bench.store.end(id), true)
        await bench.isGone(id)
        assert.equal(await bench.store.create(id, bench.record({ fresh: '1' }, { deleteSession })), true)
        await bench.hasData(id, { fresh: '1' })
      }
    },
  },
  {
    name: 'each id is a session of its own',
    async test (bench) {
      const [one, two] = [await bench.created({ n: '1' }), await bench.created({ n: '2' })]
      await bench.committed(one, { set: new Map([['n', '3']]) })
      await bench.store.end(one)
      await bench.hasData(two, { n: '2' })
    },
  },
  {
    name: 'a record that cannot be read is a RecordError, and stays as it is',
    needs: 'damage',
    async test (bench) {
      const id = await bench.created({ key: '1' })
      await bench.damage(id)
      const unreadable = { code: 'FST_SESSION_RECORD' }
      const settled = async (answer: () => unknown): Promise<unknown> => answer()
      await assert.rejects(settled(() => bench.store.load(id)), unreadable)
      await assert.rejects(settled(() => bench.commit(id, { set: new Map([['key', '2']]) })), unreadable)
      await assert.rejects(settled(() => bench.store.renew(id, bench.id(id), bench.change({}))), unreadable)
      await assert.rejects(settled(() => bench.store.load(id)), unreadable)
    },
  },
]
