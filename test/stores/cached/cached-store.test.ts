import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { cached, memoryStore, redisStore, type CachedOptions, type CommitResult, type SessionStore } from '../../../lib/index.js'
import { RecordError, StoreUnavailableError } from '../../../lib/errors.js'
import { barrier } from '../../support/barrier.js'
import { fakeClock } from '../../support/clock.js'
import { change, record, recordOf } from '../../support/records.js'
import { SpyStore } from '../../support/spy-store.js'
import { TrackedStore } from '../../support/tracked-store.js'

const data = (fields: Record<string, string>): Map<string, string> => new Map(Object.entries(fields))

interface Stage { readonly inner: TrackedStore, readonly store: ReturnType<typeof cached<TrackedStore>>, readonly counts: () => Readonly<Record<string, number>> }

/** A cache over a store that has the session `a` with `n` 1, which was read once. */
async function stage (t: Test, options?: CachedOptions): Promise<Stage> {
  const inner = new TrackedStore()
  const store = cached(inner, options)
  t.teardown(() => store.close())
  await inner.create('a', record({ fields: data({ n: '1' }) }))
  await store.load('a')
  inner.calls.length = 0
  return { inner, store, counts: () => store.counts?.() ?? {} }
}

async function fieldsOf (store: SessionStore, id: string): Promise<Record<string, string> | undefined> {
  const found = await recordOf(store, id)
  return found && Object.fromEntries(found.fields)
}

t.test('a session that was read is read without the store, at once', async (t) => {
  const { inner, store, counts } = await stage(t)
  const found = store.load('a')
  t.ok(found !== undefined && 'fields' in found && found.fields.get('n') === '1', 'without a promise')
  t.strictSame(inner.take(), [])
  t.strictSame(counts(), { hits: 1, misses: 1, bypasses: 0, invalidations: 0, stale: 0 })
})

t.test('the reader may change the record: it is a copy', async (t) => {
  const { store } = await stage(t)
  const found = await recordOf(store, 'a')
  found?.fields.set('n', 'changed')
  t.strictSame(await fieldsOf(store, 'a'), { n: '1' })
})

t.test('a session that another process has changed is read anew', async (t) => {
  const { inner, store, counts } = await stage(t)
  await inner.commit('a', change({ set: data({ n: '2' }) }))
  inner.tell('a')
  inner.tell('of no interest')
  t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
  t.equal(counts()['invalidations'], 1)
})

t.test('all sessions are read anew once any may have changed', async (t) => {
  const { inner, store } = await stage(t)
  inner.tell(undefined)
  await store.load('a')
  t.strictSame(inner.take(), ['load'])
})

t.test('an answer is not kept if the session was changed while it was on its way', async (t) => {
  for (const [name, tell] of Object.entries({ 'this one': 'a', 'any one': undefined })) {
    const { inner, store } = await stage(t)
    inner.tell('a')
    const { opened, open } = barrier()
    const answered = inner.load
    inner.load = async (...args) => {
      const answer = await answered(...args)
      await opened
      return answer
    }
    const old = fieldsOf(store, 'a')
    inner.load = answered
    await inner.commit('a', change({ set: data({ n: '2' }) }))
    inner.tell(tell)
    open()
    t.strictSame(await old, { n: '1' }, 'it was asked for before')
    t.strictSame(await fieldsOf(store, 'a'), { n: '2' }, name)
  }
})

t.test('an answer is not kept if changes were lost while it was on its way', async (t) => {
  const { inner, store } = await stage(t)
  inner.tell('a')
  const { opened, open } = barrier()
  inner.before = () => opened
  const first = fieldsOf(store, 'a')
  inner.lose()
  inner.lag = 0
  open()
  await first
  inner.take()
  await store.load('a')
  t.strictSame(inner.take(), ['load'])
})

