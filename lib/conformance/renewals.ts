import assert from 'node:assert/strict'
import type { Case } from './harness.js'

/** Cases of `renew`. */
export const renewalCases: Case[] = [
  {
    name: 'renew: the session has a new id, and all that it had; the old one is unknown',
    async test (harness) {
      for (const deleteSession of [true, false]) {
        const record = harness.record({ a: '1', b: '2' }, { deleteSession, name: 'name', ttl: 5 })
        const id = harness.id()
        await harness.store.create(id, record)
        const newId = harness.id(id)
        assert.deepEqual(await harness.store.renew(id, newId, harness.change({})), { status: 'committed', increments: [] })
        await harness.assertRecord(newId, record)
        await harness.assertGone(id)
        await harness.assertRecord(newId, record)
        assert.equal(await harness.store.end(newId), true)
        await harness.assertGone(newId)
      }
    },
  },
  {
    name: 'renew: applies the change in the same step',
    async test (harness) {
      for (const deleteSession of [true, false]) {
        const record = harness.record({ a: '1', b: '2', n: '1' }, { deleteSession })
        const id = harness.id()
        await harness.store.create(id, record)
        const newId = harness.id(id)
        const expiresAt = Date.now() + 2 * harness.lifetime
        const change = harness.change({
          expect: new Map([['a', '1']]), set: new Map([['a', '3']]), remove: ['b'], increment: new Map([['n', 1]]), expiresAt, ttl: 9,
        })
        assert.deepEqual(await harness.store.renew(id, newId, change), { status: 'committed', increments: [2] })
        await harness.assertRecord(newId, { ...record, fields: new Map([['a', '3'], ['n', '2']]), expiresAt, ttl: 9 })
        const third = harness.id(id)
        assert.equal((await harness.store.renew(newId, third, harness.change({ clear: true, set: new Map([['c', '4']]) }))).status, 'committed')
        await harness.assertData(third, { c: '4' })
      }
    },
  },
  {
    name: 'renew: a session without data can be renewed',
    async test (harness) {
      for (const deleteSession of [true, false]) {
        const id = await harness.createSession({}, { deleteSession })
        const newId = harness.id(id)
        assert.equal((await harness.store.renew(id, newId, harness.change({}))).status, 'committed')
        await harness.assertData(newId, {})
      }
    },
  },
  {
    name: 'renew: a conflict, or what is not a number, leaves everything as it was under the old id',
    async test (harness) {
      for (const deleteSession of [true, false]) {
        const record = harness.record({ a: '1', word: '"x"' }, { deleteSession })
        const id = harness.id()
        await harness.store.create(id, record)
        const newId = harness.id(id)
        const conflict = await harness.store.renew(id, newId, harness.change({ expect: new Map([['a', '2']]), set: new Map([['a', '3']]) }))
        assert.deepEqual(conflict, { status: 'conflict', current: new Map([['a', '1']]) })
        const notANumber = await harness.store.renew(id, newId, harness.change({ set: new Map([['a', '3']]), increment: new Map([['word', 1]]) }))
        assert.deepEqual(notANumber, { status: 'not-a-number', key: 'word' })
        assert.equal(await harness.store.load(newId), undefined)
        await harness.assertRecord(id, record)
      }
    },
  },
  {
    name: 'renew: what is missing stays so, under both ids',
    async test (harness) {
      const id = harness.id()
      const newId = harness.id(id)
      assert.deepEqual(await harness.store.renew(id, newId, harness.change({ set: new Map([['a', '1']]) })), { status: 'missing' })
      await harness.assertGone(id)
      await harness.assertGone(newId)
    },
  },
]
