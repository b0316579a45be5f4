import assert from 'node:assert/strict'
import type { Case } from './harness.js'

/** Cases of a session's name, generation, `maxAge` and subject. */
export const identityCases: Case[] = [
  {
    name: 'identity: name, generation, maxAge and subject come back as they were, and stay through commits',
    async test (harness) {
      const texts = ['plain', 'two words', '100 % {a}:*?[x]\n"', 'Überraschung 🍕', '-', '=', '+', '__proto__', 'x'.repeat(256)]
      for (const [i, text] of texts.entries()) {
        const record = harness.record({ key: '1' }, { name: text, subject: text, generation: i % 2 === 0 ? text : undefined, maxAge: [undefined, null, 5][i % 3] ?? null, deleteSession: i % 2 !== 1 })
        const id = harness.id()
        assert.equal(await harness.store.create(id, record), true)
        await harness.assertRecord(id, record)
        await harness.commitOk(id, { set: new Map([['key', '2']]), ttl: 9, expiresAt: record.expiresAt })
        await harness.assertRecord(id, { ...record, fields: new Map([['key', '2']]), ttl: 9 })
      }
    },
  },
  {
    name: 'identity: a commit gives the session to a subject, to another, to nobody; a renewal keeps it',
    async test (harness) {
      for (const deleteSession of [true, false]) {
        const record = harness.record({ key: '1' }, { deleteSession })
        const id = harness.id()
        await harness.store.create(id, record)
        for (const [given, subject] of [['ada', 'ada'], [undefined, 'ada'], ['bob', 'bob'], ['bob', 'bob'], [null, undefined], ['ada', 'ada']] as const) {
          await harness.commitOk(id, { subject: given })
          await harness.assertRecord(id, { ...record, subject })
        }
        const newId = harness.id(id)
        assert.equal((await harness.store.renew(id, newId, harness.change({ set: new Map([['key', '2']]) }))).status, 'committed')
        await harness.assertRecord(newId, { ...record, fields: new Map([['key', '2']]), subject: 'ada' })
      }
    },
  },
  {
    name: 'identity: a change that was refused does not touch the subject',
    async test (harness) {
      const id = await harness.createSession({ word: '"x"' }, { subject: 'ada' })
      await harness.commit(id, { expect: new Map([['word', '1']]), subject: 'bob' })
      await harness.commit(id, { increment: new Map([['word', 1]]), subject: null })
      assert.equal((await harness.loadExisting(id)).subject, 'ada')
    },
  },
  {
    name: 'identity: another generation is another session: commit, renew and end leave it alone',
    async test (harness) {
      const record = harness.record({ key: '1' }, { generation: 'second', name: 'shared' })
      const id = harness.id()
      await harness.store.create(id, record)
      const change = { set: new Map([['key', '2']]), generation: 'first' }
      assert.deepEqual(await harness.commit(id, change), { status: 'missing' })
      assert.deepEqual(await harness.store.renew(id, harness.id(id), harness.change(change)), { status: 'missing' })
      assert.equal(await harness.store.end(id, 'first'), false)
      const plain = await harness.createSession()
      assert.deepEqual(await harness.commit(plain, change), { status: 'missing' })
      assert.equal(await harness.store.end(plain, 'first'), false)
      await harness.assertRecord(id, record)
      await harness.commitOk(id, { ...change, generation: 'second' })
      await harness.assertData(id, { key: '2' })
      assert.equal(await harness.store.end(id, 'second'), true)
      await harness.assertGone(id)
    },
  },
]
