import assert from 'node:assert/strict'
import type { Case } from './harness.js'

/** A new id for a session. */
export const renewalCases: Case[] = [
  {
    name: 'renew: the session has a new id, and all that it had; the old one is unknown',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const record = bench.record({ a: '1', b: '2' }, { deleteSession, name: 'name', ttl: 5 })
        const id = bench.id()
        await bench.store.create(id, record)
        const newId = bench.id(id)
        assert.deepEqual(await bench.store.renew(id, newId, bench.change({})), { status: 'committed', increments: [] })
        await bench.is(newId, record)
        await bench.isGone(id)
        await bench.is(newId, record)
        assert.equal(await bench.store.end(newId), true)
        await bench.isGone(newId)
      }
    },
  },
  {
    name: 'renew: applies the change in the same step',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const record = bench.record({ a: '1', b: '2', n: '1' }, { deleteSession })
        const id = bench.id()
        await bench.store.create(id, record)
        const newId = bench.id(id)
        const expiresAt = Date.now() + 2 * bench.lifetime
        const change = bench.change({
          expect: new Map([['a', '1']]), set: new Map([['a', '3']]), remove: ['b'], increment: new Map([['n', 1]]), expiresAt, ttl: 9,
        })
        assert.deepEqual(await bench.store.renew(id, newId, change), { status: 'committed', increments: [2] })
        await bench.is(newId, { ...record, fields: new Map([['a', '3'], ['n', '2']]), expiresAt, ttl: 9 })
        const third = bench.id(id)
        assert.equal((await bench.store.renew(newId, third, bench.change({ clear: true, set: new Map([['c', '4']]) }))).status, 'committed')
        await bench.hasData(third, { c: '4' })
      }
    },
  },
  {
    name: 'renew: a session without data can be renewed',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const id = await bench.created({}, { deleteSession })
        const newId = bench.id(id)
        assert.equal((await bench.store.renew(id, newId, bench.change({}))).status, 'committed')
        await bench.hasData(newId, {})
      }
    },
  },
  {
    name: 'renew: a conflict, or what is not a number, leaves everything as it was under the old id',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const record = bench.record({ a: '1', word: '"x"' }, { deleteSession })
        const id = bench.id()
        await bench.store.create(id, record)
        const newId = bench.id(id)
        const conflict = await bench.store.renew(id, newId, bench.change({ expect: new Map([['a', '2']]), set: new Map([['a', '3']]) }))
        assert.deepEqual(conflict, { status: 'conflict', current: new Map([['a', '1']]) })
        const notANumber = await bench.store.renew(id, newId, bench.change({ set: new Map([['a', '3']]), increment: new Map([['word', 1]]) }))
        assert.deepEqual(notANumber, { status: 'not-a-number', key: 'word' })
        assert.equal(await bench.store.load(newId), undefined)
        await bench.is(id, record)
      }
    },
  },
  {
    name: 'renew: what is missing stays so, under both ids',
    async test (bench) {
      const id = bench.id()
      const newId = bench.id(id)
      assert.deepEqual(await bench.store.renew(id, newId, bench.change({ set: new Map([['a', '1']]) })), { status: 'missing' })
      await bench.isGone(id)
      await bench.isGone(newId)
    },
  },
]
