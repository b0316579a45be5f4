import assert from 'node:assert/strict'
import type { SessionChange } from '../stores/store.js'
import type { Case } from './harness.js'

const max = Number.MAX_SAFE_INTEGER

/** A change that touches everything, for cases in which nothing of it may be written. */
function everything (now: number): Partial<SessionChange> {
  return { clear: true, set: new Map([['set', '1'], ['new', '1']]), remove: ['removed'], expiresAt: now + 1_000_000, ttl: 7 }
}

const before = { set: '"old"', removed: '"still"', n: '5', word: '"five"' }

/** What one commit does. */
export const commitCases: Case[] = [
  {
    name: 'commit: sets the keys that it names and no others',
    async test (bench) {
      const id = await bench.created({ a: '1', b: '2' })
      assert.deepEqual(await bench.committed(id, { set: new Map([['b', '3'], ['c', '4']]) }), [])
      await bench.hasData(id, { a: '1', b: '3', c: '4' })
    },
  },
  {
    name: 'commit: removes keys; an absent one is no error',
    async test (bench) {
      const id = await bench.created({ a: '1', b: '2' })
      await bench.committed(id, { remove: ['b', 'never was'] })
      await bench.hasData(id, { a: '1' })
      await bench.committed(id, { remove: ['a'] })
      await bench.hasData(id, {})
    },
  },
  {
    name: 'commit: clear removes all data, then set and increment apply',
    async test (bench) {
      const id = await bench.created({ a: '1', n: '41', word: '"x"' })
      assert.deepEqual(await bench.committed(id, { clear: true, set: new Map([['b', '2']]), increment: new Map([['n', 1], ['word', 2]]) }), [1, 2])
      await bench.hasData(id, { b: '2', n: '1', word: '2' })
      await bench.committed(id, { clear: true })
      await bench.hasData(id, {})
    },
  },
  {
    name: 'commit: increments add to what is there, answer with the sums in order, and write JSON numbers',
    async test (bench) {
      const id = await bench.created({ a: '1', b: '-5', z: '0' })
      const increment = new Map([['z', 0], ['b', 2], ['new', 7], ['a', -3]])
      assert.deepEqual(await bench.committed(id, { increment }), [0, -3, 7, -2])
      await bench.hasData(id, { a: '-2', b: '-3', new: '7', z: '0' })
    },
  },
  {
    name: 'commit: sums reach ±(2^53 − 1), exactly, and no further',
    async test (bench) {
      const id = await bench.created({ up: String(max - 1), down: String(-max + 1) })
      assert.deepEqual(await bench.committed(id, { increment: new Map([['up', 1], ['down', -1], ['at once', max]]) }), [max, -max, max])
      await bench.hasData(id, { up: String(max), down: String(-max), 'at once': String(max) })
      for (const [key, by] of [['up', 1], ['down', -1], ['up', max]] as const) {
        assert.deepEqual(await bench.commit(id, { increment: new Map([[key, by]]) }), { status: 'not-a-number', key })
      }
      await bench.hasData(id, { up: String(max), down: String(-max), 'at once': String(max) })
    },
  },
  {
    name: 'commit: an increment of what is not a whole number is answered with its key, and nothing is written',
    async test (bench) {
      for (const text of ['"5"', '1.5', '1e+21', 'null', 'true', '{}', '[]', '""', '99999999999999999999']) {
        const record = bench.record({ ...before, word: text }, { ttl: 3 })
        const id = bench.id()
        await bench.store.create(id, record)
        const change = { ...everything(Date.now()), clear: false, increment: new Map([['n', 1], ['word', 1]]) }
        assert.deepEqual(await bench.commit(id, change), { status: 'not-a-number', key: 'word' })
        await bench.is(id, record)
      }
    },
  },
  {
    name: 'commit: what it expects holds',
    async test (bench) {
      const id = await bench.created({ a: '1', b: '""' })
      const expect = new Map([['a', '1'], ['b', '""'], ['c', undefined]])
      await bench.committed(id, { expect, set: new Map([['a', '2'], ['c', '3']]) })
      await bench.hasData(id, { a: '2', b: '""', c: '3' })
      await bench.committed(id, { expect: new Map([['a', '2']]), clear: true })
      await bench.hasData(id, {})
    },
  },
  {
    name: 'commit: what it expects does not hold: a conflict that tells what is there, and nothing is written',
    async test (bench) {
      const record = bench.record(before, { ttl: 3 })
      const id = bench.id()
      await bench.store.create(id, record)
      const expectations = [
        new Map<string, string | undefined>([['n', '6']]),
        new Map<string, string | undefined>([['n', undefined]]),
        new Map<string, string | undefined>([['absent', '1']]),
        new Map<string, string | undefined>([['n', '5'], ['absent', undefined], ['set', '"other"']]),
        new Map<string, string | undefined>([['set', '"other"'], ['n', '5'], ['absent', undefined]]),
      ]
      for (const expect of expectations) {
        const result = await bench.commit(id, { ...everything(Date.now()), expect, increment: new Map([['n', 1]]) })
        const current = new Map([...expect.keys()].map((key) => [key, record.fields.get(key)]))
        assert.deepEqual(result, { status: 'conflict', current })
        await bench.is(id, record)
      }
    },
  },
  {
    name: 'commit: a session that is missing, ended or renewed is answered so, and not brought back',
    async test (bench) {
      const never = bench.id()
      assert.deepEqual(await bench.commit(never, everything(Date.now())), { status: 'missing' })
      const ended = await bench.created(before)
      await bench.store.end(ended)
      assert.deepEqual(await bench.commit(ended, { expect: new Map([['n', '6']]), increment: new Map([['n', 1]]) }), { status: 'missing' })
      const renewed = await bench.created(before)
      await bench.store.renew(renewed, bench.id(renewed), bench.change({}))
      assert.deepEqual(await bench.commit(renewed, everything(Date.now())), { status: 'missing' })
      for (const id of [never, ended, renewed]) assert.equal(await bench.store.load(id), undefined)
    },
  },
  {
    name: 'commit: ttl and expiresAt change, or stay as they are; the rest of the description stays',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const record = bench.record({ key: '1' }, { deleteSession, name: 'two words', ttl: 5 })
        const id = bench.id()
        await bench.store.create(id, record)
        const later = Date.now() + 2 * bench.lifetime
        const steps: Array<Pick<SessionChange, 'ttl' | 'expiresAt'>> = [
          { ttl: undefined, expiresAt: undefined }, { ttl: 9, expiresAt: undefined }, { ttl: undefined, expiresAt: later },
          { ttl: null, expiresAt: null }, { ttl: 1, expiresAt: undefined }, { ttl: undefined, expiresAt: later + 1 },
        ]
        const expected = { ...record }
        for (const { ttl, expiresAt } of steps) {
          await bench.committed(id, { ttl, expiresAt })
          if (ttl !== undefined) expected.ttl = ttl
          if (expiresAt !== undefined) expected.expiresAt = expiresAt
          await bench.is(id, expected)
        }
      }
    },
  },
]
