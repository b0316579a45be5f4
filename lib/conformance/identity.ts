import assert from 'node:assert/strict'
import type { Case } from './harness.js'

/** What a session is, beside its data: name, generation, limits, subject. */
export const identityCases: Case[] = [
  {
    name: 'identity: name, generation, maxAge and subject come back as they were, and stay through commits',
    async test (bench) {
      const texts = ['plain', 'two words', '100 % {a}:*?[x]\n"', 'Überraschung 🍕', '-', '=', '+', '__proto__', 'x'.repeat(256)]
      for (const [i, text] of texts.entries()) {
        const record = bench.record({ key: '1' }, { name: text, subject: text, generation: i % 2 === 0 ? text : undefined, maxAge: [undefined, null, 5][i % 3] ?? null, deleteSession: i % 2 !== 1 })
        const id = bench.id()
        assert.equal(await bench.store.create(id, record), true)
        await bench.is(id, record)
        await bench.committed(id, { set: new Map([['key', '2']]), ttl: 9, expiresAt: record.expiresAt })
        await bench.is(id, { ...record, fields: new Map([['key', '2']]), ttl: 9 })
      }
    },
  },
  {
    name: 'identity: a commit gives the session to a subject, to another, to nobody; a renewal keeps it',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const record = bench.record({ key: '1' }, { deleteSession })
        const id = bench.id()
        await bench.store.create(id, record)
        for (const [given, subject] of [['ada', 'ada'], [undefined, 'ada'], ['bob', 'bob'], ['bob', 'bob'], [null, undefined], ['ada', 'ada']] as const) {
          await bench.committed(id, { subject: given })
          await bench.is(id, { ...record, subject })
        }
        const newId = bench.id(id)
        assert.equal((await bench.store.renew(id, newId, bench.change({ set: new Map([['key', '2']]) }))).status, 'committed')
        await bench.is(newId, { ...record, fields: new Map([['key', '2']]), subject: 'ada' })
      }
    },
  },
  {
    name: 'identity: a change that was refused does not touch the subject',
    async test (bench) {
      const id = await bench.created({ word: '"x"' }, { subject: 'ada' })
      await bench.commit(id, { expect: new Map([['word', '1']]), subject: 'bob' })
      await bench.commit(id, { increment: new Map([['word', 1]]), subject: null })
      assert.equal((await bench.loaded(id)).subject, 'ada')
    },
  },
  {
    name: 'identity: another generation is another session: commit, renew and end leave it alone',
    async test (bench) {
      const record = bench.record({ key: '1' }, { generation: 'second', name: 'shared' })
      const id = bench.id()
      await bench.store.create(id, record)
      const change = { set: new Map([['key', '2']]), generation: 'first' }
      assert.deepEqual(await bench.commit(id, change), { status: 'missing' })
      assert.deepEqual(await bench.store.renew(id, bench.id(id), bench.change(change)), { status: 'missing' })
      assert.equal(await bench.store.end(id, 'first'), false)
      const plain = await bench.created()
      assert.deepEqual(await bench.commit(plain, change), { status: 'missing' })
      assert.equal(await bench.store.end(plain, 'first'), false)
      await bench.is(id, record)
      await bench.committed(id, { ...change, generation: 'second' })
      await bench.hasData(id, { key: '2' })
      assert.equal(await bench.store.end(id, 'second'), true)
      await bench.isGone(id)
    },
  },
]
