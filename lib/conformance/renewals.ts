import assert from 'node:assert/strict'
import type { Cases } from './harness.js'

/** Cases of `renew` and `regenerate`. */
export const renewalCases: Cases = {
  async 'renew: the session has a new id, and all that it had; the old one leads to it' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ a: '1', b: '2' }, { deleteSession, name: 'name', ttl: 5 })
      const id = await harness.create(record)
      const newId = harness.id(id)
      assert.deepEqual(await harness.renewTo(id, newId), { status: 'committed', increments: [] })
      await harness.assertRecord(newId, record)
      await harness.assertMoved(id, newId, 'renewed')
      await harness.assertRecord(newId, record)
      const third = await harness.renew(newId)
      await harness.assertMoved(id, newId, 'renewed')
      await harness.assertMoved(newId, third, 'renewed')
      assert.equal(await harness.store.end(third), true)
      await harness.assertGone(third)
      await harness.assertMoved(newId, third, 'renewed')
    }
  },
  async 'renew: applies the change in the same step' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ a: '1', b: '2', n: '1' }, { deleteSession })
      const id = await harness.create(record)
      const newId = harness.id(id)
      const expiresAt = Date.now() + 2 * harness.lifetime
      const change = {
        expect: { a: '1' }, set: { a: '3' }, remove: ['b'], increment: { n: 1 }, expiresAt, ttl: 9,
      }
      assert.deepEqual(await harness.renewTo(id, newId, change), { status: 'committed', increments: [2] })
      await harness.assertRecord(newId, { ...record, fields: { a: '3', n: '2' }, expiresAt, ttl: 9 })
      const third = await harness.renew(newId, { clear: true, set: { c: '4' } })
      await harness.assertData(third, { c: '4' })
    }
  },
  async 'renew: a session without data can be renewed' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({}, { deleteSession })
      const newId = await harness.renew(id)
      await harness.assertData(newId, {})
    }
  },
  async 'renew: a conflict, or a value that is not a number, leaves everything unchanged under the old id' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ a: '1', word: '"x"' }, { deleteSession })
      const id = await harness.create(record)
      const newId = harness.id(id)
      const conflict = await harness.renewTo(id, newId, { expect: { a: '2' }, set: { a: '3' } })
      assert.deepEqual(conflict, { status: 'conflict', current: new Map([['a', '1']]) })
      const notANumber = await harness.renewTo(id, newId, { set: { a: '3' }, increment: { word: 1 } })
      assert.deepEqual(notANumber, { status: 'not-a-number', key: 'word' })
      assert.equal(await harness.store.load(newId), undefined)
      await harness.assertRecord(id, record)
    }
  },
  async 'renew: a missing session stays missing, under both ids' (harness) {
    const id = harness.id()
    const newId = harness.id(id)
    assert.deepEqual(await harness.renewTo(id, newId, { set: { a: '1' } }), { status: 'missing' })
    await harness.assertGone(id)
    await harness.assertGone(newId)
  },
  async 'regenerate: another session takes the place of the old one, of which nothing is left; the old id leads to it' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ a: '1', b: '2' }, { deleteSession, name: 'name', ttl: 5, maxAge: 7 })
      const newId = harness.id(id)
      const record = harness.record({ b: '2', c: '3' }, { deleteSession: !deleteSession, ttl: 9 })
      assert.equal(await harness.store.regenerate(id, newId, record), true)
      await harness.assertRecord(newId, record)
      await harness.assertMoved(id, newId, 'regenerated')
      await harness.assertRecord(newId, record)
    }
  },
  async 'regenerate: needs no old session, and leaves alone where the old id leads to' (harness) {
    const gone = harness.id()
    const first = harness.id(gone)
    assert.equal(await harness.store.regenerate(gone, first, harness.record({ a: '1' })), true)
    await harness.assertMoved(gone, first, 'regenerated')
    const id = await harness.createSession({ a: '1' })
    const renewed = await harness.renew(id)
    const second = harness.id(id)
    assert.equal(await harness.store.regenerate(id, second, harness.record({ b: '2' })), true)
    await harness.assertMoved(id, renewed, 'renewed')
    await harness.assertData(renewed, { a: '1' })
    await harness.assertData(second, { b: '2' })
  },
  async 'regenerate: where the new id is taken, nothing is written' (harness) {
    const id = await harness.createSession({ a: '1' })
    const taken = harness.id(id)
    await harness.store.create(taken, harness.record({ b: '2' }))
    assert.equal(await harness.store.regenerate(id, taken, harness.record({ c: '3' })), false)
    await harness.assertData(id, { a: '1' })
    await harness.assertData(taken, { b: '2' })
  },
}
