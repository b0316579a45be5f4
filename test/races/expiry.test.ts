import assert from 'node:assert/strict'
import t from 'tap'
import { tokenSessions, type TokenSession } from '../../lib/index.js'
import { idOf } from '../../lib/token/tokens.js'
import { expiring, races, timesLeft, type Data, type Lived } from '../support/expiring.js'
import { inEachPlace } from '../support/places.js'
import { change, recordOf } from '../support/records.js'
import { scaled } from '../support/scale.js'

const count = scaled(500, 10_000)
const ttl = 100

/** What a writer was told. */
async function told (session: TokenSession<Data>): Promise<'saved' | 'gone'> {
  try {
    await session.commit()
    return 'saved'
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'FST_SESSION_GONE')
    return 'gone'
  }
}

/** How often either came first. */
class Outcomes {
  saved = 0
  gone = 0

  add (outcome: 'saved' | 'gone', lived: Lived): void {
    if (lived !== undefined) assert.equal(outcome, lived ? 'saved' : 'gone')
    this[outcome]++
  }

  get text (): string {
    return `the write was first ${this.saved} times, the expiry ${this.gone} times`
  }
}

/** Milliseconds that a life which began in this subtest has left at the least; a slow machine takes longer for its races. */
function leastLeft (began: number): number {
  return ttl * 1000 - (Date.now() - began) - 1000
}

await inEachPlace(t, async (t, place) => {
  const { store, theirs, writers, width, around } = expiring(t, place, { ttl })
  const users = tokenSessions<Data>({ store, ttl })

  await t.test('a write that prolongs the session and its expiry: it lives on with the write, or is gone and the writer knows', async (t) => {
    const outcomes = new Outcomes()
    const began = Date.now()
    await races(count, width, async (n) => {
      const { token } = await users.create({ data: { old: n, sum: 5 } })
      const writer = await writers.load(token)
      assert.ok(writer)
      if (n % 32 < 16) writer.set('new', n)
      else writer.increment('sum')
      writer.touch()
      let outcome: 'saved' | 'gone' = 'gone'
      const lived = await around(n, idOf(token), async () => { outcome = await told(writer) })
      outcomes.add(outcome, lived)
      const found = await users.load(token)
      assert.deepEqual(found?.data(), outcome === 'gone' ? undefined : n % 32 < 16 ? { old: n, sum: 5, new: n } : { old: n, sum: 6 })
      const { timeLeft } = await users.info(token) ?? {}
      assert.ok(outcome === 'gone' ? timeLeft === undefined : (timeLeft ?? 0) * 1000 > leastLeft(began), `${timeLeft} seconds left`)
    })
    t.ok(outcomes.saved > 0 && outcomes.gone > 0, outcomes.text)
    for (const left of (await timesLeft(place)).values()) assert.ok(left > leastLeft(began), 'what was prolonged is there, and nothing else')
    t.equal(await users.endAll(), outcomes.saved, 'as many live as were told so')
  })

  await t.test('a write that leaves the expiry as it is: it brings nothing back, and makes nothing live longer', async (t) => {
    const outcomes = new Outcomes()
    await races(count, width, async (n) => {
      const { token } = await users.create({ data: { old: n, sum: 5, list: ['old'] } })
      const writer = await writers.load(token)
      assert.ok(writer)
      const increments = n % 32 < 16
      if (increments) writer.increment('sum')
      else writer.append('list', 'new')
      let outcome: 'saved' | 'gone' = 'gone'
      const lived = await around(n, idOf(token), async () => { outcome = await told(writer) })
      outcomes.add(outcome, lived)
      const found = await users.load(token)
      const whole = increments ? { old: n, sum: 6, list: ['old'] } : { old: n, sum: 5, list: ['old', 'new'] }
      if (outcome === 'gone') assert.equal(found, undefined)
      else if (found !== undefined) assert.deepEqual(found.data(), whole)
    })
    t.ok(outcomes.saved > 0 && outcomes.gone > 0, outcomes.text)
    for (const left of (await timesLeft(place)).values()) assert.ok(left !== -1 && left <= 60_000, 'no life was prolonged')
    await users.endAll()
    t.same(await timesLeft(place), new Map())
  })

  await t.test('deleteSession: false: the write is added to the data, or begins it anew; the session stays, and no data without an expiry', async (t) => {
    const outcomes = new Outcomes()
    const began = Date.now()
    await races(count, width, async (n) => {
      const { token } = await users.create({ deleteSession: false, data: { old: n, sum: 5, list: ['old'] } })
      const writer = await writers.load(token)
      assert.ok(writer)
      const increments = n % 32 < 16
      if (increments) writer.increment('sum')
      else writer.append('list', 'new')
      const lived = await around(n, idOf(token), async () => { assert.equal(await told(writer), 'saved', 'the session stays') })
      const data = (await users.load(token))?.data() ?? {}
      const first = 'old' in data ? 'saved' : 'gone'
      outcomes.add(first, lived)
      if (increments) assert.deepEqual(data, first === 'saved' ? { old: n, sum: 6, list: ['old'] } : { sum: 1 })
      else assert.deepEqual(data, first === 'saved' ? { old: n, sum: 5, list: ['old', 'new'] } : { list: ['new'] })
      assert.deepEqual([writer.get('sum'), writer.get('list')].at(increments ? 0 : 1), increments ? data['sum'] : data['list'], 'the writer knows')
      const { timeLeft } = await users.info(token) ?? {}
      assert.ok((timeLeft ?? 0) * 1000 > leastLeft(began), `${timeLeft} seconds left: a life of its own`)
    })
    t.ok(outcomes.saved > 0 && outcomes.gone > 0, outcomes.text)
    for (const [key, left] of await timesLeft(place)) {
      assert.ok(key.endsWith(':data') ? left > leastLeft(began) : left === -1, `${left} milliseconds left of what has a life of its own`)
    }
    t.equal(await users.endAll(), count)
    t.same(await timesLeft(place), new Map())
  })

  await t.test('deleteSession: false, and a change that names no expiry: that of the data counts as long as there is data', async (t) => {
    const outcomes = new Outcomes()
    await races(count / 5, width, async (n) => {
      const { token } = await users.create({ deleteSession: false, data: { old: n, sum: 5 } })
      const id = idOf(token)
      let sum: number | undefined
      const lived = await around(n, id, async () => {
        const result = await theirs.commit(id, change({ increment: new Map([['sum', 1]]) }))
        assert.equal(result.status, 'committed')
        sum = result.status === 'committed' ? result.increments[0] : undefined
      })
      outcomes.add(sum === 6 ? 'saved' : 'gone', lived)
      const record = await recordOf(store, id)
      const data = Object.fromEntries(record?.fields ?? [])
      if (sum === 1) assert.deepEqual([data, record?.expiresAt], [{ sum: '1' }, null], 'the new data has no expiry')
      else if (record?.fields.size !== 0) assert.deepEqual(data, { old: String(n), sum: '6' })
      else assert.equal(record.expiresAt, null)
    })
    t.ok(outcomes.saved > 0 && outcomes.gone > 0, outcomes.text)
    const data = [...await timesLeft(place)].filter(([key]) => key.endsWith(':data')).map(([, left]) => left)
    t.ok(place.name === 'memory' || data.filter((left) => left === -1).length === outcomes.gone, 'only what began anew has none')
    t.notOk(data.some((left) => left > 60_000))
    await users.endAll()
  })
}, { clock: false })
