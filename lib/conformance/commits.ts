import assert from 'node:assert/strict'
import type { Cases, Change } from './harness.js'

const max = Number.MAX_SAFE_INTEGER

/** Changes all parts of a session, for cases in which nothing may be written. */
function changeOfAll (now: number): Change {
  return { clear: true, set: { set: '1', new: '1' }, remove: ['removed'], expiresAt: now + 1_000_000, ttl: 7 }
}

const before = { set: '"old"', removed: '"still"', n: '5', word: '"five"' }

/** Cases of `commit`. */
export const commitCases: Cases = {
  async 'commit: sets the keys that it names and no others' (harness) {
    const id = await harness.createSession({ a: '1', b: '2' })
    assert.deepEqual(await harness.commitOk(id, { set: { b: '3', c: '4' } }), [])
    await harness.assertData(id, { a: '1', b: '3', c: '4' })
  },
  async 'commit: removes keys; an absent one is no error' (harness) {
    const id = await harness.createSession({ a: '1', b: '2' })
    await harness.commitOk(id, { remove: ['b', 'never was'] })
    await harness.assertData(id, { a: '1' })
    await harness.commitOk(id, { remove: ['a'] })
    await harness.assertData(id, {})
  },
  async 'commit: clear removes all data, then set and increment apply' (harness) {
    const id = await harness.createSession({ a: '1', n: '41', word: '"x"' })
    assert.deepEqual(await harness.commitOk(id, { clear: true, set: { b: '2' }, increment: { n: 1, word: 2 } }), [1, 2])
    await harness.assertData(id, { b: '2', n: '1', word: '2' })
    await harness.commitOk(id, { clear: true })
    await harness.assertData(id, {})
  },
  async 'commit: increments add to the present values, return the sums in order, and write JSON numbers' (harness) {
    const id = await harness.createSession({ a: '1', b: '-5', z: '0' })
    const increment = { z: 0, b: 2, new: 7, a: -3 }
    assert.deepEqual(await harness.commitOk(id, { increment }), [0, -3, 7, -2])
    await harness.assertData(id, { a: '-2', b: '-3', new: '7', z: '0' })
  },
  async 'commit: sums reach ±(2^53 − 1), exactly, and no further' (harness) {
    const id = await harness.createSession({ up: String(max - 1), down: String(-max + 1) })
    assert.deepEqual(await harness.commitOk(id, { increment: { up: 1, down: -1, 'at once': max } }), [max, -max, max])
    await harness.assertData(id, { up: String(max), down: String(-max), 'at once': String(max) })
    for (const [key, by] of [['up', 1], ['down', -1], ['up', max]] as const) {
      assert.deepEqual(await harness.commit(id, { increment: { [key]: by } }), { status: 'not-a-number', key })
    }
    await harness.assertData(id, { up: String(max), down: String(-max), 'at once': String(max) })
  },
  async 'commit: an increment of a value that is not a whole number returns its key, and nothing is written' (harness) {
    for (const text of ['"5"', '1.5', '1e+21', 'null', 'true', '{}', '[]', '""', '99999999999999999999']) {
      const record = harness.record({ ...before, word: text }, { ttl: 3 })
      const id = await harness.create(record)
      const change = { ...changeOfAll(Date.now()), clear: false, increment: { n: 1, word: 1 } }
      assert.deepEqual(await harness.commit(id, change), { status: 'not-a-number', key: 'word' })
      await harness.assertRecord(id, record)
    }
  },
  async 'commit: applies if its expectations hold' (harness) {
    const id = await harness.createSession({ a: '1', b: '""' })
    const expect = { a: '1', b: '""', c: undefined }
    await harness.commitOk(id, { expect, set: { a: '2', c: '3' } })
    await harness.assertData(id, { a: '2', b: '""', c: '3' })
    await harness.commitOk(id, { expect: { a: '2' }, clear: true })
    await harness.assertData(id, {})
  },
  async 'commit: expectations that do not hold are a conflict with the present values, and nothing is written' (harness) {
    const record = harness.record(before, { ttl: 3 })
    const id = await harness.create(record)
    const expectations = [
      { n: '6' },
      { n: undefined },
      { absent: '1' },
      { n: '5', absent: undefined, set: '"other"' },
      { set: '"other"', n: '5', absent: undefined },
    ]
    for (const expect of expectations) {
      const result = await harness.commit(id, { ...changeOfAll(Date.now()), expect, increment: { n: 1 } })
      const current = new Map(Object.keys(expect).map((key) => [key, record.fields.get(key)]))
      assert.deepEqual(result, { status: 'conflict', current })
      await harness.assertRecord(id, record)
    }
  },
  async 'commit: a session that is missing or ended is answered so, and not brought back' (harness) {
    const never = harness.id()
    assert.deepEqual(await harness.commit(never, changeOfAll(Date.now())), { status: 'missing' })
    const ended = await harness.createSession(before)
    await harness.store.end(ended)
    assert.deepEqual(await harness.commit(ended, { expect: { n: '6' }, increment: { n: 1 } }), { status: 'missing' })
    for (const id of [never, ended]) assert.equal(await harness.store.load(id), undefined)
  },
  async 'commit: ttl and expiresAt change, or stay as they are; the rest of the description stays' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ key: '1' }, { deleteSession, name: 'two words', ttl: 5 })
      const id = await harness.create(record)
      const later = Date.now() + 2 * harness.lifetime
      const steps: Array<Pick<Change, 'ttl' | 'expiresAt'>> = [
        { ttl: undefined, expiresAt: undefined }, { ttl: 9, expiresAt: undefined }, { ttl: undefined, expiresAt: later },
        { ttl: null, expiresAt: null }, { ttl: 1, expiresAt: undefined }, { ttl: undefined, expiresAt: later + 1 },
      ]
      const expected = { ...record }
      for (const { ttl, expiresAt } of steps) {
        await harness.commitOk(id, { ttl, expiresAt })
        if (ttl !== undefined) expected.ttl = ttl
        if (expiresAt !== undefined) expected.expiresAt = expiresAt
        await harness.assertRecord(id, expected)
      }
    }
  },
}
