import assert from 'node:assert/strict'
import type { OptionalInterface } from '../stores/contract-helpers.js'
import type { SessionRecord } from '../stores/store.js'
import type { Cases, Harness } from './harness.js'

/** Cases of the optional interfaces, by interface. They run for stores whose `abilities` name it. */
export const optionalInterfaceCases = {
  list: {
    async 'list: names every session that lives, once, in pages' (harness) {
      const store = harness.storeWith('list')
      const ids = await Promise.all(Array.from({ length: 700 }, (_, n) => harness.createSession({ n: String(n) }, { deleteSession: n % 2 !== 0, subject: n % 3 === 0 ? 'ada' : undefined })))
      await store.end(ids[5] as string)
      const named = await all(store.ids())
      for (const [n, id] of ids.entries()) assert.equal(named.filter((other) => other === id).length, n === 5 ? 0 : 1, `session ${n}`)
    },
    async 'list: describes a session as load does, but for its data' (harness) {
      const store = harness.storeWith('list')
      const more = { name: 'a name', subject: 'ada', generation: 'one', maxAge: 7, ttl: null }
      for (const deleteSession of [true, false]) {
        for (const fields of [{}, { a: '1', b: '2' }]) {
          const id = await harness.createSession(fields, { ...more, deleteSession })
          const { timeLeft, size, ...summary } = { timeLeft: undefined, size: undefined, ...await store.describe(id) }
          await harness.assertRecord(id, { ...summary, fields } as SessionRecord)
          assert.equal(size, Object.keys(fields).length)
          assertTimeLeft(timeLeft, (await harness.loadExisting(id)).expiresAt)
        }
      }
      const brief = await harness.createSession({ a: '1' })
      const kept = await harness.createSession({ a: '1' }, { deleteSession: false })
      await harness.advance(harness.lifetime + 1)
      assert.equal(await store.describe(brief), undefined)
      const summary = await store.describe(kept)
      assert.equal(summary?.size, 0)
      assert.equal(summary?.expiresAt, null)
      assert.equal(summary?.timeLeft, null)
      assert.equal(await store.describe(harness.id()), undefined)
    },
  },
  subjects: {
    async 'subjects: the sessions of one, and of no other' (harness) {
      const [ada, bob] = [harness.id(), harness.id()]
      const first = await harness.createSession({}, { subject: ada })
      const second = await harness.createSession({ a: '1' })
      assert.deepEqual(await idsOf(harness, ada), [first])
      await harness.commitOk(second, { subject: ada })
      assert.deepEqual(await idsOf(harness, ada), [first, second].sort())
      await harness.commitOk(second, { subject: bob })
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[first], [second]])
      await harness.commitOk(second, { subject: ada, expiresAt: null })
      const renewed = await harness.renew(first)
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[renewed, second].sort(), []])
      await harness.commitOk(renewed, { subject: null })
      const regenerated = harness.id(second)
      await harness.store.regenerate(second, regenerated, harness.record({}, { subject: bob }))
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[], [regenerated]])
      await harness.store.end(regenerated)
      assert.deepEqual(await idsOf(harness, bob), [])
    },
    async 'subjects: what has expired is not named, what slides is' (harness) {
      const subject = harness.id()
      const slides = await harness.createSession({}, { subject })
      const kept = await harness.createSession({ a: '1' }, { subject, deleteSession: false })
      const never = await harness.createSession({}, { subject, expiresAt: null })
      await harness.createSession({}, { subject })
      for (let i = 0; i < 4; i++) {
        await harness.advance(harness.lifetime * 0.7)
        await harness.commitOk(slides, { expiresAt: Date.now() + harness.lifetime })
      }
      assert.deepEqual(await idsOf(harness, subject), [slides, kept, never].sort())
      await harness.commitOk(slides, { expiresAt: Date.now() + 5 * harness.lifetime })
      await harness.advance(harness.lifetime * 4)
      assert.deepEqual(await idsOf(harness, subject), [slides, kept, never].sort())
      await harness.advance(harness.lifetime * 2)
      assert.deepEqual(await idsOf(harness, subject), [kept, never].sort())
    },
    async 'subjects: an id that is taken changes nothing in the index' (harness) {
      const [ada, bob] = [harness.id(), harness.id()]
      const id = await harness.createSession({}, { subject: ada })
      assert.equal(await harness.store.create(id, harness.record({}, { subject: bob })), false)
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[id], []])
    },
    async 'subjects: a session beyond the most that its subject may have is refused, and nothing is written' (harness) {
      const { store } = harness
      const subject = harness.id()
      const record = harness.record({ a: '1' }, { subject })
      const [first, second] = [harness.id(), harness.id()]
      for (const id of [first, second]) assert.equal(await store.create(id, record, 2), true)
      const refused = harness.id()
      assert.equal(await store.create(refused, record, 2), 'limit')
      assert.equal(await store.load(refused), undefined)
      const other = await harness.createSession({ b: '1' })
      assert.equal(await store.regenerate(other, harness.id(other), record, 2), 'limit')
      const change = { set: { b: '2' }, subject, atMost: 2, expiresAt: null }
      assert.deepEqual({ ...await harness.commit(other, change) }, { status: 'limit' })
      assert.deepEqual({ ...await harness.renewTo(other, harness.id(other), change) }, { status: 'limit' })
      await harness.assertData(other, { b: '1' })
      assert.notEqual((await harness.loadExisting(other)).expiresAt, null)
      assert.deepEqual(await idsOf(harness, subject), [first, second].sort())

      // One that has the subject already is let in, and one that takes its place.
      await harness.commitOk(first, { subject, atMost: 1 })
      const renewed = await harness.renew(first, { subject, atMost: 1 })
      const regenerated = harness.id(renewed)
      assert.equal(await store.regenerate(renewed, regenerated, record, 1), true)
      assert.equal(await store.regenerate(renewed, harness.id(renewed), record, 2), 'limit', 'its place is taken')
      assert.equal(await store.create(harness.id(), harness.record({}, { subject: harness.id() }), 1), true, 'another subject')
      assert.equal(await store.create(harness.id(), harness.record(), 1), true, 'no subject')
      await store.end(second)
      await harness.commitOk(other, change)
      assert.deepEqual(await idsOf(harness, subject), [regenerated, other].sort())
    },
    async 'subjects: sessions that have expired, or have another subject now, leave room' (harness) {
      const subject = harness.id()
      const record = (): SessionRecord => harness.record({}, { subject })
      const [first, second] = [harness.id(), harness.id()]
      await harness.store.create(first, record(), 2)
      await harness.store.create(second, { ...record(), expiresAt: null }, 2)
      assert.equal(await harness.store.create(harness.id(), record(), 2), 'limit')
      await harness.advance(harness.lifetime * 1.1)
      const third = harness.id()
      assert.equal(await harness.store.create(third, record(), 2), true)
      assert.equal(await harness.store.create(harness.id(), record(), 2), 'limit')
      await harness.commitOk(second, { subject: null })
      assert.equal(await harness.store.create(harness.id(), record(), 2), true)
      assert.equal(await harness.store.create(harness.id(), record(), 2), 'limit')
    },
    async 'subjects: of those that come at once no more are let in than there is room for' (harness) {
      const subject = harness.id()
      const ids = await Promise.all(Array.from({ length: 12 }, async (_, i) => i % 3 === 0 ? harness.id() : harness.createSession()))
      const results = await Promise.all(ids.map(async (id, i) => {
        if (i % 3 === 0) return harness.store.create(id, harness.record({}, { subject }), 5)
        if (i % 3 === 1) return harness.store.regenerate(id, harness.id(id), harness.record({}, { subject }), 5)
        const { status } = await harness.commit(id, { subject, atMost: 5 })
        return status === 'committed' || status
      }))
      assert.equal(results.filter((result) => result === true).length, 5)
      assert.equal(results.filter((result) => result === 'limit').length, 7)
      assert.equal((await idsOf(harness, subject)).length, 5)
    },
  },
  restore: {
    async 'restore: writes a session, also in the place of another, wholly' (harness) {
      const store = harness.storeWith('restore')
      const id = harness.id()
      const records = [
        harness.record({ a: '1', b: '2' }, { name: 'first', subject: 'ada', ttl: 5 }),
        harness.record({ c: '3' }, { deleteSession: false, maxAge: 9, generation: 'x' }),
        harness.record({}, { expiresAt: null }),
      ]
      for (const record of records) {
        await store.replace(id, record)
        await harness.assertRecord(id, record)
      }
    },
  },
} satisfies Partial<Record<OptionalInterface, Cases>>

async function all (pages: AsyncIterable<readonly string[]>): Promise<string[]> {
  const ids: string[] = []
  for await (const page of pages) ids.push(...page)
  return ids
}

async function idsOf (harness: Harness, subject: string): Promise<string[]> {
  const ids = await all(harness.storeWith('subjects').idsOf(subject))
  return ids.sort()
}

/** The time that a store tells, and that of the clock here, may differ by what a slow machine takes. */
export function assertTimeLeft (timeLeft: number | null | undefined, expiresAt: number | null): void {
  if (expiresAt === null) return assert.equal(timeLeft, null)
  const left = expiresAt - Date.now()
  assert.ok(typeof timeLeft === 'number' && Math.abs(timeLeft - left) < 10_000, `${String(timeLeft)} milliseconds are left, and not ${left}`)
}
