import assert from 'node:assert/strict'
import type { Cases } from './harness.js'

/** Cases of a session's name, label, generation, `maxAge`, subject and last use. */
export const identityCases: Cases = {
  async 'identity: name, label, generation, maxAge and subject come back as they were, and stay through commits' (harness) {
    const texts = ['plain', 'two words', '100 % {a}:*?[x]\n"', 'Überraschung 🍕', '-', '=', '+', '__proto__', 'x'.repeat(256)]
    for (const [i, text] of texts.entries()) {
      const record = harness.record({ key: '1' }, { name: text, label: text, subject: text, generation: i % 2 === 0 ? text : undefined, maxAge: [undefined, null, 5][i % 3] ?? null, deleteSession: i % 2 !== 1 })
      const id = await harness.create(record)
      await harness.assertRecord(id, record)
      await harness.commitOk(id, { set: { key: '2' }, ttl: 9, expiresAt: record.expiresAt })
      await harness.assertRecord(id, { ...record, fields: { key: '2' }, ttl: 9 })
    }
  },
  async 'identity: a commit gives the session to a subject, to another, to nobody; a renewal keeps it' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ key: '1' }, { deleteSession })
      const id = await harness.create(record)
      for (const [given, subject] of [['ada', 'ada'], [undefined, 'ada'], ['bob', 'bob'], ['bob', 'bob'], [null, undefined], ['ada', 'ada']] as const) {
        await harness.commitOk(id, { subject: given })
        await harness.assertRecord(id, { ...record, subject })
      }
      const newId = await harness.renew(id, { set: { key: '2' } })
      await harness.assertRecord(newId, { ...record, fields: { key: '2' }, subject: 'ada' })
    }
  },
  async 'identity: a change that was refused does not touch the subject' (harness) {
    const id = await harness.createSession({ word: '"x"' }, { subject: 'ada' })
    await harness.commit(id, { expect: { word: '1' }, subject: 'bob' })
    await harness.commit(id, { increment: { word: 1 }, subject: null })
    assert.equal((await harness.loadExisting(id)).subject, 'ada')
  },
  async 'identity: another generation is another session: commit, renew and end leave it alone' (harness) {
    const record = harness.record({ key: '1' }, { generation: 'second', name: 'shared' })
    const id = await harness.create(record)
    const change = { set: { key: '2' }, generation: 'first' }
    assert.deepEqual(await harness.commit(id, change), { status: 'missing' })
    assert.deepEqual(await harness.renewTo(id, harness.id(id), change), { status: 'missing' })
    assert.equal(await harness.store.end(id, { generation: 'first' }), false)
    const plain = await harness.createSession()
    assert.deepEqual(await harness.commit(plain, change), { status: 'missing' })
    assert.equal(await harness.store.end(plain, { generation: 'first' }), false)
    await harness.assertRecord(id, record)
    await harness.commitOk(id, { ...change, generation: 'second' })
    await harness.assertData(id, { key: '2' })
    assert.equal(await harness.store.end(id, { generation: 'second' }), true)
    await harness.assertGone(id)
  },
  async 'identity: a commit gives a label, another, none; it does not touch the expiry, and a renewal keeps it' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ key: '1' }, { deleteSession })
      const id = await harness.create(record)
      for (const [given, label] of [['Firefox on Linux', 'Firefox on Linux'], [undefined, 'Firefox on Linux'], ['100 % \n"🍕"', '100 % \n"🍕"'], [null, undefined], ['=', '=']] as const) {
        await harness.commitOk(id, { label: given })
        await harness.assertRecord(id, { ...record, label })
      }
      await harness.commit(id, { expect: { key: '2' }, label: 'refused' })
      const newId = await harness.renew(id)
      await harness.assertRecord(newId, { ...record, label: '=' })
    }
  },
  async 'identity: the last use is that of the last change of the expiry, and a change of data alone leaves it' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ key: '1' }, { deleteSession, usedAt: Date.now() - 7000 })
      const id = await harness.create(record)
      await harness.assertRecord(id, record)
      await harness.commitOk(id, { set: { key: '2' } })
      const changed = { ...record, fields: { key: '2' } }
      await harness.assertRecord(id, changed)
      for (const usedAt of [record.createdAt, record.createdAt + 5000]) {
        await harness.commitOk(id, { expiresAt: record.expiresAt, usedAt })
        await harness.assertRecord(id, { ...changed, usedAt })
      }
    }
  },
  async 'identity: end of a subject leaves the sessions of others alone, and those of nobody' (harness) {
    const [ada, bob, nobody] = [await harness.createSession({}, { subject: 'a b' }), await harness.createSession({}, { subject: 'bob' }), await harness.createSession()]
    for (const id of [bob, nobody]) assert.equal(await harness.store.end(id, { subject: 'a b' }), false)
    assert.equal(await harness.store.end(ada, { subject: 'a b', generation: 'first' }), false)
    for (const id of [ada, bob, nobody]) await harness.loadExisting(id)
    const { usedAt } = await harness.loadExisting(ada)
    assert.equal(await harness.store.end(ada, { usedAt: usedAt - 1 }), false, 'it was used meanwhile')
    assert.equal(await harness.store.end(ada, { subject: 'a b', usedAt }), true)
    await harness.assertGone(ada)
    assert.equal(await harness.store.end(bob, { subject: undefined, generation: undefined }), true)
  },
  async 'identity: a change for a subject leaves the sessions of others alone, and those of nobody' (harness) {
    for (const deleteSession of [true, false]) {
      const records = ['a b', 'bob', undefined].map((subject) => harness.record({ key: '1' }, { subject, deleteSession }))
      const [ada, bob, nobody] = await Promise.all(records.map((record) => harness.create(record))) as [string, string, string]
      for (const id of [bob, nobody]) {
        for (const from of [undefined, await harness.loadExisting(id)]) {
          assert.deepEqual(await harness.commit(id, { set: { key: '2' }, expectSubject: 'a b', from }), { status: 'missing' })
        }
        assert.deepEqual(await harness.commit(id, { increment: { key: 1 }, subject: 'a b', expectSubject: 'a b' }), { status: 'missing' })
        await harness.assertData(id, { key: '1' })
      }
      await harness.commitOk(ada, { set: { key: '2' }, expectSubject: 'a b', from: await harness.loadExisting(ada) })
      await harness.commitOk(ada, { increment: { key: 1 }, subject: 'bob', expectSubject: 'a b' })
      await harness.assertData(ada, { key: '3' })
      assert.deepEqual(await harness.commit(ada, { set: { key: '4' }, expectSubject: 'a b' }), { status: 'missing' })
      await harness.commitOk(ada, { set: { key: '4' }, expectSubject: 'bob' })
    }
  },
  async 'identity: the version of the data comes back as it was, and changes with a commit or a renewal' (harness) {
    for (const deleteSession of [true, false]) {
      const record = harness.record({ key: '1' }, { dataVersion: 3, deleteSession })
      const id = await harness.create(record)
      await harness.assertRecord(id, record)
      await harness.commitOk(id, { set: { key: '2' }, expectVersion: 3, from: await harness.loadExisting(id) })
      await harness.assertRecord(id, { ...record, fields: { key: '2' } })
      await harness.commitOk(id, { expect: { key: '2' }, remove: ['key'], set: { other: '1' }, expectVersion: 3, dataVersion: 12 })
      await harness.assertRecord(id, { ...record, fields: { other: '1' }, dataVersion: 12 })
      const newId = await harness.renew(id, { expect: { other: '1' }, expectVersion: 12, dataVersion: 0 })
      await harness.assertRecord(newId, { ...record, fields: { other: '1' }, dataVersion: undefined })
    }
  },
  async 'identity: data of another version than expected are a conflict, and nothing is written' (harness) {
    for (const deleteSession of [true, false]) {
      for (const dataVersion of [undefined, 2]) {
        const record = harness.record({ key: '1' }, { dataVersion, deleteSession })
        const id = await harness.create(record)
        const from = await harness.loadExisting(id)
        for (const expectVersion of [1, 3, dataVersion === undefined ? 2 : 0]) {
          const change = { set: { key: '2' }, increment: { n: 1 }, expectVersion }
          assert.deepEqual(await harness.commit(id, { ...change, from }), { status: 'conflict', current: new Map() })
          assert.equal((await harness.commit(id, { ...change, clear: true })).status, 'conflict')
          assert.equal((await harness.renewTo(id, harness.id(id), change)).status, 'conflict')
        }
        await harness.assertRecord(id, record)
      }
    }
  },
  async 'identity: a new version of the data expects all keys: another one is a conflict, but for a clear' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ key: '1', other: '2' }, { deleteSession })
      const change = { set: { key: '3' }, expectVersion: 0, dataVersion: 1 }
      for (const expect of [{}, { key: '1' }, { key: '1', absent: undefined }]) {
        assert.deepEqual(await harness.commit(id, { ...change, expect }), { status: 'conflict', current: new Map(Object.keys(expect).map((key) => [key, key === 'key' ? '1' : undefined])) })
      }
      await harness.assertData(id, { key: '1', other: '2' })
      await harness.commitOk(id, { ...change, expect: { key: '1', other: '2', absent: undefined } })
      await harness.assertData(id, { key: '3', other: '2' })
      await harness.commitOk(id, { clear: true, set: { key: '4' }, expectVersion: 1, dataVersion: 2 })
      await harness.assertData(id, { key: '4' })
      assert.equal((await harness.loadExisting(id)).dataVersion, 2)
    }
  },
}
