import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { getSession, type SessionStore } from '../../lib/index.js'
import { each, provider, runPair } from './races.js'
import { scaled } from './scale.js'

const none = [undefined, undefined]

/** Pairs of each kind: not one lost update, not one session that came back. */
export async function raceLaws (t: Test, store: SessionStore, count = scaled(500, 10_000)): Promise<void> {
  const users = provider(store)

  await t.test(`${count} pairs of increments of one key and sets of different keys`, async (t) => {
    await each(count, async (i) => {
      const { failed, data } = await runPair(users, {
        data: { n: i, both: [i] },
        first: (session) => { session.increment('n', 2); session.set('a', i) },
        second: (session) => { session.increment('n', 3); session.set('b', i); session.get('both') },
      })
      assert.deepEqual(failed, none)
      assert.deepEqual(data, { n: i + 5, both: [i], a: i, b: i })
    })
    t.pass('not one was lost')
  })

  await t.test(`${count} pairs of updates of one key`, async (t) => {
    await each(count, async (i) => {
      const { failed, data } = await runPair(users, {
        data: { list: [i] },
        first: (session) => { session.update('list', (list) => [...list as string[], 'first']) },
        second: (session) => { session.update('list', (list) => [...list as string[], 'second']) },
      })
      assert.deepEqual(failed, none)
      const [kept, ...added] = data?.['list'] as unknown[]
      assert.deepEqual([kept, ...added.sort()], [i, 'first', 'second'])
    })
    t.pass('not one was lost')
  })

  await t.test(`${count} pairs of an end and a write`, async (t) => {
    let endedFirst = 0
    await each(count, async (i) => {
      const [end, write] = [(session: { end (): void }) => { session.end() }, (session: { increment (key: 'n'): unknown }) => { session.increment('n') }]
      const ending = await runPair(users, i % 2 === 0 ? { data: { n: i }, first: end, second: write } : { data: { n: i }, first: write, second: end })
      const [ended, written] = i % 2 === 0 ? ending.failed : [...ending.failed].reverse()
      assert.equal(ended, undefined)
      assert.ok(written === undefined || written === 'FST_SESSION_GONE', written)
      if (written !== undefined) endedFirst++
      assert.equal(ending.data, undefined, 'it stays ended')
    })
    t.ok(endedFirst > count / 10, `not one came back, ${endedFirst} writes were too late`)
  })

  await t.test(`${count / 10} pairs of a renewal and a write`, async (t) => {
    await each(count / 10, async (i) => {
      let renewed = ''
      const { failed, data } = await runPair(users, {
        data: { n: i },
        first: (session) => { session.renew(); renewed = session.token },
        second: (session) => { session.increment('n') },
      })
      assert.equal(failed[0], undefined)
      assert.equal(data, undefined, 'the old token is unknown')
      const n = await getSession(users, null, (session) => session.get('n'), { token: renewed })
      assert.equal(n, failed[1] === undefined ? i + 1 : i)
    })
    t.pass('what was answered as saved is under the new token')
  })
}