t.test('while it is not sure that all changes are heard, sessions are read from the store', async (t) => {
  const { inner, store, counts } = await stage(t, { maxAge: 100 })
  inner.lag = 100
  await store.load('a')
  t.strictSame(inner.take(), ['load'])
  t.equal(counts()['bypasses'], 1)
  inner.lag = 99
  await store.load('a')
  t.strictSame(inner.take(), [], 'kept, and told of changes, meanwhile')
  inner.lose()
  inner.lag = 0
  await store.load('a')
  t.strictSame(inner.take(), ['load'], 'nothing is kept once a change may have been missed')
})

t.test('a look goes to the store', async (t) => {
  const { inner, store, counts } = await stage(t)
  await store.load('a', true)
  t.strictSame(inner.calls.map(({ args }) => args), [['a', true]])
  t.equal(counts()['bypasses'], 1)
})

t.test('what is not there is asked for each time', async (t) => {
  const { inner, store } = await stage(t)
  await store.load('never')
  await store.load('never')
  t.strictSame(inner.take(), ['load', 'load'])
})

t.test('a session that has expired is not read', async (t) => {
  const tick = fakeClock(t, ['Date'])
  const { inner, store } = await stage(t)
  await inner.create('short', record({ expiresAt: Date.now() + 1000 }))
  await store.load('short')
  tick(1000)
  t.equal(await store.load('short'), undefined)
  mock.timers.reset()
})

t.test('an own commit', async (t) => {
  await t.test('is seen once it is answered, and the change that is told for it drops nothing', async (t) => {
    const { inner, store, counts } = await stage(t)
    await store.commit('a', change({ set: data({ n: '2', m: '3' }) }))
    inner.tell('a')
    t.strictSame(await fieldsOf(store, 'a'), { n: '2', m: '3' })
    t.strictSame(inner.take(), ['commit'])
    inner.tell('a')
    t.strictSame(await fieldsOf(store, 'a'), { n: '2', m: '3' })
    t.strictSame(inner.take(), ['load'], 'the second change was of another process')
    t.equal(counts()['invalidations'], 1)
  })

  await t.test('may have been told together with another process\'s: the session is not used longer than a read may be old', async (t) => {
    const { inner, store } = await stage(t, { maxAge: 200 })
    const began = performance.now()
    await store.commit('a', change({ increment: new Map([['m', 1]]) }))
    await inner.commit('a', change({ set: data({ n: 'of another' }) }))
    inner.tell('a')
    t.strictSame(await fieldsOf(store, 'a'), { n: '1', m: '1' }, 'allowed: it is not older')
    while ((await fieldsOf(store, 'a'))?.['n'] === '1' && performance.now() - began < 400) await new Promise(setImmediate)
    const took = performance.now() - began
    t.ok(took < 400, `seen after ${took.toFixed()} ms`)
  })

  await t.test('whose sum is another one than of what is kept drops it', async (t) => {
    const { inner, store } = await stage(t)
    await inner.commit('a', change({ increment: new Map([['n', 5]]) })) // told late
    const result = await store.commit('a', change({ increment: new Map([['n', 1]]) })) as Extract<CommitResult, { status: 'committed' }>
    t.strictSame(result.increments, [7])
    t.strictSame(await fieldsOf(store, 'a'), { n: '7' })
  })

  await t.test('that is refused, or fails, has the session read anew', async (t) => {
    const { inner, store } = await stage(t)
    await inner.commit('a', change({ set: data({ n: '2' }) }))
    t.match(await store.commit('a', change({ expect: data({ n: '1' }), set: data({ n: '3' }) })), { status: 'conflict' })
    t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
    inner.failing = { error: new Error('away'), methods: ['commit'] }
    await t.rejects(async () => store.commit('a', change({ set: data({ n: '4' }) })), /away/)
    inner.take()
    await store.load('a')
    t.strictSame(inner.take(), ['load'])
  })

  await t.test('beside another one leaves it to the store which was the last', async (t) => {
    const { inner, store } = await stage(t)
    const { opened, open } = barrier()
    inner.before = () => opened
    const both = [store.commit('a', change({ set: data({ n: '2' }) })), store.commit('a', change({ set: data({ n: '3' }) }))]
    open()
    await Promise.all(both)
    inner.before = undefined
    inner.take()
    t.strictSame(await fieldsOf(store, 'a'), { n: '3' })
    t.strictSame(inner.take(), ['load'])
  })

  await t.test('makes nothing of an answer that was on its way', async (t) => {
    const { inner, store } = await stage(t)
    inner.tell('a')
    const { opened, open } = barrier()
    const load = inner.load
    inner.load = async (...args) => {
      const answer = await load(...args)
      await opened
      return answer
    }
    const old = fieldsOf(store, 'a')
    inner.load = load
    await store.commit('a', change({ set: data({ n: '2' }) }))
    open()
    await old
    t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
  })

  for (const [when, read] of [['before', '1'], ['after', '2']] as const) {
    await t.test(`leaves nothing of a session that was read while it was on its way, ${when} it was applied`, async (t) => {
      const { inner, store } = await stage(t)
      const { opened, open } = barrier()
      const { commit } = inner
      inner.commit = async (...args) => {
        if (when === 'before') await opened
        const answer = await commit(...args)
        await opened
        return answer
      }
      const committed = store.commit('a', change({ increment: new Map([['n', 1]]) }))
      inner.tell('a') // the own one
      inner.tell('a')
      t.strictSame(await fieldsOf(store, 'a'), { n: read })
      open()
      await committed
      t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
    })
  }
})

