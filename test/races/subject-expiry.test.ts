import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { tokenSessions, type CompleteStore, type TokenSession } from '../../lib/index.js'
import { idOf } from '../../lib/token/tokens.js'
import { expire, expiring, races, timesLeft, type Data } from '../support/expiring.js'
import { inEachPlace } from '../support/places.js'
import { scaled } from '../support/scale.js'

const batches = scaled(4, 20)
const perBatch = 500
const ttl = 100

/** What is certain of the sessions of one batch, as it goes on. */
class Certain {
  /** The subject of each that lives, and will live on. */
  readonly living = new Map<string, string>()
  readonly dead = new Set<string>()
}

/** All that the index names, slowly enough for others to come in between. */
async function idsOf (store: CompleteStore, subject: string): Promise<string[]> {
  const ids: string[] = []
  for await (const page of store.idsOf(subject)) {
    ids.push(...page)
    await turn()
  }
  return ids
}

/** One listing of both subjects: it must name what lived throughout, and nothing that was dead before. */
async function look (store: CompleteStore, subjects: readonly string[], { living, dead }: Certain): Promise<void> {
  const before = { living: [...living], dead: [...dead] }
  for (const subject of subjects) {
    const ids = await idsOf(store, subject)
    const named = new Set(ids)
    assert.equal(named.size, ids.length, 'each once')
    for (const id of before.dead) assert.ok(!named.has(id), 'a dead one is not named')
    for (const [id, whose] of before.living) assert.equal(named.has(id), whose === subject, 'a live one is named, under its subject alone')
  }
}

/** Whether the session was there for the commit. */
async function committed (session: TokenSession<Data>): Promise<boolean> {
  try {
    await session.commit()
    return true
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'FST_SESSION_GONE')
    return false
  }
}

await inEachPlace(t, async (t, place) => {
  const stage = expiring(t, place, { ttl }, 100, 60)
  const { store, writers, width, around } = stage
  const users = tokenSessions<Data>({ store, ttl })
  const counts = { lived: 0, expired: 0, looks: 0 }

  /**
   * 500 sessions of one subject expire while they are used, renewed, given to another, given to nobody or left alone, and
   * while the index is looked at again and again.
   * @param ending whether the subject's sessions are all ended in the midst of it
   */
  async function runBatch (batch: number, ending: boolean): Promise<void> {
    const subjects = [`from ${batch}`, `to ${batch}`] as const
    const [from, to] = subjects
    const certain = new Certain()
    const ids: string[] = []
    const steady = await Promise.all(Array.from({ length: 5 }, async () => idOf((await users.create({ subject: from })).token)))
    if (!ending) for (const id of steady) certain.living.set(id, from)

    const state = { over: false }
    const watching = (async () => {
      for (; !state.over; counts.looks++) await look(store, subjects, certain)
    })()
    try {
      await races(perBatch, width, async (n) => {
        if (ending && n === perBatch / 2) await users.endAll({ subject: from })
        ids.push(...await race(n, from, to, certain, ending))
        await turn()
      })
    } finally {
      state.over = true
      await watching
    }

    const living = await Promise.all([...steady, ...ids].map(async (id) => ({ id, summary: await store.describe(id) })))
    for (const subject of subjects) {
      const whose = living.filter(({ summary }) => summary?.subject === subject).map(({ id }) => id).sort()
      assert.deepEqual((await idsOf(store, subject)).sort(), whose, 'the index is right once all is over')
      if (!ending) assert.deepEqual(whose, [...certain.living].filter(([, owner]) => owner === subject).map(([id]) => id).sort())
    }
    if (ending) assert.ok(living.every(({ id, summary }) => summary === undefined || !steady.includes(id)), 'who lived throughout is ended')
    await Promise.all(living.map(({ id, summary }) => summary && expire(stage, id)))
    for (const subject of subjects) assert.deepEqual(await idsOf(store, subject), [])
  }

  /** One session that expires around what is done to it. All ids that it had. */
  async function race (n: number, from: string, to: string, { living, dead }: Certain, ending: boolean): Promise<string[]> {
    const { token } = await users.create({ subject: from, data: { n } })
    const id = idOf(token)
    const writer = await writers.load(token)
    if (writer === undefined) {
      assert.ok(ending)
      return [id]
    }
    const action = (['use', 'renew', 'give', 'give away', 'leave'] as const)[Math.floor(n / 10) % 5]
    if (action === 'renew') writer.renew()
    else writer.touch()
    if (action === 'use') writer.set('used', true)
    if (action === 'give') writer.subject = to
    if (action === 'give away') writer.subject = undefined
    let lives = false
    const lived = await around(n, id, async () => { lives = action !== 'leave' && await committed(writer) })
    if (action === 'leave') await expire(stage, id)
    else if (!ending && lived !== undefined) assert.equal(lives, lived)
    counts[lives ? 'lived' : 'expired']++
    const now = idOf(writer.token)
    if (!lives || now !== id) dead.add(id)
    if (lives && !ending) living.set(now, writer.subject ?? 'nobody')
    return now === id ? [id] : [id, now]
  }

  await t.test('sessions expire, are used, renewed, given away and ended: the index names who lives, all of them and nobody else', async (t) => {
    for (let batch = 0; batch < batches; batch++) await runBatch(batch, batch % 4 === 3)
    t.ok(counts.lived > 0 && counts.expired > 0 && counts.looks >= batches, `${counts.lived} lived on, ${counts.expired} expired, ${counts.looks} looks`)
    await place.advance(300_000)
    t.same(await timesLeft(place), new Map(), 'the index is gone with its sessions')
  })
}, { clock: false })
