import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createHash } from 'node:crypto'
import t from 'tap'
import { memoryStore, tokenSessions, type CompleteTokenProvider, type RestoreResult, type SessionData, type SessionRecord } from '../../lib/index.js'
import { bytes, checkPrototypes, inputCount, mutated, problemOf } from '../support/fuzz/laws.js'
import { Random } from '../support/random.js'

const id = (text: string): string => createHash('sha256').update(text).digest('base64url')
const now = Date.now()

const numbers = [0, 1, now, now + 1e9, 8.64e15, 8.64e15 + 1, Number.MAX_SAFE_INTEGER, 2 ** 31 - 1, 2 ** 31, -1, 1.5]
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

async function saved (users: CompleteTokenProvider<SessionData>, onDamage: 'fail' | 'skip' = 'fail'): Promise<string> {
  const file = new PassThrough()
  const all = text(file)
  await users.save(file, { onDamage })
  file.end()
  return all
}

const restored = (file: string, onDamage: 'fail' | 'skip', users = tokenSessions({ store: memoryStore() })): Promise<RestoreResult> =>
  users.restore(Readable.from([Buffer.from(file)]), { onDamage, onConflict: 'replace' })

/** A value of JSON as a writer that is not ours may have put it into a file or a store. */
function anyText (random: Random): string {
  return random.pick([
    () => '1', () => '"text"', () => deep(199), () => deep(200), () => deep(201), () => deep(20_000), () => '{"__proto__":{"polluted":true}}', () => '1e999', () => '-0', () => '"\\ud800"',
    () => '[\n1,\r\n2]', () => mutated(random, '{"a":[1,{"b":"c"}]}'), () => '"\u2028"',
  ])()
}

function anyLine (random: Random, n: number): string {
  const key = random.onceIn(4) ? random.pick(['__proto__', '\\ud800', '', '\\u0000', 'constructor']) : 'a'
  const time = (): unknown => random.onceIn(6) ? random.pick(numbers) : now
  const head = {
    id: random.onceIn(20) ? bytes(random, 43) : id(String(n)),
    createdAt: time(),
    expiresAt: random.onceIn(2) ? null : time(),
    ...random.onceIn(8) && { ttl: random.pick([...numbers, null]) },
    ...random.onceIn(8) && { maxAge: random.pick([...numbers, null]) },
    ...random.onceIn(8) && { keep: random.pick([true, false, 1]) },
    ...random.onceIn(8) && { dataSince: time() },
    ...random.onceIn(8) && { name: random.pick(['name', '', 'x'.repeat(256), 'x'.repeat(257), '\ud800', 7]) },
    ...random.onceIn(9) && { shared: random.pick([true, false, 'yes']) },
    ...random.onceIn(9) && { subject: random.pick(['ada', '', '\ud800', null]) },
    ...random.onceIn(20) && { [bytes(random, 5)]: 1 },
  }
  const line = `${JSON.stringify(head).slice(0, -1)},"data":{"${key}":${random.onceIn(2) ? '1' : anyText(random)}}}`
  return (random.onceIn(4) ? mutated(random, line) : line).replaceAll('\n', ' ')
}

/** Files of sessions, each with some lines. */
const perFile = 20

await t.test(`${inputCount} lines of saved sessions: each is restored or damaged, and the restored ones can be saved and restored again`, async (t) => {
  const problems: string[] = []
  let [whole, damaged, files] = [0, 0, 0]
  for (let seed = 0; seed < inputCount / perFile && problems.length === 0; seed++) {
    const random = new Random(seed)
    const lines = Array.from({ length: perFile }, (_, n) => anyLine(random, n))
    const header = '{"format":"fastify-request-session","version":1,"savedAt":"2026-01-31T12:00:00.000Z"}'
    const file = [header, ...lines, `{"end":true,"sessions":${lines.length}}`, ''].join('\n')
    const users = tokenSessions({ store: memoryStore() })
    try {
      const result = await restored(file, 'skip', users)
      whole += result.restored
      damaged += result.damaged
      if (Object.values(result).reduce((sum, count) => sum + count) !== perFile) problems.push(`seed ${seed}: ${JSON.stringify(result)}`)
      let listed = 0
      for await (const { createdAt, expiresAt, timeLeft } of users.list()) {
        listed++
        if (Number.isNaN(createdAt.getTime()) || Number.isNaN(expiresAt?.getTime() ?? 0) || Number.isNaN(timeLeft ?? 0)) problems.push(`seed ${seed}: a time that is none`)
      }
      const again = await restored(await saved(users), 'fail')
      if (again.restored + again.expired !== listed) problems.push(`seed ${seed}: restored ${listed}, and of those again ${JSON.stringify(again)}`)
    } catch (error) {
      problems.push(`seed ${seed}: ${problemOf(error) ?? String(error)}`)
    }
    // A damaged header or last line, or a file that is cut off anywhere.
    const cut = random.onceIn(2) ? mutated(random, file) : file.slice(0, random.below(file.length))
    try {
      await restored(cut, random.pick(['fail', 'skip']))
      files++
    } catch (error) {
      const problem = problemOf(error)
      if (problem !== undefined) problems.push(`seed ${seed}: ${problem}`)
    }
  }
  t.strictSame(problems, [])
  t.ok(whole > inputCount / 10 && damaged > inputCount / 10, `${whole} restored, ${damaged} damaged, ${files} of the cut files taken`)
  checkPrototypes(t)
})

await t.test(`${inputCount} records of a store: what is saved can be restored`, async (t) => {
  const store = memoryStore()
  const users = tokenSessions({ store })
  for (let seed = 0; seed < inputCount; seed++) {
    const random = new Random(seed)
    const time = (): number => random.onceIn(3) ? random.pick(numbers) : now
    const record: SessionRecord = {
      fields: new Map([[random.pick(['a', 'a', '__proto__', '\ud800', '\u0000']), anyText(random)]]),
      createdAt: time(),
      expiresAt: random.pick([null, now + 1e9, 8.64e15 + 1, Number.MAX_SAFE_INTEGER]),
      ttl: random.pick([undefined, undefined, null, 1, 2 ** 31]),
      maxAge: random.pick([undefined, undefined, null, 1, 2 ** 31]),
      deleteSession: random.onceIn(2),
      dataSince: time(),
      dataVersion: random.pick([undefined, undefined, 1, 12]),
      usedAt: time(),
      name: random.pick([undefined, 'name', bytes(random, 9)]),
      label: random.pick([undefined, undefined, 'label', bytes(random, 9)]),
      generation: random.pick([undefined, undefined, 'g']),
      subject: random.pick([undefined, 'ada', bytes(random, 9)]),
    }
    await store.create(random.onceIn(20) ? bytes(random, 43) : id(`record ${seed}`), record)
  }
  const file = await saved(users, 'skip')
  const sessions = file.split('\n').length - 3
  t.ok(sessions > inputCount / 100, `${sessions} were saved`)
  t.match(await restored(file, 'fail'), { restored: sessions, damaged: 0 })
  checkPrototypes(t)
})
