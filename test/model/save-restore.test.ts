import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { memoryStore, tokenSessions, type CompleteTokenProvider, type RestoreOptions, type RestoreResult, type SessionData } from '../../lib/index.js'
import { inEachPlace } from '../support/places.js'
import { roundedUp } from '../support/rounded-up.js'
import { SpyStore } from '../support/spy-store.js'

const secret = 'the secret of an app that delivers pizza'
const none: RestoreResult = { restored: 0, replaced: 0, skipped: 0, expired: 0, damaged: 0 }

const folder = await mkdtemp(join(tmpdir(), 'saved-sessions-'))
t.teardown(() => rm(folder, { recursive: true }))

async function saved (users: CompleteTokenProvider<SessionData>, tokens?: string[]): Promise<string> {
  const stream = new PassThrough()
  const all = text(stream)
  await users.save(stream, { tokens })
  stream.end()
  return all
}

const restore = (users: CompleteTokenProvider<SessionData>, file: string | Buffer, options?: RestoreOptions) =>
  users.restore(Readable.from([Buffer.from(file)]), options)

await inEachPlace(t, async (t, place) => {
  const users = tokenSessions({ store: place.connect(), secret, ttl: 100 })

  await t.test('save and restore: everything comes back, under the same tokens, and expires when it would have', async (t) => {
    const kept = await users.create({ deleteSession: false, ttl: 10, data: { a: 1 } })
    const shared = await users.create({ name: 'Ü 🍕', shared: true, subject: 'ada', maxAge: 400, data: { list: [1, 'two', { three: null }] } })
    const forever = await users.create({ ttl: null, data: { '\n"\\': '\u2028\ud83c\udf55\n' } })
    const plain = await users.create({ data: JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as SessionData })
    const tokens = [kept, shared, forever, plain].map(({ token }) => token)
    const before = await Promise.all(tokens.map(async (token) => [roundedUp(await users.info(token)), (await users.load(token))?.data()]))
    const path = join(folder, `${place.name}.jsonl`)
    t.same(await users.save(path), { sessions: 4, damaged: 0 })
    const file = await readFile(path, 'utf8')
    for (const token of tokens) t.notOk(file.includes(token), 'there is no token in it')
    t.equal((await stat(path)).mode & 0o777, 0o600)
    t.equal(await users.endAll(), 4)
    t.same(await users.restore(path), { ...none, restored: 4 })
    t.same(await Promise.all(tokens.map(async (token) => [roundedUp(await users.info(token)), (await users.load(token))?.data()])), before)
    t.equal((await users.open('Ü 🍕'))?.token, shared.token)
    t.equal(await users.endAll({ subject: 'ada' }), 1)
    await place.advance(11_000)
    t.match(await users.info(kept.token), { keys: 0, expiresAt: null })
    await place.advance(90_000)
    t.same((await users.exists(tokens)).tokens, [kept.token, forever.token])
    await users.endAll()
  })

  await t.test('save: the sessions of some tokens', async (t) => {
    const [one, two] = [await users.create(), await users.create(), await users.create()]
    const file = await saved(users, [one.token, two.token, one.token, 'x'.repeat(43), 'no token'])
    t.equal(file.split('\n').length, 5)
    await users.endAll()
    t.same(await restore(users, file), { ...none, restored: 2 })
    t.equal((await users.exists([one.token, two.token])).count, 2)
    await users.endAll()
  })

  await t.test('a session of more keys than a call takes arguments is written, saved and restored like any other', async (t) => {
    const keys = 70_000
    const dataOf = (value: number): SessionData => Object.fromEntries(Array.from({ length: keys }, (_, n) => [`k${n}`, value]))
    const session = await users.create({ data: dataOf(1) })
    const file = await saved(users)
    for (const [key, value] of Object.entries(dataOf(2))) session.set(key, value)
    await session.commit()
    const has = async (value: number): Promise<boolean> => isDeepStrictEqual((await users.load(session.token))?.data(), dataOf(value))
    t.ok(await has(2))
    t.same(await restore(users, file, { onConflict: 'replace' }), { ...none, replaced: 1 })
    t.ok(await has(1))
    await users.endAll()
    t.same(await restore(users, file), { ...none, restored: 1 })
    t.equal((await users.info(session.token))?.keys, keys)
    await users.endAll()
  })

  await t.test('restore: what is there already stops it, stays, or is replaced, wholly', async (t) => {
    const session = await users.create({ subject: 'ada', data: { a: 1, b: 2 } })
    const file = await saved(users)
    session.delete('a')
    session.set('c', 3)
    session.subject = 'bob'
    await session.commit()
    await t.rejects(restore(users, file), { code: 'FST_SESSION_RESTORE_CONFLICT', message: /line 2/, result: none })
    t.same(await restore(users, file, { onConflict: 'skip' }), { ...none, skipped: 1 })
    t.same((await users.load(session.token))?.data(), { b: 2, c: 3 })
    t.same(await restore(users, file, { onConflict: 'replace' }), { ...none, replaced: 1 })
    t.same((await users.load(session.token))?.data(), { a: 1, b: 2 })
    t.equal(await users.endAll({ subject: 'bob' }), 0)
    t.equal(await users.endAll({ subject: 'ada' }), 1)
  })

  await t.test('restore: what has expired meanwhile is not brought back; of what outlives its data, the data is not', async (t) => {
    const [gone, kept] = [await users.create({ data: { a: 1 } }), await users.create({ deleteSession: false, data: { a: 1 } })]
    const file = await saved(users)
    await users.endAll()
    await place.advance(101_000)
    t.same(await restore(users, file), { ...none, expired: 1, restored: 1 })
    t.equal(await users.load(gone.token), undefined)
    t.match(await users.info(kept.token), { keys: 0, expiresAt: null })
    await users.endAll()
  })

  await t.test('many sessions, told of while it goes on', async (t) => {
    const sessions = await Promise.all(Array.from({ length: 2000 }, (_, n) => users.create({ data: { n } })))
    const path = join(folder, `${place.name}-many.jsonl`)
    const progress: number[] = []
    await users.save(path, { onProgress: ({ sessions }) => progress.push(sessions) })
    t.ok(progress.length > 3 && progress.at(-1) === 2000)
    await users.endAll()
    const restored: number[] = []
    t.same(await users.restore(path, { onProgress: ({ restored: count }) => restored.push(count) }), { ...none, restored: 2000 })
    t.ok(restored.length > 3 && restored.at(-1) === 2000)
    t.equal((await users.load(sessions[1234]?.token ?? ''))?.get('n'), 1234)
    await users.endAll()
  })
})