t.test('every other own write has its sessions read anew', async (t) => {
  const { inner, store } = await stage(t)
  await store.renew('a', 'b', change())
  t.strictSame(await store.load('a'), { successor: 'b', how: 'renewed' })
  await store.load('b')
  await store.regenerate('b', 'c', record())
  t.strictSame(await store.load('b'), { successor: 'c', how: 'regenerated' })
  await store.load('c')
  await store.end('c')
  t.equal(await store.load('c'), undefined)
  await store.create('c', record({ fields: data({ n: '9' }) }))
  t.strictSame(await fieldsOf(store, 'c'), { n: '9' })
  inner.take()
  await store.load('c')
  t.strictSame(inner.take(), [])
})

t.test('no more sessions are kept than maxSessions, and those stay that are read again', async (t) => {
  const { inner, store } = await stage(t, { maxSessions: 10 })
  await store.load('a')
  for (let i = 0; i < 100; i++) {
    await inner.create(`${i}`, record())
    await store.load(`${i}`)
  }
  inner.take()
  await store.load('a')
  for (let i = 91; i < 100; i++) await store.load(`${i}`)
  t.strictSame(inner.take(), [])
  await store.load('90')
  t.strictSame(inner.take(), ['load'])
})

t.test('staleIfError', async (t) => {
  const away = new StoreUnavailableError('away')

  await t.test('kept sessions are read while the store is away, and nothing is written', async (t) => {
    const { inner, store, counts } = await stage(t, { staleIfError: 60 })
    inner.failing = { error: away }
    inner.lose()
    t.strictSame(await fieldsOf(store, 'a'), { n: '1' })
    t.strictSame(await fieldsOf(store, 'a'), { n: '1' })
    t.strictSame(inner.take(), ['load'], 'the second one did not wait for the store')
    t.equal(counts()['stale'], 2)
    await t.rejects(async () => store.load('b'), away)
    await t.rejects(async () => store.load('a', true), away, 'a look is no mere read')
    await t.rejects(async () => store.commit('a', change({ set: data({ n: '2' }) })), away)
    await t.rejects(async () => store.load('a'), away, 'its own write may have been made')
  })

  await t.test('the store answers again: what it says counts', async (t) => {
    const { inner, store } = await stage(t, { staleIfError: 60 })
    inner.lose()
    await inner.commit('a', change({ set: data({ n: '2' }) }))
    t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
    inner.lag = 0
    t.strictSame(await fieldsOf(store, 'a'), { n: '2' })
  })

  await t.test('what the store has said last counts, also while changes may be missed: a session that it did not have is not let in again', async (t) => {
    for (const lagAtTheRead of [0, Infinity]) {
      const { inner, store } = await stage(t, { staleIfError: 60 })
      await inner.create('b', record({ fields: data({ n: '1' }) }))
      await store.load('b')
      inner.lose()
      await Promise.all([inner.end('a'), inner.commit('b', change({ set: data({ n: '2' }) }))])
      inner.lag = lagAtTheRead
      t.equal(await store.load('a'), undefined)
      t.strictSame(await fieldsOf(store, 'b'), { n: '2' })
      inner.failing = { error: away }
      inner.lose()
      await t.rejects(async () => store.load('a'), away, `${lagAtTheRead}`)
      t.strictSame(await fieldsOf(store, 'b'), { n: '2' }, `${lagAtTheRead}`)
    }
  })

  await t.test('only for so long', async (t) => {
    const { inner, store } = await stage(t, { staleIfError: 1 })
    inner.failing = { error: away }
    inner.lose()
    const began = performance.now()
    await t.rejects(async () => { for (;;) await Promise.all([store.load('a'), new Promise(setImmediate)]) }, away)
    const took = performance.now() - began
    t.ok(took >= 1000 && took < 3000, `${took.toFixed()} ms`)
  })

  await t.test('neither an expired session nor one that cannot be read', async (t) => {
    const tick = fakeClock(t, ['Date'])
    const { inner, store } = await stage(t, { staleIfError: 60 })
    await inner.create('short', record({ expiresAt: Date.now() + 1000 }))
    await store.load('short')
    inner.failing = { error: new RecordError('damaged') }
    inner.lose()
    await t.rejects(async () => store.load('a'), { code: 'FST_SESSION_RECORD' })
    inner.failing = { error: away }
    tick(1000)
    await t.rejects(async () => store.load('short'), away)
    mock.timers.reset()
  })

  await t.test('not by default', async (t) => {
    const { inner, store } = await stage(t)
    inner.failing = { error: away }
    inner.lose()
    await t.rejects(async () => store.load('a'), away)
  })
})

