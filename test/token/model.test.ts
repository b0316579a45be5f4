import fc from 'fast-check'
import { Redis } from 'ioredis'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { awkwardKeys } from '../../lib/conformance/records.js'
import { getSession, memoryStore, redisStore, tokenSessions, type SessionStore, type TokenProvider, type TokenSession } from '../../lib/index.js'
import { redisForTest } from '../support/servers/require.js'

type Data = Record<string, unknown>
type Session = TokenSession<Data>

type Step =
  | { do: 'set' | 'add', key: string, value: unknown }
  | { do: 'get' | 'has' | 'delete' | 'take' | 'mutate' | 'drop', key: string }
  | { do: 'increment', key: string, by: number }
  | { do: 'update', key: string, value: unknown, inPlace: boolean }
  | { do: 'clear' | 'commit' | 'reload' | 'renew' | 'list' }

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const keys = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'n') },
  { weight: 1, arbitrary: fc.constantFrom(...awkwardKeys) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }).filter((key) => !/\p{Surrogate}/u.test(key)) })
const values = fc.oneof(fc.integer(), fc.jsonValue({ maxDepth: 3 })).map(copy)
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('set', 'add'), key: keys, value: values }),
  fc.record({ do: fc.constantFrom('get', 'has', 'delete', 'take', 'mutate', 'drop'), key: keys }),
  fc.record({ do: fc.constant('increment'), key: fc.oneof(fc.constant('n'), keys), by: fc.integer() }),
  fc.record({ do: fc.constant('update'), key: keys, value: values, inPlace: fc.boolean() }),
  fc.record({ do: fc.constantFrom('clear', 'commit', 'reload', 'renew', 'list') }))

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Changes an array or an object in place, the same way each time. */
function mutate (value: unknown): void {
  if (Array.isArray(value)) value.push('mutated')
  else if (isObject(value)) Object.assign(value, { mutated: Object.keys(value).length })
}

/** Does a step to a session and to a plain Map, and compares what they answer. */
async function step (session: Session, model: Map<string, unknown>, saved: Map<string, unknown>, step: Step): Promise<void> {
  switch (step.do) {
    case 'set':
      session.set(step.key, copy(step.value))
      model.set(step.key, copy(step.value))
      break
    case 'add':
      assert.equal(session.add(step.key, copy(step.value)), !model.has(step.key))
      if (!model.has(step.key)) model.set(step.key, copy(step.value))
      break
    case 'get': assert.deepEqual(session.get(step.key), model.get(step.key)); break
    case 'has': assert.equal(session.has(step.key), model.has(step.key)); break
    case 'delete': assert.equal(session.delete(step.key), model.delete(step.key)); break
    case 'take':
      assert.deepEqual(session.take(step.key), model.get(step.key))
      model.delete(step.key)
      break
    case 'mutate':
      mutate(session.get(step.key))
      mutate(model.get(step.key))
      break
    case 'drop':
      session.set(step.key, undefined)
      model.delete(step.key)
      break
    case 'increment': {
      const before = model.has(step.key) ? model.get(step.key) : 0
      const sum = Number(before) + step.by
      if (typeof before === 'number' && Number.isSafeInteger(before) && Number.isSafeInteger(sum)) {
        assert.equal(session.increment(step.key, step.by), sum)
        model.set(step.key, sum)
      } else {
        assert.throws(() => session.increment(step.key, step.by), { code: 'FST_SESSION_NOT_A_NUMBER' })
      }
      break
    }
    case 'update': {
      const change = (value: unknown): unknown => {
        if (step.value === null) return undefined
        if (!step.inPlace || !isObject(value)) return [value ?? null, step.value]
        mutate(value)
        return value
      }
      const value = change(copy(model.get(step.key) ?? null))
      assert.deepEqual(session.update(step.key, (value) => change(value ?? null)), value)
      if (value === undefined) model.delete(step.key)
      else model.set(step.key, copy(value))
      break
    }
    case 'clear':
      session.clear()
      model.clear()
      break
    case 'commit':
      await session.commit()
      saved.clear()
      for (const [key, value] of model) saved.set(key, copy(value))
      break
    case 'reload':
      await session.reload()
      model.clear()
      for (const [key, value] of saved) model.set(key, copy(value))
      break
    case 'renew': session.renew(); break
    case 'list': same(session, model)
  }
}