await t.test('a damaged line is named by its number, and refused or left out as asked', async (t) => {
  const users = tokenSessions()
  const sessions = await Promise.all(Array.from({ length: 5 }, (_, n) => users.create({ data: { n } })))
  const lines = (await saved(users)).split('\n')
  const whole = JSON.parse(lines[2] as string) as Record<string, unknown>
  const damages: Array<string | Buffer> = [
    'garbage', '', '{}', 'null', '[]', (lines[2] as string).slice(0, -9), (lines[2] as string).replace('"data":{', '"data":['),
    ...[
      { id: '../x' }, { id: 7 }, { createdAt: '1' }, { createdAt: -1 }, { expiresAt: 1.5 }, { expiresAt: undefined }, { ttl: 0 }, { keep: 1 }, { name: '' },
      { shared: true }, { subject: 7 }, { data: [] }, { data: { '': 1 } }, { data: { '\ud800': 1 } }, { more: 1 },
      { createdAt: 8.64e15 + 1 }, { expiresAt: Number.MAX_SAFE_INTEGER }, { dataSince: 9e15 }, { ttl: 2 ** 31 }, { maxAge: 2 ** 31 },
    ].map((change) => JSON.stringify({ ...whole, ...change })),
    ...['['.repeat(201) + ']'.repeat(201), '['.repeat(100_000) + ']'.repeat(100_000), '1e400'].map((value) => (lines[2] as string).replace(/"data":\{.*\}\}/, `"data":{"a":${value}}}`)),
    Buffer.from([0x22, 0xff, 0x22]),
  ]
  for (const damage of damages) {
    await users.endAll()
    const file = Buffer.concat(lines.flatMap((line, i) => [Buffer.from(i === 2 ? damage : line), Buffer.from(i === lines.length - 1 ? '' : '\n')]))
    await t.rejects(restore(users, file), { code: 'FST_SESSION_RESTORE_LINE', message: /Line 3 /, result: { ...none, restored: 1 } }, String(damage).slice(0, 60))
    t.same(await restore(users, file, { onConflict: 'skip', onDamage: 'skip' }), { ...none, restored: 3, skipped: 1, damaged: 1 })
    t.equal((await users.exists(sessions.map(({ token }) => token))).count, 4)
  }
})

