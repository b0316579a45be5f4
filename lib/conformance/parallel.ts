import assert from 'node:assert/strict'
import type { Cases } from './harness.js'

const many = Array.from({ length: 50 }, (_, i) => i)

/** Starts fifty calls at once and awaits them all. */
const together = <T>(act: (i: number) => T): Promise<Array<Awaited<T>>> => Promise.all(many.map(act))

/** Cases of concurrent calls: no update is lost, and an ended session does not come back. */
export const parallelCases: Cases = {
  async 'parallel: commits of different keys lose nothing of each other' (harness) {
    const id = await harness.createSession()
    await together((i) => harness.commitOk(id, { set: { [`k${i}`]: String(i) } }))
    await harness.assertData(id, Object.fromEntries(many.map((i) => [`k${i}`, String(i)])))
  },
  async 'parallel: increments add up, each with a sum of its own' (harness) {
    const id = await harness.createSession()
    const sums = await together((i) => harness.commitOk(id, { increment: { n: 1 }, set: { [`k${i}`]: '1' } }))
    assert.deepEqual(sums.flat().sort((a, b) => a - b), many.map((i) => i + 1))
    assert.equal((await harness.loadExisting(id)).fields.get('n'), String(many.length))
  },
  async 'parallel: of those that expect the same, one wins' (harness) {
    const id = await harness.createSession({ seat: 'null' })
    const results = await together((i) => harness.commit(id, { expect: { seat: 'null' }, set: { seat: String(i) } }))
    const winner = results.findIndex(({ status }) => status === 'committed')
    assert.equal(results.filter(({ status }) => status === 'committed').length, 1)
    assert.equal(results.filter(({ status }) => status === 'conflict').length, many.length - 1)
    await harness.assertData(id, { seat: String(winner) })
  },
  async 'parallel: of those that create one id, one wins' (harness) {
    const id = harness.id()
    const answers = await together((i) => harness.store.create(id, harness.record({ by: String(i) })))
    assert.equal(answers.filter(Boolean).length, 1)
    await harness.assertData(id, { by: String(answers.indexOf(true)) })
  },
  async 'parallel: of those that renew one session, one wins' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ key: '1' }, { deleteSession })
      const ids = many.map(() => harness.id(id))
      const results = await together((i) => harness.renewTo(id, ids[i] as string))
      assert.equal(results.filter(({ status }) => status === 'committed').length, 1)
      const loaded = await together((i) => harness.store.load(ids[i] as string))
      assert.deepEqual(loaded.map((found) => found !== undefined && 'fields' in found), results.map(({ status }) => status === 'committed'))
    }
  },
  async 'parallel: of those that end one session, one does' (harness) {
    const id = await harness.createSession({ key: '1' })
    assert.equal((await together(() => harness.store.end(id))).filter((answer) => answer === true).length, 1)
  },
  async 'parallel: a session that was ended among commits stays ended' (harness) {
    for (const deleteSession of [true, false]) {
      const id = await harness.createSession({ n: '0' }, { deleteSession })
      await together((i) => i === many.length / 2
        ? harness.store.end(id)
        : harness.commit(id, { increment: { n: 1 }, expiresAt: Date.now() + harness.lifetime }))
      await harness.assertGone(id)
    }
  },
}
