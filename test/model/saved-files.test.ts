import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { memoryStore, tokenSessions, type CompleteTokenProvider, type SessionData } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { SpyStore } from '../support/spy-store.js'

const count = 600
const store = memoryStore()
const users = tokenSessions({ store })
for (let n = 0; n < count; n++) await users.create({ data: { n } })

const isWhole = (file: string): boolean => file.endsWith(`{"end":true,"sessions":${count}}\n`) && file.split('\n').length === count + 3

/** The same sessions, whose reading stops after half of them until the barrier is open. */
function halfRead () {
  const [half, goOn] = [barrier(), barrier()]
  const spy = Object.assign(new SpyStore(store), { ids: () => store.ids(), describe: store.describe.bind(store) })
  let reads = 0
  spy.before = async () => {
    if (++reads <= 300) return
    half.open()
    await goOn.opened
  }
  return { users: tokenSessions({ store: spy }) as CompleteTokenProvider<SessionData>, half: half.opened, goOn: goOn.open }
}

await t.test('savings to one path at once each write a file of their own: the last whole one is there in the end', async (t) => {
  for (const stopped of ['neither', 'the later', 'the earlier']) {
    const path = join(t.testdir(), `${stopped}.jsonl`)
    const [earlier, later] = [halfRead(), halfRead()]
    const controllers = { 'the earlier': new AbortController(), 'the later': new AbortController() }
    const first = earlier.users.save(path, { signal: controllers['the earlier'].signal })
    await earlier.half
    const second = later.users.save(path, { signal: controllers['the later'].signal })
    await later.half
    if (stopped in controllers) controllers[stopped as keyof typeof controllers].abort()
    earlier.goOn()
    later.goOn()
    const [one, two] = await Promise.allSettled([first, second])
    t.equal(one.status, stopped === 'the earlier' ? 'rejected' : 'fulfilled', stopped)
    t.equal(two.status, stopped === 'the later' ? 'rejected' : 'fulfilled', stopped)
    t.ok(isWhole(await readFile(path, 'utf8')), stopped)
    t.same(await readdir(join(path, '..')), [basename(path)], 'and no other file is left')
  }
  const path = join(t.testdir(), 'many.jsonl')
  await Promise.all(Array.from({ length: 10 }, () => users.save(path)))
  t.ok(isWhole(await readFile(path, 'utf8')))
})

await t.test('files that lie there already make the saved sessions readable for nobody else', async (t) => {
  const folder = t.testdir({ 'old.jsonl': 'from before', 'old.jsonl.partial': 'left over' })
  for (const name of await readdir(folder)) await chmod(join(folder, name), 0o666)
  await users.save(pathToFileURL(join(folder, 'old.jsonl')))
  t.equal((await stat(join(folder, 'old.jsonl'))).mode & 0o777, 0o600)
  t.equal(await readFile(join(folder, 'old.jsonl.partial'), 'utf8'), 'left over', 'which is somebody else\'s')
})

await t.test('a link is followed: what it leads to is replaced, or made', async (t) => {
  const folder = t.testdir({ volume: { 'target.jsonl': 'of yesterday' } })
  await mkdir(join(folder, 'links'))
  await symlink('../volume', join(folder, 'links', 'folder'))
  for (const target of ['target.jsonl', 'new.jsonl']) {
    const [link, second] = [join(folder, 'links', `to-${target}`), join(folder, 'links', `again-to-${target}`)]
    await symlink(`folder/../volume/${target}`, link)
    await symlink(`to-${target}`, second)
    await users.save(second)
    t.ok(isWhole(await readFile(join(folder, 'volume', target), 'utf8')), target)
    t.equal(await readlink(link), `folder/../volume/${target}`)
    t.equal(await readlink(second), `to-${target}`)
  }
  t.same((await readdir(join(folder, 'volume'))).sort(), ['new.jsonl', 'target.jsonl'])
  await symlink('round', join(folder, 'round'))
  await t.rejects(users.save(join(folder, 'round')), { code: 'ELOOP' })
})

await t.test('what is no regular file is written to and stays what it is', { skip: process.platform === 'win32' }, async (t) => {
  const folder = t.testdir()
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const [read] = await Promise.all([text(createReadStream(fifo)), users.save(fifo)])
  t.ok(isWhole(read))
  t.ok((await lstat(fifo)).isFIFO())
  const device = join(folder, 'null')
  await symlink('/dev/null', device)
  t.same(await users.save(device), { sessions: count, damaged: 0 })
  t.ok((await stat('/dev/null')).isCharacterDevice())
  await t.rejects(users.save(folder), { code: 'EISDIR' })
  t.same((await readdir(folder)).sort(), ['fifo', 'null'])
})

await t.test('a saving onto a FIFO that nobody reads can be stopped', { skip: process.platform === 'win32' }, async (t) => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const controller = new AbortController()
  const saving = users.save(fifo, { signal: controller.signal })
  setImmediate(() => controller.abort())
  await t.rejects(saving, { name: 'AbortError' })
  // Let the file that is still being opened be closed.
  await text(createReadStream(fifo))
})