await t.test('a file of another version, of another kind, an empty one: refused, and nothing is restored', async (t) => {
  const users = tokenSessions()
  await users.create()
  const file = await saved(users)
  await users.endAll()
  for (const other of [file.replace('"version":1', '"version":2'), file.slice(file.indexOf('\n') + 1), '{"a":1}\n', 'PNG\0\n', file.replace('fastify', 'express')]) {
    await t.rejects(restore(users, other), { code: 'FST_SESSION_RESTORE_VERSION', result: none })
    await t.rejects(restore(users, other, { onDamage: 'skip' }), { code: 'FST_SESSION_RESTORE_VERSION' }, 'that is no damage to leave out')
  }
  await t.rejects(restore(users, ''), { code: 'FST_SESSION_RESTORE_TRUNCATED' })
  t.equal((await users.infoAll()).sessions, 0)
  t.match(await restore(users, file.replaceAll('\n', '\r\n')), { restored: 1 }, 'other line ends do no harm')
})

await t.test('a truncated file is found out wherever it ends, and the counts say what was restored', async (t) => {
  const users = tokenSessions()
  for (let n = 0; n < 4; n++) await users.create({ data: { n } })
  const file = await saved(users)
  const lines = file.split('\n')
  for (let end = 1; end <= 5; end++) {
    await users.endAll()
    await t.rejects(restore(users, lines.slice(0, end).join('\n') + '\n'), { code: 'FST_SESSION_RESTORE_TRUNCATED', result: { ...none, restored: end - 1 } })
    t.equal((await users.infoAll()).sessions, end - 1)
  }
  await users.endAll()
  await t.rejects(restore(users, file.slice(0, -30)), { code: 'FST_SESSION_RESTORE_LINE' })
  await users.endAll()
  await t.rejects(restore(users, [...lines.slice(0, 2), ...lines.slice(3)].join('\n')), { code: 'FST_SESSION_RESTORE_TRUNCATED', message: /3 sessions of 4/ })
  await users.endAll()
  await t.rejects(restore(users, file + lines[1] + '\n'), { code: 'FST_SESSION_RESTORE_LINE', message: /Line 7/ }, 'nothing follows the last line')
})

await t.test('lines may come in any pieces', async (t) => {
  const users = tokenSessions()
  for (let n = 0; n < 20; n++) await users.create({ data: { n, text: 'ü🍕'.repeat(n) } })
  const file = Buffer.from(await saved(users))
  for (const size of [1, 2, 7, 100, 4096]) {
    await users.endAll()
    const pieces = Array.from({ length: Math.ceil(file.length / size) }, (_, i) => file.subarray(i * size, (i + 1) * size))
    t.same(await users.restore(Readable.from(pieces)), { ...none, restored: 20 })
  }
})

await t.test('what goes wrong with files and streams is told, and leaves no half file behind', async (t) => {
  const users = tokenSessions()
  await users.create()
  const path = join(folder, 'kept.jsonl')
  await writeFile(path, 'from before')
  await t.rejects(users.save(join(folder, 'no', 'such', 'folder')), { code: 'ENOENT' })
  await t.rejects(users.restore(join(folder, 'nothing')), { code: 'ENOENT', result: none })
  await t.rejects(users.save(new Writable({ write (_chunk, _encoding, done) { done(new Error('disk full')) } })), { message: 'disk full' })
  await t.rejects(users.save(7 as never), { code: 'FST_SESSION_OPTION' })
  await t.rejects(users.restore(7 as never), { code: 'FST_SESSION_OPTION' })
  await t.rejects(users.save(path, { token: [] } as never), { code: 'FST_SESSION_OPTION' })
  await t.rejects(users.restore(path, { onConflict: 'merge' as never }), { code: 'FST_SESSION_OPTION' })
  const spy = new SpyStore(memoryStore())
  const failing = Object.assign(spy, {
    async * ids () {
      yield ['x']
      throw new Error('store down')
    },
    describe () {},
  })
  const poor = tokenSessions({ store: failing }) as CompleteTokenProvider<SessionData>
  await t.rejects(poor.save(path), { message: 'store down' })
  t.equal(await readFile(path, 'utf8'), 'from before')
  t.same((await readdir(folder)).filter((name) => name.endsWith('.partial')), [])
})

