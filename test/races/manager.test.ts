import t from 'tap'
import { tokenSessions, type SessionInfo } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { scaled } from '../support/scale.js'

const secret = 'the secret of an app that delivers pizza'
const races = scaled(500, 10_000)
const atOnce = 500

/** Runs many races, some at once. */
async function many (run: (n: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < races; from += atOnce) await Promise.all(Array.from({ length: atOnce }, (_, i) => run(from + i)))
}

await inEachPlace(t, async (t, place) => {
  const connect = () => tokenSessions({ store: place.connect(), secret })
  const [here, there] = [connect(), connect()]

  await t.test('create and create of one name: one of the two', async (t) => {
    let wrong = 0
    await many(async (n) => {
      const results = await Promise.allSettled([here, there].map((users, i) => users.create({ name: `c${n}`, shared: true, data: { i } })))
      const won = results.findIndex(({ status }) => status === 'fulfilled')
      const lost = results.find((result) => result.status === 'rejected')
      const session = await here.open(`c${n}`)
      if (won < 0 || lost?.reason.code !== 'FST_SESSION_EXISTS' || session?.get('i') !== won) wrong++
      await here.end({ name: `c${n}` })
    })
    t.equal(wrong, 0)
  })

  await t.test('end and open, and a write to what was opened: the ended one stays away', async (t) => {
    let wrong = 0
    await many(async (n) => {
      const name = `e${n}`
      const { token } = await here.create({ name, shared: true })
      const [, opened] = await Promise.all([here.end(token), there.open(name)])
      opened?.set('late', 1)
      const code = await opened?.commit().then(() => 'saved', (error: { code: string }) => error.code)
      if (await here.open(name) !== undefined || (opened !== undefined && code !== 'FST_SESSION_GONE')) wrong++
    })
    t.equal(wrong, 0)
  })

  await t.test('the index of subjects against the end and a change: it names who lives, and nobody else', async (t) => {
    let wrong = 0
    await many(async (n) => {
      const [from, to] = [`f${n}`, `t${n}`]
      const one = await here.create({ subject: from })
      const two = await there.load(one.token)
      one.subject = to
      if (two !== undefined && n % 2 === 0) two.end()
      else two?.touch()
      await Promise.allSettled([one.commit(), two?.commit()])
      const lives = (await here.exists(one.token)).count === 1
      const named: SessionInfo[] = []
      for (const subject of [from, to]) for await (const info of there.list({ subject })) named.push(info)
      if (named.length !== Number(lives) || (lives && named[0]?.subject !== to)) wrong++
      await here.end(one.token)
    })
    t.equal(wrong, 0)
  })
}, { clock: false })
