import assert from 'node:assert/strict'
import type { SessionRecord } from '../stores/store.js'
import type { Cases } from './harness.js'

/** Keys that break careless code: names of Object.prototype, separators, and characters of several bytes. */
export const awkwardKeys = [
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', '0', '-1', '1e3', ' ', '  two  ', 'a b', 'a\nb', 'a\0b', '\t',
  ':', ':data', 'data', 'fields', 'name', 'ttl', '{tag}', '"quoted"', "it's", '\\', '%', '*', '?', '[x]',
  'ä', 'ключ', '鍵', '🔑', 'e\u0301', '\u00e9', '\ufeff', '\uffff', 'k'.repeat(1000),
]

/** JSON texts that break careless code: empty, long, or like a number or a separator. */
const awkwardTexts = [
  '""', '" "', 'null', 'true', 'false', '0', '-0', '-1', '1.5', '1e+21', '9007199254740991', '[]', '{}', '[[],{}]', '"\\u0000"', '"\\ud800"',
  '"-"', '"="', '"1 2 3"', '{"__proto__":{"polluted":true}}', '"ä 鍵 🔑"', JSON.stringify('line\nline'), ' [ 1 , 2 ] ',
]

/** Cases of `load`, `create` and `end`. */
export const recordCases: Cases = {
  async 'load: an id that was never known is undefined, no error' (harness) {
    assert.equal(await harness.store.load(harness.id()), undefined)
  },
  'end, commit and renew: an id that was never known is an answer, no error': (harness) => harness.assertGone(harness.id()),
  async 'create, load: the record comes back as it went in' (harness) {
    const record = harness.record({ user: '"ada"', items: '["pizza"]' }, { ttl: 600, name: 'ada' })
    const id = await harness.create(record)
    await harness.assertRecord(id, record)
    assert.ok((await harness.loadExisting(id)).fields instanceof Map)
  },
  async 'create, load: each form of ttl, expiresAt, deleteSession and name' (harness) {
    const forms: Array<Partial<SessionRecord>> = [
      { ttl: 1 }, { ttl: 2_147_483_647 }, { ttl: null }, { ttl: undefined },
      { expiresAt: null }, { expiresAt: null, ttl: null }, { deleteSession: false }, { deleteSession: false, ttl: 5, name: 'kept' },
      { name: 'two words' }, { name: ' ' }, { name: '-' }, { name: '=' }, { name: 'line\nline' }, { name: '🍕 ключ' }, { name: '1 2 3 - 0 x' },
      { createdAt: 0 }, { createdAt: 1 },
    ]
    for (const form of forms) {
      const record = harness.record({ key: '1' }, form)
      const id = await harness.create(record)
      await harness.assertRecord(id, record)
    }
  },
  async 'create, load: a session without data is one' (harness) {
    const record = harness.record()
    const id = await harness.create(record)
    await harness.assertRecord(id, record)
  },
  async 'any non-empty string is a key, __proto__ too, and nothing is polluted' (harness) {
    for (const deleteSession of [true, false]) {
      const fields = Object.fromEntries(awkwardKeys.map((key, i) => [key, String(i)]))
      const record = harness.record(fields, { deleteSession })
      const id = await harness.create(record)
      await harness.assertRecord(id, record)
      await harness.commitOk(id, { set: Object.fromEntries(awkwardKeys.map((key) => [key, '"set"'])) })
      assert.deepEqual(new Set((await harness.loadExisting(id)).fields.values()), new Set(['"set"']))
      await harness.commitOk(id, { expect: Object.fromEntries(awkwardKeys.map((key) => [key, '"set"'])), remove: awkwardKeys })
      assert.equal((await harness.loadExisting(id)).fields.size, 0)
      await harness.commitOk(id, { increment: Object.fromEntries(awkwardKeys.map((key, i) => [key, i])) })
      assert.deepEqual((await harness.loadExisting(id)).fields.get('__proto__'), '0')
      assert.equal('polluted' in {}, false)
    }
  },
  async 'any JSON text is a value, and comes back as it was written' (harness) {
    const fields = Object.fromEntries(awkwardTexts.map((text, i) => [`k${i}`, text]))
    const id = await harness.createSession(fields)
    await harness.assertData(id, fields)
    for (const [key, text] of Object.entries(fields)) await harness.commitOk(id, { expect: { [key]: text }, set: { [key]: text } })
    await harness.assertData(id, fields)
  },
  async 'big values and many keys' (harness) {
    const big = JSON.stringify('🍕x'.repeat(350_000))
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key ${i}`, String(i)]))
    const id = await harness.createSession({ big })
    await harness.commitOk(id, { set: many })
    await harness.assertData(id, { big, ...many })
    await harness.commitOk(id, { remove: Object.keys(many) })
    await harness.assertData(id, { big })
  },
  async 'create: an id that is taken answers false, and nothing is written' (harness) {
    const record = harness.record({ mine: '1' }, { name: 'mine', ttl: 5 })
    const id = await harness.create(record)
    assert.equal(await harness.store.create(id, harness.record({ yours: '2' }, { name: 'yours', deleteSession: false, expiresAt: null })), false)
    await harness.assertRecord(id, record)
  },
  async 'load, create: results and arguments belong to the caller' (harness) {
    const record = harness.record({ key: '1' })
    const id = await harness.create(record)
    record.fields.set('key', '2')
    record.expiresAt = null
    const loaded = await harness.loadExisting(id)
    assert.equal(loaded.fields.get('key'), '1')
    assert.notEqual(loaded.expiresAt, null)
    loaded.fields.clear()
    loaded.createdAt = 0
    await harness.assertData(id, { key: '1' })
    assert.notEqual((await harness.loadExisting(id)).createdAt, 0)
  },
  async 'end: deletes the session and its data, once' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ key: '1' }, { deleteSession })
      assert.equal(await harness.store.end(id), true)
      await harness.assertGone(id)
      assert.equal(await harness.store.create(id, harness.record({ fresh: '1' }, { deleteSession })), true)
      await harness.assertData(id, { fresh: '1' })
    }
  },
  async 'each id is a session of its own' (harness) {
    const [one, two] = [await harness.createSession({ n: '1' }), await harness.createSession({ n: '2' })]
    await harness.commitOk(one, { set: { n: '3' } })
    await harness.store.end(one)
    await harness.assertData(two, { n: '2' })
  },
}

/** Cases of a record that the suite has damaged. */
export const damageCases: Cases = {
  async 'a record that cannot be read is a RecordError, and stays as it is' (harness) {
    const id = await harness.createSession({ key: '1' })
    await harness.damage(id)
    const unreadable = { code: 'FST_SESSION_RECORD' }
    const settled = async (answer: () => unknown): Promise<unknown> => answer()
    await assert.rejects(settled(() => harness.store.load(id)), unreadable)
    await assert.rejects(settled(() => harness.commit(id, { set: { key: '2' } })), unreadable)
    await assert.rejects(settled(() => harness.renewTo(id, harness.id(id))), unreadable)
    await assert.rejects(settled(() => harness.store.load(id)), unreadable)
  },
}