await t.test('save: stopped by a signal, at whatever time', async (t) => {
  const users = tokenSessions()
  for (let n = 0; n < 600; n++) await users.create({ data: { n } })
  const path = join(folder, 'stopped.jsonl')
  await writeFile(path, 'from before')
  for (const aborted of [0, 256, 512, 600]) {
    const controller = new AbortController()
    const stop = ({ sessions }: { sessions: number }) => { if (sessions >= aborted) controller.abort() }
    if (aborted === 0) controller.abort()
    const { signal } = controller
    await t.rejects(users.save(path, { signal, onProgress: stop }), { name: 'AbortError' })
    await t.rejects(users.save(new PassThrough(), { signal }), { name: 'AbortError' })
    t.equal(await readFile(path, 'utf8'), 'from before')
    t.same((await readdir(folder)).filter((name) => name.endsWith('.partial')), [])
  }
  t.match(await users.save(path, { signal: new AbortController().signal }), { sessions: 600 })
  await t.rejects(users.save(path, { signal: 'now' as never }), { code: 'FST_SESSION_OPTION' })
})

await t.test('restore into a memoryStore() that is full: refused, and nobody is dropped', async (t) => {
  const source = tokenSessions()
  const tokens = [await source.create(), await source.create(), await source.create(), await source.create()].map(({ token }) => token)
  const file = await saved(source)
  const users = tokenSessions({ store: memoryStore({ maxSessions: 4 }) })
  const own = await users.create()
  await t.rejects(restore(users, file), { code: 'FST_SESSION_RESTORE_FULL', message: /line 5 /, result: { ...none, restored: 3 } })
  t.ok(await users.load(own.token))
  const { tokens: restored } = await users.exists(tokens)
  t.equal(restored.length, 3)
  await t.rejects(restore(users, file), { code: 'FST_SESSION_RESTORE_CONFLICT' })
  await t.rejects(restore(users, file, { onConflict: 'skip' }), { code: 'FST_SESSION_RESTORE_FULL', result: { ...none, skipped: 3 } })
  await t.rejects(restore(users, file, { onConflict: 'replace' }), { code: 'FST_SESSION_RESTORE_FULL', result: { ...none, replaced: 3 } })
  t.same(await users.exists([own.token, ...tokens]), { count: 4, tokens: [own.token, ...restored] }, 'as it was')
  await users.end(own.token)
  t.same(await restore(users, file, { onConflict: 'skip' }), { ...none, restored: 1, skipped: 3 })
  t.same(await restore(users, file, { onConflict: 'replace' }), { ...none, replaced: 4 }, 'who is there already needs no other place')
})

await t.test('restore: a store that fails half way is told, with the counts, and the rest can be restored later', async (t) => {
  const source = tokenSessions()
  for (let n = 0; n < 600; n++) await source.create({ data: { n } })
  const file = await saved(source)
  const spy = new SpyStore(memoryStore())
  const users = tokenSessions({ store: spy }) as CompleteTokenProvider<SessionData>
  let left = 400
  spy.before = () => { if (--left === 0) spy.failing = { error: new Error('gone') } }
  const error: { code?: string, result?: RestoreResult } = await restore(users, file).then(() => ({}), (error: object) => error)
  t.equal(error.code, 'FST_SESSION_STORE_UNAVAILABLE')
  const { restored = 0 } = error.result ?? {}
  t.ok(restored > 0 && restored < 600)
  spy.failing = undefined
  t.same(await restore(users, file, { onConflict: 'skip' }), { ...none, skipped: restored, restored: 600 - restored })
})

await t.test('a store that cannot list, index, restore or watch: a named error, before anything is done', async (t) => {
  const users = tokenSessions({ store: new SpyStore(memoryStore()), secret })
  const all = users as CompleteTokenProvider<SessionData>
  const session = await users.create({ name: 'n', shared: true })
  t.equal((await users.info(session.token))?.name, 'n')
  const lacks = { code: 'FST_SESSION_STORE_LACKS' }
  t.throws(() => all.list(), lacks)
  t.throws(() => all.list({ subject: 'ada' }), lacks)
  await t.rejects(all.endAll(), lacks)
  await t.rejects(all.endAll({ subject: 'ada' }), lacks)
  await t.rejects(all.infoAll(), lacks)
  await t.rejects(all.save(join(folder, 'never')), lacks)
  await t.rejects(all.subscribe(session.token, () => {}), lacks)
  await t.rejects(users.create({ subject: 'ada' }), lacks)
  t.throws(() => { session.subject = 'ada' }, lacks)
  const file = await saved(all, [session.token])
  await t.rejects(restore(all, file, { onConflict: 'replace' }), lacks)
  await users.end(session.token)
  t.same(await restore(all, file), { ...none, restored: 1 }, 'the small contract is enough where nothing is replaced')
  // @ts-expect-error the types say so too
  t.type(users.list, 'function')
})
