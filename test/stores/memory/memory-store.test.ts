import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { getSession, memoryStore, tokenSessions, type SessionRecord, type SessionStore } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { change, record, recordOf } from '../../support/records.js'

const id = (i: number): string => `id-${String(i).padStart(8, '0')}`

async function there (store: SessionStore, count: number): Promise<number[]> {
  const found = []
  for (let i = 0; i < count; i++) {
    const answer = await store.load(id(i))
    if (answer !== undefined && 'fields' in answer) found.push(i)
  }
  return found
}

t.test('the sessions of a subject: expired and ended ones are not named, also while they wait to be swept', async (t) => {
  const store = memoryStore()
  t.teardown(() => store.close())
  const tick = fakeClock(t, ['Date'])
  const expiresAt = Date.now() + 1000
  for (let i = 0; i < 600; i++) await store.create(id(i), record({ fields: new Map([['a', '1']]), subject: 'ada', expiresAt: i % 2 === 0 ? expiresAt : null, deleteSession: i !== 0 }))
  const pages = store.idsOf('ada')[Symbol.asyncIterator]()
  t.equal((await pages.next()).value?.length, 256)
  tick(1000)
  await store.end(id(599))
  const rest: string[] = []
  for (let page = await pages.next(); !page.done; page = await pages.next()) rest.push(...page.value)
  t.strictSame(rest, Array.from({ length: 171 }, (_, i) => id(257 + 2 * i)))
  const all: string[] = []
  for await (const page of store.idsOf('ada')) all.push(...page)
  t.strictSame(all, [id(0), ...Array.from({ length: 299 }, (_, i) => id(1 + 2 * i))], 'a session that outlives its data is named')
})

/** Counts the intervals that run. */
function watchTimers (t: Test): { running: () => number } {
  const running = new Set<unknown>()
  const { setInterval: set, clearInterval: clear } = globalThis
  const fake = ((...args: Parameters<typeof set>) => { const timer = set(...args); running.add(timer); return timer }) as typeof set
  globalThis.setInterval = fake
  globalThis.clearInterval = ((timer: Parameters<typeof clear>[0]) => { running.delete(timer); clear(timer) }) as typeof clear
  t.teardown(() => { globalThis.setInterval = set; globalThis.clearInterval = clear })
  return { running: () => running.size }
}

t.test('sweep: expired sessions go by themselves, in slices, and the others stay', async (t) => {
  const tick = fakeClock(t)
  const { running } = watchTimers(t)
  const store = memoryStore({ maxSessions: 1_000_000 })
  const count = 50_000
  const due = Date.now() + 1000
  for (let i = 0; i < count; i++) await store.create(id(i), record({ expiresAt: i % 2 === 0 ? due : null }))
  t.equal(running(), 1)
  tick(1001)
  const slices: number[] = []
  while (slices.length < 2000) {
    const begin = process.cpuUsage()
    tick(100)
    slices.push(process.cpuUsage(begin).user / 1000)
    if (slices.length % 100 === 0) await turn()
  }
  const late = slices.sort((a, b) => a - b)[1980] as number
  t.ok(late < 10, `99 of 100 slices took less than ${late.toFixed(1)} ms of CPU time`)
  // Set the clock back to before they were due: a session that is gone now was swept, not only refused as expired.
  mock.timers.setTime(due - 1)
  const left = await there(store, count)
  t.equal(left.length, count / 2)
  t.ok(left.every((i) => i % 2 === 1))
  store.close()
  t.equal(running(), 0)
})

t.test('sweep: the timer stops with the last session, and starts with the next', async (t) => {
  const { running } = watchTimers(t)
  const store = memoryStore()
  t.equal(running(), 0)
  await store.create(id(0), record())
  await store.create(id(1), record())
  t.equal(running(), 1)
  await store.end(id(0))
  t.equal(running(), 1)
  await store.end(id(1))
  t.equal(running(), 0)
  await store.create(id(2), record())
  t.equal(running(), 1)
  await store.close()
  await store.close()
  t.equal(running(), 0)
})

t.test('sweep: a session that outlives its data is emptied', async (t) => {
  const tick = fakeClock(t)
  const store = memoryStore()
  t.teardown(() => store.close())
  await store.create(id(0), record({ fields: new Map([['a', '1']]), deleteSession: false, expiresAt: Date.now() + 1000 }))
  tick(5000)
  mock.timers.setTime(Date.now() - 4500)
  const { fields, expiresAt } = await store.load(id(0)) as SessionRecord
  t.equal(fields.size, 0)
  t.equal(expiresAt, null)
})

t.test('shares no live objects: neither with the writer nor between readers', async (t) => {
  const provider = tokenSessions({ store: memoryStore() })
  const list = [{ a: 1 }]
  const token = await getSession(provider, null, async (session) => {
    session.set('list', list)
    await session.commit()
    return session.token
  })
  list.push({ a: 2 })
  await getSession(provider, null, async (first) => {
    await getSession(provider, null, (second) => {
      t.strictSame(first.get('list'), [{ a: 1 }])
      t.not(first.get('list'), second.get('list'))
      ;(first.get('list') as unknown[]).push('first')
      t.strictSame(second.get('list'), [{ a: 1 }])
    }, { token })
    await first.reload()
  }, { token })
})

t.test('a text that was cut out of a larger one does not keep that in memory', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const used = (): number => {
    gc()
    return process.memoryUsage().heapUsed
  }
  const cut = (n: number): string => `${n} ${'a header of a hostile client '.repeat(10_000)}`.toUpperCase().slice(0, 40)
  const users = tokenSessions()
  const count = 50
  const before = used()
  for (let n = 0; n < count; n++) {
    const { token } = await users.create({ name: cut(n), label: cut(n), subject: cut(n), data: { [cut(n)]: cut(n) } })
    const later = await users.load(token)
    if (later === undefined) throw new Error('it was just created')
    if (n % 2 === 0) continue
    later.label = cut(n)
    later.subject = cut(n)
    await later.commit()
  }
  t.ok(used() - before < count * 50_000, `${(used() - before) / count} bytes per session`)
  t.equal((await users.infoAll()).sessions, count)
})

t.test('a commit of many keys of a large session is not quadratic', async (t) => {
  const store = memoryStore()
  t.teardown(() => store.close())
  const keys = Array.from({ length: 80_000 }, (_, i) => `k${i}`)
  const texts = (text: string): Map<string, string> => new Map(keys.map((key) => [key, text]))
  await store.create(id(0), record({ fields: texts('1') }))
  const begin = process.cpuUsage()
  t.match(await store.commit(id(0), change({ set: texts('2') })), { status: 'committed' })
  t.match(await store.commit(id(0), change({ expect: texts('2'), increment: new Map(keys.map((key) => [key, 1])) })), { status: 'committed' })
  t.match(await store.commit(id(0), change({ remove: keys.slice(3), increment: new Map([[keys[0] as string, 1], ['new', 5]]) })), { status: 'committed', increments: [4, 5] })
  t.ok(process.cpuUsage(begin).user < 2_000_000, 'within two seconds of this process alone')
  t.strictSame((await recordOf(store, id(0)))?.fields, new Map([['k0', '4'], ['k1', '3'], ['k2', '3'], ['new', '5']]))
  await store.commit(id(0), change({ set: texts('1') }))
  await store.commit(id(0), change({ clear: true, set: new Map(keys.slice(0, 20).map((key) => [key, '7'])), increment: new Map([['n', 1]]) }))
  t.strictSame((await recordOf(store, id(0)))?.fields, new Map([...keys.slice(0, 20).map((key) => [key, '7'] as const), ['n', '1']]))
})