t.test('the layer has what the inner store has, and no more', async (t) => {
  const { inner, store } = await stage(t)
  for (const method of ['ids', 'describe', 'idsOf', 'replace', 'watch']) t.notOk(method in store, method)
  t.type(store.track, 'function')
  Object.assign(inner, { counts: () => ({ evicted: 7 }), full: true, keyspace: 'a place' })
  const again = cached(inner)
  t.equal(again.full, true)
  t.equal(again.keyspace, 'a place')
  t.match(again.counts?.(), { evicted: 7, hits: 0 })
  await store.close()
  t.ok(inner.isStopped)
  inner.isStopped = false
  await store.load('a')
  t.strictSame(inner.take().at(-1), 'load', 'a closed cache is empty, and does not track again')

  const whole = cached(Object.assign(memoryStore(), { track: inner.track }))
  await whole.create('b', record({ subject: 'ada' }))
  await whole.load('b')
  await whole.replace('b', record({ fields: data({ n: '2' }) }))
  t.strictSame(await fieldsOf(whole, 'b'), { n: '2' })
  for await (const page of whole.ids()) t.strictSame(page, ['b'])
})

t.test('what it cannot be made of is refused', async (t) => {
  t.throws(() => cached(new SpyStore(memoryStore()) as never), { code: 'FST_SESSION_STORE_LACKS', message: /cached\(\) needs a store that can tell which sessions change \(TrackableStore\)/ })
  t.throws(() => cached(new TrackedStore(), { maxAge: 19 }), { code: 'FST_SESSION_OPTION', message: /option maxAge must be a whole number of milliseconds from 20/ })
  t.throws(() => cached(new TrackedStore(), { maxSessions: 0 }), { code: 'FST_SESSION_OPTION' })
  t.throws(() => cached(new TrackedStore(), { staleIfError: -1 }), { code: 'FST_SESSION_OPTION' })
  for (const nothing of [undefined, null, 7, {}, redisStore]) t.throws(() => cached(nothing as never), { code: 'FST_SESSION_OPTION', message: /the first argument must be a store/ })
})
