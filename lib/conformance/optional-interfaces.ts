import assert from 'node:assert/strict'
import { requireInterface, type OptionalInterface } from '../stores/require-interface.js'
import type { StoreEvent } from '../stores/store.js'
import type { Bench, Case } from './harness.js'

/** A promise of an interface beside the small contract. */
export interface OptionalInterfaceCase extends Case {
  readonly needsInterface: OptionalInterface
}

/** The further interfaces. */
export const optionalInterfaceCases: OptionalInterfaceCase[] = [
  {
    needsInterface: 'list',
    name: 'list: names every session that lives, once, in pages',
    async test (bench) {
      const store = requireInterface('list', bench.store, 'the suite')
      const ids = await Promise.all(Array.from({ length: 700 }, (_, n) => bench.created({ n: String(n) }, { deleteSession: n % 2 !== 0, subject: n % 3 === 0 ? 'ada' : undefined })))
      await store.end(ids[5] as string)
      const named = await all(store.ids())
      for (const [n, id] of ids.entries()) assert.equal(named.filter((other) => other === id).length, n === 5 ? 0 : 1, `session ${n}`)
    },
  },
  {
    needsInterface: 'list',
    name: 'list: describes a session as load does, but for its data',
    async test (bench) {
      const store = requireInterface('list', bench.store, 'the suite')
      const more = { name: 'a name', subject: 'ada', generation: 'one', maxAge: 7, ttl: null }
      for (const deleteSession of [true, false]) {
        for (const fields of [{}, { a: '1', b: '2' }]) {
          const id = await bench.created(fields, { ...more, deleteSession })
          const { fields: data, ...rest } = await bench.loaded(id)
          assert.deepEqual({ ...await store.describe(id) }, { ...rest, size: data.size })
        }
      }
      const brief = await bench.created({ a: '1' })
      const kept = await bench.created({ a: '1' }, { deleteSession: false })
      await bench.advance(bench.lifetime + 1)
      assert.equal(await store.describe(brief), undefined)
      const summary = await store.describe(kept)
      assert.equal(summary?.size, 0)
      assert.equal(summary?.expiresAt, null)
      assert.equal(await store.describe(bench.id()), undefined)
    },
  },
  {
    needsInterface: 'subjects',
    name: 'subjects: the sessions of one, and of no other',
    async test (bench) {
      const [ada, bob] = [bench.id(), bench.id()]
      const first = await bench.created({}, { subject: ada })
      const second = await bench.created({ a: '1' })
      assert.deepEqual(await of(bench, ada), [first])
      await bench.committed(second, { subject: ada })
      assert.deepEqual(await of(bench, ada), [first, second].sort())
      await bench.committed(second, { subject: bob })
      assert.deepEqual([await of(bench, ada), await of(bench, bob)], [[first], [second]])
      await bench.committed(second, { subject: ada, expiresAt: null })
      const renewed = bench.id(first)
      await bench.store.renew(first, renewed, bench.change({}))
      assert.deepEqual([await of(bench, ada), await of(bench, bob)], [[renewed, second].sort(), []])
      await bench.committed(renewed, { subject: null })
      await bench.store.end(second)
      assert.deepEqual(await of(bench, ada), [])
    },
  },
  {
    needsInterface: 'subjects',
    name: 'subjects: what has expired is not named, what slides is',
    async test (bench) {
      const subject = bench.id()
      const slides = await bench.created({}, { subject })
      const kept = await bench.created({ a: '1' }, { subject, deleteSession: false })
      const never = await bench.created({}, { subject, expiresAt: null })
      await bench.created({}, { subject })
      for (let i = 0; i < 4; i++) {
        await bench.advance(bench.lifetime * 0.7)
        await bench.committed(slides, { expiresAt: Date.now() + bench.lifetime })
      }
      assert.deepEqual(await of(bench, subject), [slides, kept, never].sort())
      await bench.committed(slides, { expiresAt: Date.now() + 5 * bench.lifetime })
      await bench.advance(bench.lifetime * 4)
      assert.deepEqual(await of(bench, subject), [slides, kept, never].sort())
      await bench.advance(bench.lifetime * 2)
      assert.deepEqual(await of(bench, subject), [kept, never].sort())
    },
  },
  {
    needsInterface: 'subjects',
    name: 'subjects: an id that is taken changes nothing in the index',
    async test (bench) {
      const [ada, bob] = [bench.id(), bench.id()]
      const id = await bench.created({}, { subject: ada })
      assert.equal(await bench.store.create(id, bench.record({}, { subject: bob })), false)
      assert.deepEqual([await of(bench, ada), await of(bench, bob)], [[id], []])
    },
  },
  {
    needsInterface: 'restore',
    name: 'restore: writes a session, also in the place of another, wholly',
    async test (bench) {
      const store = requireInterface('restore', bench.store, 'the suite')
      const id = bench.id()
      const records = [
        bench.record({ a: '1', b: '2' }, { name: 'first', subject: 'ada', ttl: 5 }),
        bench.record({ c: '3' }, { deleteSession: false, maxAge: 9, generation: 'x' }),
        bench.record({}, { expiresAt: null }),
      ]
      for (const record of records) {
        await store.replace(id, record)
        await bench.is(id, record)
      }
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: tells the keys of a change and the expiry, and the end',
    async test (bench) {
      const { events, next, id } = await watched(bench, { a: '1', b: '2', n: '1' })
      const expiresAt = Date.now() + bench.lifetime
      await bench.committed(id, { set: new Map([['a', '2']]), remove: ['b'], increment: new Map([['n', 1]]), expiresAt })
      const change = await next()
      assert.deepEqual({ ...change, keys: 'keys' in change ? [...change.keys].sort() : [] }, { type: 'changed', keys: ['a', 'b', 'n'], expiresAt })
      await bench.committed(id, { expiresAt: null })
      assert.deepEqual(await next(), { type: 'changed', keys: [], expiresAt: null })
      await bench.committed(id, { clear: true })
      const cleared = await next()
      assert.deepEqual('keys' in cleared ? [...cleared.keys].sort() : [], ['a', 'n'])
      await bench.commit(id, { expect: new Map([['a', '9']]), set: new Map([['a', '3']]) })
      await bench.store.end(id)
      assert.deepEqual(await next(), { type: 'ended', renewed: false })
      assert.equal(events.length, 0)
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: a renewal ends it; who watches another session, or has stopped, is told nothing',
    async test (bench) {
      const { next, id } = await watched(bench, { a: '1' })
      const other = await watched(bench, {})
      const stopped = await watched(bench, {})
      await stopped.stop()
      await bench.committed(stopped.id, { set: new Map([['a', '1']]) })
      const newId = bench.id(id)
      await bench.store.renew(id, newId, bench.change({}))
      let event = await next()
      if (event.type === 'changed') event = await next()
      assert.deepEqual(event, { type: 'ended', renewed: true })
      await bench.committed(newId, { set: new Map([['a', '2']]) })
      await bench.store.end(newId)
      await bench.store.end(other.id)
      assert.deepEqual(await other.next(), { type: 'ended', renewed: false })
      assert.deepEqual(stopped.events, [])
    },
  },
  {
    needsInterface: 'watch',
    name: 'watch: there is nothing to watch where there is no session',
    async test (bench) {
      const store = requireInterface('watch', bench.store, 'the suite')
      const fail = () => assert.fail('nothing is told')
      assert.equal(await store.watch(bench.id(), fail), undefined)
      const ended = await bench.created()
      await store.end(ended)
      assert.equal(await store.watch(ended, fail), undefined)
    },
  },
]

async function all (pages: AsyncIterable<readonly string[]>): Promise<string[]> {
  const ids: string[] = []
  for await (const page of pages) ids.push(...page)
  return ids
}

async function of (bench: Bench, subject: string): Promise<string[]> {
  const ids = await all(requireInterface('subjects', bench.store, 'the suite').idsOf(subject))
  return ids.sort()
}

/** A new session, and what is told of it: `next` waits for that. */
async function watched (bench: Bench, fields: Record<string, string>) {
  const store = requireInterface('watch', bench.store, 'the suite')
  const id = await bench.created(fields)
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
  return { id, events, next, stop: async () => { await watch.stop() } }
}
