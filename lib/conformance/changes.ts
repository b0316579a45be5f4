import assert from 'node:assert/strict'
import type { OptionalInterface } from '../stores/contract-helpers.js'
import type { StoreEvent } from '../stores/optional-interfaces.js'
import type { Cases, Harness } from './harness.js'
import { assertTimeLeft } from './optional-interfaces.js'

/** Cases of stores that report changes of sessions, and give leases. */
export const changeCases = {
  watch: {
    async 'watch: tells the keys of a change and the time left, and the end' (harness) {
      const { events, next, look, id } = await watched(harness, { a: '1', b: '2', n: '1' })
      const expiresAt = Date.now() + harness.lifetime
      await harness.commitOk(id, { set: { a: '2' }, remove: ['b'], increment: { n: 1 }, expiresAt })
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
      await harness.commit(id, { expect: { a: '9' }, set: { a: '3' } })
      await harness.store.end(id)
      assert.deepEqual(await next(), { type: 'ended', renewed: false })
      assert.equal(events.length, 0)
      assert.equal(await look(), undefined)
    },
    async 'watch: a look finds the session that was watched, and no other of its id' (harness) {
      const { look, id } = await watched(harness, { a: '1' })
      assert.equal((await look())?.size, 1)
      await harness.store.end(id)
      assert.equal(await look(), undefined)
      await harness.store.create(id, harness.record({ a: '1' }))
      assert.equal(await look(), undefined)
      const second = harness.storeWith('watch')
      await (await second.watch(id, () => {}))?.stop()
      assert.equal(await look(), undefined)
    },
    async 'watch: a session that is replaced: the keys that are gone are told as well' (harness) {
      if (!('replace' in harness.store)) return
      const store = harness.storeWith('restore')
      const { next, look, id } = await watched(harness, { a: '1', b: '2' })
      for (const [deleteSession, key, told] of [[false, 'c', ['a', 'b', 'c']], [true, 'd', ['c', 'd']], [true, 'd', ['d']]] as const) {
        await store.replace(id, harness.record({ [key]: '3' }, { deleteSession }))
        const event = await next()
        assert.deepEqual('keys' in event ? [...event.keys].sort() : [], told)
        assert.equal((await look())?.deleteSession, deleteSession, 'it is the same session')
      }
    },
    async 'watch: a renewal ends it; who watches another session, or has stopped, is told nothing' (harness) {
      const { next, id } = await watched(harness, { a: '1' })
      const other = await watched(harness, {})
      const stopped = await watched(harness, {})
      await stopped.stop()
      await harness.commitOk(stopped.id, { set: { a: '1' } })
      const newId = await harness.renew(id)
      let event = await next()
      if (event.type === 'changed') event = await next()
      assert.deepEqual(event, { type: 'ended', renewed: true })
      await harness.commitOk(newId, { set: { a: '2' } })
      await harness.store.end(newId)
      await harness.store.end(other.id)
      assert.deepEqual(await other.next(), { type: 'ended', renewed: false })
      assert.deepEqual(stopped.events, [])
    },
    async 'watch: there is nothing to watch where there is no session' (harness) {
      const store = harness.storeWith('watch')
      const fail = () => assert.fail('nothing is told')
      assert.equal(await store.watch(harness.id(), fail), undefined)
      const ended = await harness.createSession()
      await store.end(ended)
      assert.equal(await store.watch(ended, fail), undefined)
    },
  },
  track: {
    async 'track: all that changes a session is told, its expiry too' (harness) {
      const { store } = harness
      const { told, stop } = await tracked(harness)
      const id = harness.id()
      await told(() => store.create(id, harness.record({ a: '1' })), id)
      await told(() => harness.commitOk(id, { set: { a: '2' } }), id)
      await told(() => harness.commitOk(id, { expiresAt: Date.now() + harness.lifetime * 2 }), id)
      const renewed = harness.id(id)
      await told(() => harness.renewTo(id, renewed), id, renewed)
      const regenerated = harness.id(id)
      await told(() => store.regenerate(renewed, regenerated, harness.record()), renewed, regenerated)
      if ('replace' in store) await told(() => harness.storeWith('restore').replace(regenerated, harness.record({ b: '1' })), regenerated)
      await told(() => store.end(regenerated), regenerated)
      const [brief, kept] = [await harness.createSession({ a: '1' }), await harness.createSession({ a: '1' }, { deleteSession: false })]
      await told(async () => {
        await harness.advance(harness.lifetime + 1)
        for (const expired of [brief, kept]) await store.load(expired)
      }, brief, kept)
      stop()
    },
    async 'track: each listener hears for itself, and nothing once it has stopped' (harness) {
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
  lease: {
    async 'lease: one holder has it, for its time or until the work is done' (harness) {
      const store = harness.storeWith('lease')
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
} satisfies Partial<Record<OptionalInterface, Cases>>

/** Creates a session and watches it. `events` holds those not yet taken; `next` takes one, or waits for it. */
async function watched (harness: Harness, fields: Record<string, string>) {
  const store = harness.storeWith('watch')
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
  const tracking = harness.storeWith('track').track({
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
