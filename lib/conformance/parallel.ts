import assert from 'node:assert/strict'
import type { Case } from './harness.js'

const many = Array.from({ length: 50 }, (_, i) => i)

/** All at once, as far as the caller can. */
const together = <T>(act: (i: number) => T): Promise<Array<Awaited<T>>> => Promise.all(many.map(act))

/** Calls that meet each other: nothing is lost, nothing comes back. */
export const parallelCases: Case[] = [
  {
    name: 'parallel: commits of different keys lose nothing of each other',
    async test (bench) {
      const id = await bench.created()
      await together((i) => bench.committed(id, { set: new Map([[`k${i}`, String(i)]]) }))
      await bench.hasData(id, Object.fromEntries(many.map((i) => [`k${i}`, String(i)])))
    },
  },
  {
    name: 'parallel: increments add up, each with a sum of its own',
    async test (bench) {
      const id = await bench.created()
      const sums = await together((i) => bench.committed(id, { increment: new Map([['n', 1]]), set: new Map([[`k${i}`, '1']]) }))
      assert.deepEqual(sums.flat().sort((a, b) => a - b), many.map((i) => i + 1))
      assert.equal((await bench.loaded(id)).fields.get('n'), String(many.length))
    },
  },
  {
    name: 'parallel: of those that expect the same, one wins',
    async test (bench) {
      const id = await bench.created({ seat: 'null' })
      const results = await together((i) => bench.commit(id, { expect: new Map([['seat', 'null']]), set: new Map([['seat', String(i)]]) }))
      const winner = results.findIndex(({ status }) => status === 'committed')
      assert.equal(results.filter(({ status }) => status === 'committed').length, 1)
      assert.equal(results.filter(({ status }) => status === 'conflict').length, many.length - 1)
      await bench.hasData(id, { seat: String(winner) })
    },
  },
  {
    name: 'parallel: of those that create one id, one wins',
    async test (bench) {
      const id = bench.id()
      const answers = await together((i) => bench.store.create(id, bench.record({ by: String(i) })))
      assert.equal(answers.filter(Boolean).length, 1)
      await bench.hasData(id, { by: String(answers.indexOf(true)) })
    },
  },
  {
    name: 'parallel: of those that renew one session, one wins',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const id = await bench.created({ key: '1' }, { deleteSession })
        const ids = many.map(() => bench.id(id))
        const results = await together((i) => bench.store.renew(id, ids[i] as string, bench.change({})))
        assert.equal(results.filter(({ status }) => status === 'committed').length, 1)
        const loaded = await together((i) => bench.store.load(ids[i] as string))
        assert.deepEqual(loaded.map(Boolean), results.map(({ status }) => status === 'committed'))
      }
    },
  },
  {
    name: 'parallel: of those that end one session, one does',
    async test (bench) {
      const id = await bench.created({ key: '1' })
      assert.equal((await together(() => bench.store.end(id))).filter(Boolean).length, 1)
    },
  },
  {
    name: 'parallel: a session that was ended among commits stays ended',
    async test (bench) {
      for (const deleteSession of [true, false]) {
        const id = await bench.created({ n: '0' }, { deleteSession })
        await together((i) => i === many.length / 2
          ? bench.store.end(id)
          : bench.commit(id, { increment: new Map([['n', 1]]), expiresAt: Date.now() + bench.lifetime }))
        await bench.isGone(id)
      }
    },
  },
]
