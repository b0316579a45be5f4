import assert from 'node:assert/strict'
import { requireInterface, type OptionalInterface } from '../stores/contract-helpers.js'
import type { StoreEvent } from '../stores/optional-interfaces.js'
import type { SessionRecord } from '../stores/store.js'
import type { Harness, Case } from './harness.js'

/** Case of an interface that a store may implement besides `SessionStore`. */
export interface OptionalInterfaceCase extends Case {
  readonly needsInterface: OptionalInterface
}

/** Cases of the optional interfaces. They run for stores whose `abilities` name the interface. */
export const optionalInterfaceCases: OptionalInterfaceCase[] = [
  {
    needsInterface: 'list',
    name: 'list: names every session that lives, once, in pages',
    async test (harness) {
      const store = requireInterface('list', harness.store, 'the suite')
      const ids = await Promise.all(Array.from({ length: 700 }, (_, n) => harness.createSession({ n: String(n) }, { deleteSession: n % 2 !== 0, subject: n % 3 === 0 ? 'ada' : undefined })))
      await store.end(ids[5] as string)
      const named = await all(store.ids())
      for (const [n, id] of ids.entries()) assert.equal(named.filter((other) => other === id).length, n === 5 ? 0 : 1, `session ${n}`)
    },
  },
  {
    needsInterface: 'list',
    name: 'list: describes a session as load does, but for its data',
    async test (harness) {
      const store = requireInterface('list', harness.store, 'the suite')
      const more = { name: 'a name', subject: 'ada', generation: 'one', maxAge: 7, ttl: null }
      for (const deleteSession of [true, false]) {
        for (const fields of [{}, { a: '1', b: '2' }]) {
          const id = await harness.createSession(fields, { ...more, deleteSession })
          const { timeLeft, size, ...summary } = { timeLeft: undefined, size: undefined, ...await store.describe(id) }
          await harness.assertRecord(id, { ...summary, fields: new Map(Object.entries(fields)) } as SessionRecord)
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
  {
    needsInterface: 'subjects',
    name: 'subjects: the sessions of one, and of no other',
    async test (harness) {
      const [ada, bob] = [harness.id(), harness.id()]
      const first = await harness.createSession({}, { subject: ada })
      const second = await harness.createSession({ a: '1' })
      assert.deepEqual(await idsOf(harness, ada), [first])
      await harness.commitOk(second, { subject: ada })
      assert.deepEqual(await idsOf(harness, ada), [first, second].sort())
      await harness.commitOk(second, { subject: bob })
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[first], [second]])
      await harness.commitOk(second, { subject: ada, expiresAt: null })
      const renewed = harness.id(first)
      await harness.store.renew(first, renewed, harness.change({}))
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[renewed, second].sort(), []])
      await harness.commitOk(renewed, { subject: null })
      const regenerated = harness.id(second)
      await harness.store.regenerate(second, regenerated, harness.record({}, { subject: bob }))
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[], [regenerated]])
      await harness.store.end(regenerated)
      assert.deepEqual(await idsOf(harness, bob), [])
    },
  },
  {
    needsInterface: 'subjects',
    name: 'subjects: what has expired is not named, what slides is',
    async test (harness) {
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
  },
  {
    needsInterface: 'subjects',
    name: 'subjects: an id that is taken changes nothing in the index',
    async test (harness) {
      const [ada, bob] = [harness.id(), harness.id()]
      const id = await harness.createSession({}, { subject: ada })
      assert.equal(await harness.store.create(id, harness.record({}, { subject: bob })), false)
      assert.deepEqual([await idsOf(harness, ada), await idsOf(harness, bob)], [[id], []])
    },
  },
  {
    needsInterface: 'restore',
    name: 'restore: writes a session, also in the place of another, wholly',
    async test (harness) {
      const store = requireInterface('restore', harness.store, 'the suite')
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
  {
    needsInterface: 'watch',
    name: 'watch: tells the keys of a change and the time left, and the end',
    async test (harness) {
      const { events, next, look, id } = await watched(harness, { a: '1', b: '2', n: '1' })
      const expiresAt = Date.now() + harness.lifetime
      await harness.commitOk(id, { set: new Map([['a', '2']]), remove: ['b'], increment: new Map([['n', 1]]), expiresAt })
      const { type, keys, timeLeft } = { keys: [], timeLeft: undefined, ...await next() }
      assert.deepEqual([type, [...keys].sort()], ['changed', ['a', 'b', 'n']])
      assertTimeLeft(timeLeft, expiresAt)
      assertTimeLeft((await look())?.timeLeft, expiresAt)
      await harness.commitOk(id, { expiresAt: null })
      assert.deepEqual(await next(), { type: 'changed', keys: [], timeLeft: null })
      assert.equal((await look())?.timeLeft, null)
      await harness.commitOk(id, { clear: true })
      const cleared = await next()
      assert.deepEqual('keys' in cleared ? [...cleared.keys].sort() : [], ['a', 'n'])
      await harness.commit(id, { expect: new Map([['a', '9']]), set: new Map([['a', '3']]) })
      await harness.store.end(id)
      assert.deepEqual(await next(), { type: 'ended', renewed: false })
      assert.equal(events.length, 0)
      assert.equal(await look(), undefined)
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: a look finds the session that was watched, and no other of its id',
    async test (harness) {
      const { look, id } = await watched(harness, { a: '1' })
      assert.equal((await look())?.size, 1)
      await harness.store.end(id)
      assert.equal(await look(), undefined)
      await harness.store.create(id, harness.record({ a: '1' }))
      assert.equal(await look(), undefined)
      const second = requireInterface('watch', harness.store, 'the suite')
      await (await second.watch(id, () => {}))?.stop()
      assert.equal(await look(), undefined)
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: a session that is replaced: the keys that are gone are told as well',
    async test (harness) {
      if (!('replace' in harness.store)) return
      const store = requireInterface('restore', harness.store, 'the suite')
      const { next, look, id } = await watched(harness, { a: '1', b: '2' })
      for (const [deleteSession, key, told] of [[false, 'c', ['a', 'b', 'c']], [true, 'd', ['c', 'd']], [true, 'd', ['d']]] as const) {
        await store.replace(id, harness.record({ [key]: '3' }, { deleteSession }))
        const event = await next()
        assert.deepEqual('keys' in event ? [...event.keys].sort() : [], told)
        assert.equal((await look())?.deleteSession, deleteSession, 'it is the same session')
      }
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: a renewal ends it; who watches another session, or has stopped, is told nothing',
    async test (harness) {
      const { next, id } = await watched(harness, { a: '1' })
      const other = await watched(harness, {})
      const stopped = await watched(harness, {})
      await stopped.stop()
      await harness.commitOk(stopped.id, { set: new Map([['a', '1']]) })
      const newId = harness.id(id)
      await harness.store.renew(id, newId, harness.change({}))
      let event = await next()
      if (event.type === 'changed') event = await next()
      assert.deepEqual(event, { type: 'ended', renewed: true })
      await harness.commitOk(newId, { set: new Map([['a', '2']]) })
      await harness.store.end(newId)
      await harness.store.end(other.id)
      assert.deepEqual(await other.next(), { type: 'ended', renewed: false })
      assert.deepEqual(stopped.events, [])
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: there is nothing to watch where there is no session',
    async test (harness) {
      const store = requireInterface('watch', harness.store, 'the suite')
      const fail = () => assert.fail('nothing is told')
      assert.equal(await store.watch(harness.id(), fail), undefined)
      const ended = await harness.createSession()
      await store.end(ended)
      assert.equal(await store.watch(ended, fail), undefined)
    },
  },
  {
    needsInterface: 'track',
    name: 'track: all that changes a session is told, its expiry too',
    async test (harness) {
      const { store } = harness
      const { told, stop } = await tracked(harness)
      const id = harness.id()
      await told(() => store.create(id, harness.record({ a: '1' })), id)
      await told(() => harness.commitOk(id, { set: new Map([['a', '2']]) }), id)
      await told(() => harness.commitOk(id, { expiresAt: Date.now() + harness.lifetime * 2 }), id)
      const renewed = harness.id(id)
      await told(() => store.renew(id, renewed, harness.change({})), id, renewed)
      const regenerated = harness.id(id)
      await told(() => store.regenerate(renewed, regenerated, harness.record()), renewed, regenerated)
      if ('replace' in store) await told(() => requireInterface('restore', store, 'the suite').replace(regenerated, harness.record({ b: '1' })), regenerated)
      await told(() => store.end(regenerated), regenerated)
      const [brief, kept] = [await harness.createSession({ a: '1' }), await harness.createSession({ a: '1' }, { deleteSession: false })]
      await told(async () => {
        await harness.advance(harness.lifetime + 1)
        for (const expired of [brief, kept]) await store.load(expired)
      }, brief, kept)
      stop()
    },
  },
  {
    needsInterface: 'track',
    name: 'track: each listener hears for itself, and nothing once it has stopped',
    async test (harness) {
      const [one, two] = [await tracked(harness), await tracked(harness)]
      assert.ok(one.lag() < Infinity, 'all changes are heard')
      one.stop()
      one.heard.clear()
      const id = harness.id()
      await two.told(() => harness.store.create(id, harness.record()), id)
      two.stop()
      assert.equal(one.heard.has(id), false)
    },
  },
  {
    needsInterface: 'lease',
    name: 'lease: one holder has it, for its time or until the work is done',
    async test (harness) {
      const store = requireInterface('lease', harness.store, 'the suite')
      const work = `work {1} ${harness.id()}`
      const holders = Array.from({ length: 20 }, (_, n) => `holder ${n}`)
      const leases = await Promise.all(holders.map((holder) => store.lease(work, holder, harness.lifetime)))
      assert.deepEqual([...leases].sort(), ['held', ...Array.from({ length: 19 }, () => 'taken')])
      const holder = holders[leases.indexOf('held')] as string
      await harness.advance(harness.lifetime * 0.7)
      assert.equal(await store.lease(work, holder, harness.lifetime), 'held', 'its holder prolongs it')
      await harness.advance(harness.lifetime * 0.7)
      assert.equal(await store.lease(work, 'another', harness.lifetime), 'taken')
      assert.equal(await store.lease(`${work}, other`, 'another', harness.lifetime), 'held', 'other work')
      await harness.advance(harness.lifetime)
      assert.equal(await store.lease(work, 'another', harness.lifetime), 'held', 'its time is over')
      await store.finish(work, harness.lifetime)
      for (const any of [holder, 'another', 'a third']) assert.equal(await store.lease(work, any, harness.lifetime), 'done')
      await harness.advance(harness.lifetime + 1)
      assert.equal(await store.lease(work, holder, harness.lifetime), 'held')
    },
  },
]

async function all (pages: AsyncIterable<readonly string[]>): Promise<string[]> {
  const ids: string[] = []
  for await (const page of pages) ids.push(...page)
  return ids
}

async function idsOf (harness: Harness, subject: string): Promise<string[]> {
  const ids = await all(requireInterface('subjects', harness.store, 'the suite').idsOf(subject))
  return ids.sort()
}

/** Creates a session and watches it. `events` holds those not yet taken; `next` takes one, or waits for it. */
async function watched (harness: Harness, fields: Record<string, string>) {
  const store = requireInterface('watch', harness.store, 'the suite')
  const id = await harness.createSession(fields)
  const events: StoreEvent[] = []
  let wake = (): void => {}
  const watch = await store.watch(id, (event) => {
    events.push(event)
    wake()
  })
  assert.ok(watch !== undefined, 'the session is there')
  async function next (): Promise<StoreEvent> {
    const told = events.shift()
    if (told !== undefined) return told
    await new Promise<void>((resolve) => { wake = resolve })
    return next()
  }
  return { id, events, next, look: async () => watch.look(), stop: async () => { await watch.stop() } }
}

/** Tracks the store. `told` does something, and waits until each of the sessions is named. */
async function tracked (harness: Harness) {
  const heard = new Set<string>()
  let wake = (): void => {}
  const tracking = requireInterface('track', harness.store, 'the suite').track({
    changed (id) {
      if (id !== undefined) heard.add(id)
      wake()
    },
    lost () {},
  }, 100)
  await tracking.checkAtBoot({ info () {}, warn () {}, error () {} })
  async function told (work: () => unknown, ...ids: string[]): Promise<void> {
    heard.clear()
    await work()
    while (!ids.every((id) => heard.has(id))) await new Promise<void>((resolve) => { wake = resolve })
  }
  return { heard, told, lag: () => tracking.lag(), stop: () => { tracking.stop() } }
}

/** The time that a store tells, and that of the clock here, may differ by what a slow machine takes. */
function assertTimeLeft (timeLeft: number | null | undefined, expiresAt: number | null): void {
  if (expiresAt === null) return assert.equal(timeLeft, null)
  const left = expiresAt - Date.now()
  assert.ok(typeof timeLeft === 'number' && Math.abs(timeLeft - left) < 10_000, `${String(timeLeft)} milliseconds are left, and not ${left}`)
}