function same (session: Session, model: ReadonlyMap<string, unknown>): void {
  const sorted = (entries: Iterable<[string, unknown]>): Array<[string, unknown]> => [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
  assert.deepEqual(sorted(session.entries()), sorted(model.entries()))
  assert.equal(session.size, model.size)
  assert.deepEqual([...session.keys()].sort(), [...model.keys()].sort())
  assert.deepEqual(sorted(Object.entries(session.data())), sorted(model.entries()))
}

/** One request after the other on one session: it behaves like a Map that is saved between them. */
async function behavesLikeMap (provider: TokenProvider<Data>, requests: Step[][]): Promise<void> {
  const model = new Map<string, unknown>()
  const saved = new Map<string, unknown>()
  let token: string | undefined
  for (const steps of requests) {
    await getSession(provider, null, async (session) => {
      for (const each of steps) await step(session, model, saved, each)
      same(session, model)
      await session.commit()
      token = session.isNew ? undefined : session.token
    }, { token })
    saved.clear()
    for (const [key, value] of model) saved.set(key, copy(value))
  }
  await getSession(provider, null, (session) => {
    same(session, model)
    assert.equal(({} as Record<string, unknown>)['mutated'], undefined)
  }, { token })
}

type Act = { by: number, do: 'commit' | 'reload' } | { by: number, do: 'increment' | 'append' | 'set' | 'look', key: string }

const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ by: fc.nat(2), do: fc.constantFrom('commit', 'reload') }),
  fc.record({ by: fc.nat(2), do: fc.constantFrom('increment', 'append', 'set', 'look'), key: fc.constantFrom('1', '2', '__proto__') }))

/** Three sessions on one record, in any order: what each of them has saved is there in the end. */
async function losesNothing (provider: TokenProvider<Data>, acts: Act[]): Promise<void> {
  const token = await getSession(provider, null, async (session) => {
    session.set('begin', true)
    await session.commit()
    return session.token
  })
  const sums = new Map<string, number>()
  const lists = new Map<string, number[]>()
  const sets = new Map<string, number>()
  const open = (use: (sessions: Session[]) => Promise<void>, sessions: Session[] = []): Promise<void> =>
    getSession(provider, null, (session) => sessions.length === 2 ? use([...sessions, session]) : open(use, [...sessions, session]), { token })

  await open(async (sessions) => {
    /** What each has done since it saved. */
    const pending: Array<Array<() => void>> = [[], [], []]
    const settle = (by: number): void => { for (const done of pending[by]?.splice(0) ?? []) done() }
    for (const [i, act] of acts.entries()) {
      const session = sessions[act.by] as Session
      const later = (done: () => void): void => { pending[act.by]?.push(done) }
      switch (act.do) {
        case 'commit':
          await session.commit()
          settle(act.by)
          break
        case 'reload':
          await session.reload()
          pending[act.by] = []
          break
        case 'look': session.get(`sum ${act.key}`); session.get(`list ${act.key}`); break
        case 'increment':
          session.increment(`sum ${act.key}`, i)
          later(() => sums.set(act.key, (sums.get(act.key) ?? 0) + i))
          break
        case 'append':
          session.update(`list ${act.key}`, (list) => [...(list as number[] | undefined) ?? [], i])
          later(() => lists.set(act.key, [...lists.get(act.key) ?? [], i]))
          break
        case 'set':
          session.set(`set ${act.key}`, i)
          later(() => sets.set(act.key, i))
      }
    }
    for (const [by, session] of sessions.entries()) {
      await session.commit()
      settle(by)
    }
  })

  await getSession(provider, null, (session) => {
    const expected = new Map<string, unknown>([['begin', true]])
    for (const [key, sum] of sums) expected.set(`sum ${key}`, sum)
    for (const [key, list] of lists) expected.set(`list ${key}`, list)
    for (const [key, last] of sets) expected.set(`set ${key}`, last)
    same(session, expected)
  }, { token })
}

async function laws (t: Test, store: SessionStore, numRuns: number): Promise<void> {
  const provider = tokenSessions<Data>({ store })
  await t.test('one session at a time behaves like a Map', async (t) => {
    await fc.assert(fc.asyncProperty(fc.array(fc.array(steps, { maxLength: 15 }), { maxLength: 4 }), (requests) => behavesLikeMap(provider, requests)), { numRuns })
    t.pass('holds')
  })
  await t.test('three sessions on one record lose nothing of each other', async (t) => {
    await fc.assert(fc.asyncProperty(fc.array(acts, { maxLength: 30 }), (acts) => losesNothing(provider, acts)), { numRuns })
    t.pass('holds')
  })
}

t.test('memory', (t) => laws(t, memoryStore(), 1000))

t.test('Redis', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const client = new Redis(server.url)
  const prefix = `${randomUUID()}:`
  t.teardown(async () => {
    const left = await client.keys(`${prefix}*`)
    if (left.length > 0) await client.unlink(...left)
    await client.quit()
  })
  await laws(t, redisStore(client, { prefix, timeout: 30_000 }), 200)
})
