import assert from 'node:assert/strict'
import type { Case } from './harness.js'

/** Sessions that expire. `advance` is what makes time pass. */
export const expiryCases: Case[] = [
  {
    name: 'expiry: there until it is due, gone from then on, and the id is free again',
    async test (bench) {
      const id = await bench.created({ key: '1' })
      await bench.advance(bench.lifetime / 2)
      await bench.hasData(id, { key: '1' })
      await bench.advance(bench.lifetime / 2 + 1)
      await bench.isGone(id)
      assert.equal(await bench.store.create(id, bench.record({ fresh: '1' })), true)
      await bench.hasData(id, { fresh: '1' })
    },
  },
  {
    name: 'expiry: create may be the first to meet an expired session',
    async test (bench) {
      const id = await bench.created({ old: '1' })
      await bench.advance(bench.lifetime + 1)
      assert.equal(await bench.store.create(id, bench.record({ fresh: '1' })), true)
      await bench.hasData(id, { fresh: '1' })
    },
  },
  {
    name: 'expiry: commit, renew and end may be the first to meet an expired session',
    async test (bench) {
      const [one, two, three] = [await bench.created({ n: '1' }), await bench.created({ n: '1' }), await bench.created({ n: '1' })]
      await bench.advance(bench.lifetime + 1)
      assert.deepEqual(await bench.commit(one, { increment: new Map([['n', 1]]), expiresAt: null }), { status: 'missing' })
      const newId = bench.id(two)
      assert.deepEqual(await bench.store.renew(two, newId, bench.change({ expiresAt: null })), { status: 'missing' })
      assert.equal(await bench.store.end(three), false)
      for (const id of [one, two, newId, three]) await bench.isGone(id)
    },
  },
  {
    name: 'expiry: null is never',
    async test (bench) {
      const id = await bench.created({ key: '1' }, { expiresAt: null })
      await bench.advance(5 * bench.lifetime)
      await bench.hasData(id, { key: '1' })
    },
  },
  {
    name: 'expiry: reading does not prolong a life, nor does a commit that leaves it as it is',
    async test (bench) {
      const id = await bench.created({ key: '1' })
      const { expiresAt } = await bench.loaded(id)
      await bench.advance(bench.lifetime / 2)
      await bench.committed(id, { clear: true, set: new Map([['key', '2']]), ttl: 1_000_000 })
      assert.equal((await bench.loaded(id)).expiresAt, expiresAt)
      await bench.advance(bench.lifetime / 2 + 1)
      await bench.isGone(id)
    },
  },
  {
    name: 'expiry: a commit prolongs, shortens, takes away and gives',
    async test (bench) {
      const { lifetime } = bench
      const now = Date.now()
      const prolonged = await bench.created()
      const shortened = await bench.created()
      const freed = await bench.created()
      const bound = await bench.created({}, { expiresAt: null })
      await bench.committed(prolonged, { expiresAt: now + 3 * lifetime })
      await bench.committed(shortened, { expiresAt: now + lifetime / 2 })
      await bench.committed(freed, { expiresAt: null })
      await bench.committed(bound, { expiresAt: now + lifetime })
      await bench.advance(lifetime / 2 + 1)
      await bench.isGone(shortened)
      await bench.loaded(bound)
      await bench.advance(lifetime)
      await bench.isGone(bound)
      await bench.loaded(prolonged)
      await bench.advance(2 * lifetime)
      await bench.isGone(prolonged)
      assert.equal((await bench.loaded(freed)).expiresAt, null)
    },
  },
  {
    name: 'expiry: a change that was refused does not touch it',
    async test (bench) {
      const id = await bench.created({ word: '"x"' })
      await bench.commit(id, { expect: new Map([['word', '1']]), expiresAt: null })
      await bench.commit(id, { increment: new Map([['word', 1]]), expiresAt: null })
      await bench.advance(bench.lifetime + 1)
      await bench.isGone(id)
    },
  },
  {
    name: 'expiry: goes on under the new id after a renewal',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const id = await bench.created({ key: '1' }, { deleteSession })
        const same = bench.id(id)
        const later = bench.id(id)
        await bench.advance(bench.lifetime / 2)
        assert.equal((await bench.store.renew(id, same, bench.change({}))).status, 'committed')
        await bench.hasData(same, { key: '1' })
        assert.equal((await bench.store.renew(same, later, bench.change({ expiresAt: Date.now() + bench.lifetime }))).status, 'committed')
        await bench.advance(bench.lifetime / 2 + 1)
        await bench.hasData(later, { key: '1' })
        await bench.advance(bench.lifetime / 2)
        if (!deleteSession) await bench.hasData(later, {})
        else await bench.isGone(later)
      }
    },
  },
  {
    name: 'deleteSession: false: the data expires and the session stays, empty and without an expiry',
    async test (bench) {
      const record = bench.record({ a: '1', b: '2' }, { deleteSession: false, name: 'kept', ttl: 5 })
      const id = bench.id()
      await bench.store.create(id, record)
      await bench.advance(bench.lifetime + 1)
      await bench.is(id, { ...record, fields: new Map(), expiresAt: null })
      assert.equal(await bench.store.create(id, bench.record()), false)
      await bench.advance(5 * bench.lifetime)
      await bench.is(id, { ...record, fields: new Map(), expiresAt: null })
    },
  },
  {
    name: 'deleteSession: false: an emptied session takes new data, which expires in its turn',
    async test (bench) {
      const record = bench.record({ n: '41' }, { deleteSession: false })
      const id = bench.id()
      await bench.store.create(id, record)
      await bench.advance(bench.lifetime + 1)
      const expiresAt = Date.now() + bench.lifetime
      const change = { expect: new Map([['n', undefined]]), increment: new Map([['n', 1]]), expiresAt }
      assert.deepEqual(await bench.committed(id, change), [1])
      await bench.is(id, { ...record, fields: new Map([['n', '1']]), expiresAt })
      await bench.advance(bench.lifetime + 1)
      await bench.is(id, { ...record, fields: new Map(), expiresAt: null })
    },
  },
  {
    name: 'deleteSession: false: an emptied session can be renewed and ended',
    async test (bench) {
      const id = await bench.created({ a: '1' }, { deleteSession: false })
      await bench.advance(bench.lifetime + 1)
      const newId = bench.id(id)
      assert.equal((await bench.store.renew(id, newId, bench.change({}))).status, 'committed')
      await bench.hasData(newId, {})
      await bench.isGone(id)
      assert.equal(await bench.store.end(newId), true)
      await bench.isGone(newId)
    },
  },
  {
    name: 'deleteSession: false: new data has no expiry until a change sets one',
    async test (bench) {
      const id = await bench.created({ a: '1' }, { deleteSession: false })
      await bench.advance(bench.lifetime + 1)
      await bench.committed(id, { set: new Map([['a', '2']]) })
      assert.equal((await bench.loaded(id)).expiresAt, null)
      await bench.advance(5 * bench.lifetime)
      await bench.hasData(id, { a: '2' })
    },
  },
  {
    name: 'deleteSession: false: data that replaces all data keeps its expiry',
    async test (bench) {
      const id = await bench.created({ a: '1' }, { deleteSession: false })
      const { expiresAt } = await bench.loaded(id)
      await bench.committed(id, { clear: true, set: new Map([['b', '2']]) })
      await bench.committed(id, { remove: ['b'], set: new Map([['c', '3']]) })
      assert.equal((await bench.loaded(id)).expiresAt, expiresAt)
      await bench.advance(bench.lifetime + 1)
      await bench.hasData(id, {})
    },
  },
  {
    name: 'deleteSession: false: a session whose data was removed is one without data: no expiry',
    async test (bench) {
      const removed = await bench.created({ a: '1' }, { deleteSession: false })
      await bench.committed(removed, { remove: ['a'] })
      const cleared = await bench.created({ a: '1' }, { deleteSession: false })
      await bench.committed(cleared, { clear: true, expiresAt: Date.now() + 2 * bench.lifetime })
      const never = await bench.created({}, { deleteSession: false })
      for (const id of [removed, cleared, never]) {
        assert.equal((await bench.loaded(id)).expiresAt, null)
        await bench.committed(id, { set: new Map([['b', '2']]) })
        assert.equal((await bench.loaded(id)).expiresAt, null)
        await bench.advance(bench.lifetime + 1)
        await bench.hasData(id, { b: '2' })
      }
    },
  },
]
