import assert from 'node:assert/strict'
import type { Cases } from './harness.js'

/** Cases of expiry, of both kinds of session (`deleteSession`). */
export const expiryCases: Cases = {
  async 'expiry: there until it is due, gone from then on, and the id is free again' (harness) {
    const id = await harness.createSession({ key: '1' })
    await harness.advance(harness.lifetime / 2)
    await harness.assertData(id, { key: '1' })
    await harness.advance(harness.lifetime / 2 + 1)
    await harness.assertGone(id)
    assert.equal(await harness.store.create(id, harness.record({ fresh: '1' })), true)
    await harness.assertData(id, { fresh: '1' })
  },
  async 'expiry: create may be the first to meet an expired session' (harness) {
    const id = await harness.createSession({ old: '1' })
    await harness.advance(harness.lifetime + 1)
    assert.equal(await harness.store.create(id, harness.record({ fresh: '1' })), true)
    await harness.assertData(id, { fresh: '1' })
  },
  async 'expiry: commit, renew and end may be the first to meet an expired session' (harness) {
    const [one, two, three] = [await harness.createSession({ n: '1' }), await harness.createSession({ n: '1' }), await harness.createSession({ n: '1' })]
    await harness.advance(harness.lifetime + 1)
    assert.deepEqual(await harness.commit(one, { increment: { n: 1 }, expiresAt: null }), { status: 'missing' })
    const newId = harness.id(two)
    assert.deepEqual(await harness.renewTo(two, newId, { expiresAt: null }), { status: 'missing' })
    assert.equal(await harness.store.end(three), false)
    for (const id of [one, two, newId, three]) await harness.assertGone(id)
  },
  async 'expiry: null is never' (harness) {
    const id = await harness.createSession({ key: '1' }, { expiresAt: null })
    await harness.advance(5 * harness.lifetime)
    await harness.assertData(id, { key: '1' })
  },
  async 'expiry: reading does not prolong a life, nor does a commit that leaves it as it is' (harness) {
    const id = await harness.createSession({ key: '1' })
    const { expiresAt } = await harness.loadExisting(id)
    await harness.advance(harness.lifetime / 2)
    await harness.commitOk(id, { clear: true, set: { key: '2' }, ttl: 1_000_000 })
    assert.equal((await harness.loadExisting(id)).expiresAt, expiresAt)
    await harness.advance(harness.lifetime / 2 + 1)
    await harness.assertGone(id)
  },
  async 'expiry: a commit prolongs, shortens, takes away and gives' (harness) {
    const { lifetime } = harness
    const now = Date.now()
    const prolonged = await harness.createSession()
    const shortened = await harness.createSession()
    const freed = await harness.createSession()
    const bound = await harness.createSession({}, { expiresAt: null })
    await harness.commitOk(prolonged, { expiresAt: now + 3 * lifetime })
    await harness.commitOk(shortened, { expiresAt: now + lifetime / 2 })
    await harness.commitOk(freed, { expiresAt: null })
    await harness.commitOk(bound, { expiresAt: now + lifetime })
    await harness.advance(lifetime / 2 + 1)
    await harness.assertGone(shortened)
    await harness.loadExisting(bound)
    await harness.advance(lifetime)
    await harness.assertGone(bound)
    await harness.loadExisting(prolonged)
    await harness.advance(2 * lifetime)
    await harness.assertGone(prolonged)
    assert.equal((await harness.loadExisting(freed)).expiresAt, null)
  },
  async 'expiry: a change that was refused does not touch it' (harness) {
    const id = await harness.createSession({ word: '"x"' })
    await harness.commit(id, { expect: { word: '1' }, expiresAt: null })
    await harness.commit(id, { increment: { word: 1 }, expiresAt: null })
    await harness.advance(harness.lifetime + 1)
    await harness.assertGone(id)
  },
  async 'expiry: goes on under the new id after a renewal' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ key: '1' }, { deleteSession })
      await harness.advance(harness.lifetime / 2)
      const same = await harness.renew(id)
      await harness.assertData(same, { key: '1' })
      const later = await harness.renew(same, { expiresAt: Date.now() + harness.lifetime })
      await harness.advance(harness.lifetime / 2 + 1)
      await harness.assertData(later, { key: '1' })
      await harness.advance(harness.lifetime / 2)
      if (!deleteSession) await harness.assertData(later, {})
      else await harness.assertGone(later)
    }
  },
  async 'deleteSession: false: the data expires and the session stays, empty and without an expiry' (harness) {
    const record = harness.record({ a: '1', b: '2' }, { deleteSession: false, name: 'kept', ttl: 5 })
    const id = await harness.create(record)
    await harness.advance(harness.lifetime + 1)
    await harness.assertRecord(id, { ...record, fields: {}, expiresAt: null })
    assert.equal(await harness.store.create(id, harness.record()), false)
    await harness.advance(5 * harness.lifetime)
    await harness.assertRecord(id, { ...record, fields: {}, expiresAt: null })
  },
  async 'deleteSession: false: an emptied session takes new data, which expires in its turn' (harness) {
    const record = harness.record({ n: '41' }, { deleteSession: false })
    const id = await harness.create(record)
    await harness.advance(harness.lifetime + 1)
    const expiresAt = Date.now() + harness.lifetime
    const change = { expect: { n: undefined }, increment: { n: 1 }, expiresAt }
    assert.deepEqual(await harness.commitOk(id, change), [1])
    await harness.assertRecord(id, { ...record, fields: { n: '1' }, expiresAt })
    await harness.advance(harness.lifetime + 1)
    await harness.assertRecord(id, { ...record, fields: {}, expiresAt: null })
  },
  async 'deleteSession: false: an emptied session can be renewed and ended' (harness) {
    const id = await harness.createSession({ a: '1' }, { deleteSession: false })
    await harness.advance(harness.lifetime + 1)
    const newId = await harness.renew(id)
    await harness.assertData(newId, {})
    await harness.assertMoved(id, newId, 'renewed')
    assert.equal(await harness.store.end(newId), true)
    await harness.assertGone(newId)
  },
  async 'deleteSession: false: data begin with the first change after there were none, and stay as old as they are' (harness) {
    const record = harness.record({ a: '1' }, { deleteSession: false })
    const id = await harness.create(record)
    const set = { a: '2' }
    await harness.commitOk(id, { set, dataSince: 7, expiresAt: record.expiresAt })
    await harness.assertRecord(id, { ...record, fields: set })
    await harness.commitOk(id, { set, clear: true, dataSince: 8 })
    await harness.assertRecord(id, { ...record, fields: set, dataSince: 8 })
    await harness.commitOk(id, { remove: ['a'], dataSince: 9 })
    await harness.commitOk(id, { set, dataSince: 10 })
    await harness.assertRecord(id, { ...record, fields: set, dataSince: 10, expiresAt: null })
    await harness.commitOk(id, { expiresAt: Date.now() + harness.lifetime })
    await harness.advance(harness.lifetime + 1)
    await harness.commitOk(id, { set, dataSince: 11 })
    assert.equal((await harness.loadExisting(id)).dataSince, 11)
    const newId = await harness.renew(id, { set, dataSince: 12 })
    assert.equal((await harness.loadExisting(newId)).dataSince, 11)
    const plain = await harness.createSession({ a: '1' }, { createdAt: 1, expiresAt: null })
    await harness.commitOk(plain, { clear: true, set, dataSince: 13 })
    assert.equal((await harness.loadExisting(plain)).dataSince, 1)
  },
  async 'deleteSession: false: new data has no expiry until a change sets one' (harness) {
    const id = await harness.createSession({ a: '1' }, { deleteSession: false })
    await harness.advance(harness.lifetime + 1)
    await harness.commitOk(id, { set: { a: '2' } })
    assert.equal((await harness.loadExisting(id)).expiresAt, null)
    await harness.advance(5 * harness.lifetime)
    await harness.assertData(id, { a: '2' })
  },
  async 'deleteSession: false: data that replaces all data keeps its expiry' (harness) {
    const id = await harness.createSession({ a: '1' }, { deleteSession: false })
    const { expiresAt } = await harness.loadExisting(id)
    await harness.commitOk(id, { clear: true, set: { b: '2' } })
    await harness.commitOk(id, { remove: ['b'], set: { c: '3' } })
    assert.equal((await harness.loadExisting(id)).expiresAt, expiresAt)
    await harness.advance(harness.lifetime + 1)
    await harness.assertData(id, {})
  },
  async 'deleteSession: false: a session whose data was removed is one without data: no expiry' (harness) {
    const removed = await harness.createSession({ a: '1' }, { deleteSession: false })
    await harness.commitOk(removed, { remove: ['a'] })
    const cleared = await harness.createSession({ a: '1' }, { deleteSession: false })
    await harness.commitOk(cleared, { clear: true, expiresAt: Date.now() + 2 * harness.lifetime })
    const never = await harness.createSession({}, { deleteSession: false })
    for (const id of [removed, cleared, never]) {
      assert.equal((await harness.loadExisting(id)).expiresAt, null)
      await harness.commitOk(id, { set: { b: '2' } })
      assert.equal((await harness.loadExisting(id)).expiresAt, null)
      await harness.advance(harness.lifetime + 1)
      await harness.assertData(id, { b: '2' })
    }
  },
}
