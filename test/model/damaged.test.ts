import { once } from 'node:events'
import type { Redis } from 'ioredis'
import t from 'tap'
import { tokenSessions, type SessionFilter } from '../../lib/index.js'
import { idOf } from '../../lib/token/tokens.js'
import { inEachPlace } from '../support/places.js'

/** Ways in which a record may be damaged behind the store's back. */
const damages: Array<(node: Redis, key: string) => Promise<unknown>> = [
  (node, key) => node.hset(key, '', '2 whatever comes then'),
  (node, key) => node.hset(key, '', 'gibberish'),
  (node, key) => node.hset(key, '', ''),
  async (node, key) => node.hset(key, '', (await node.hget(key, '') as string).replace('ada', '%')),
  (node, key) => node.hdel(key, ''),
  (node, key) => node.set(key, 'text'),
]

await inEachPlace(t, async (t, place) => {
  if (place.name === 'memory') {
    t.pass('its records cannot be damaged')
    return
  }
  const users = tokenSessions({ store: place.connect() })

  /** Three sessions of ada's, and as many as there are damages, each of which has one. The ids of these. */
  async function damaged (): Promise<string[]> {
    for (let n = 0; n < 3; n++) await users.create({ name: 'whole', subject: 'ada', data: { n } })
    return Promise.all(damages.map(async (damage) => {
      const id = idOf((await users.create({ subject: 'ada', data: { n: 1 } })).token)
      for (const node of place.nodes()) for (const key of await node.keys(`${place.prefix}*${id}`)) await damage(node, key)
      return id
    }))
  }

  async function listed (filter: SessionFilter): Promise<{ names: Array<string | undefined>, told: string[] }> {
    const names: Array<string | undefined> = []
    const told: string[] = []
    for await (const { name } of users.list({ ...filter, onDamaged: (id) => { told.push(id) } })) names.push(name)
    return { names, told: told.sort() }
  }

  await t.test('damaged sessions do not stop a listing, which tells of them', async (t) => {
    const ids = (await damaged()).sort()
    const names = ['whole', 'whole', 'whole']
    t.same(await listed({}), { names, told: ids })
    t.same(await listed({ name: 'whole' }), { names, told: ids }, 'they may be of that name')
    t.same((await listed({ subject: 'ada' })).names, names)
    t.match(await users.infoAll(), { sessions: 3, keys: 3, expiring: 3, shared: 0, damaged: ids.length })
    t.throws(() => users.list({ onDamaged: 'log' as never }), { code: 'FST_SESSION_OPTION' })
  })

  await t.test('who does not ask for them is warned once', async (t) => {
    const warned = once(process, 'warning')
    let count = 0
    for await (const { name } of users.list()) count += Number(name === 'whole')
    t.equal(count, 3)
    t.match((await warned)[0], { name: 'FastifyRequestSessionWarning', message: `list(): ${damages.length} session(s) cannot be read, and were skipped` })
  })

  await t.test('they can be ended, by id, by subject, and with all others', async (t) => {
    const { told } = await listed({})
    const [first = '', second = ''] = told
    for (const id of [first, second]) {
      t.equal(await users.end({ id }), true)
      t.equal(await users.end({ id }), false)
    }
    t.equal((await users.infoAll()).damaged, damages.length - 2)
    await users.endAll({ subject: 'ada' })
    t.match(await users.infoAll(), { sessions: 0 })
    t.ok((await users.infoAll()).damaged <= 1, 'but one that has lost all that it was')
    await damaged()
    await users.endAll()
    t.match(await users.infoAll(), { sessions: 0, damaged: 0 })
  })
}, { clock: false })
