import { Readable } from 'node:stream'
import t from 'tap'
import { ravenSessions } from '../../lib/index.js'
import { deadlinesOf } from '../../lib/util/call-timeouts.js'
import { barrier } from '../support/barrier.js'
import { documentsApp, statsOf } from '../support/ravendb/app.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

t.test('attachments that are streams', async (t) => {
  let saves = 0
  const database = await ravenDatabaseForTest(t, (store) => {
    store.addSessionListener('beforeRequest', ({ url }) => { if (url.includes('/bulk_docs')) saves++ })
  })
  if (!database) return
  const { store } = database
  // No other test has it, so that its deadlines are those of this one.
  const commitTimeout = 54_321

  async function appWith (t: Parameters<typeof documentsApp>[0], source: () => Readable) {
    const app = await documentsApp(t, ravenSessions(store, { commitTimeout }))
    app.put('/:id', async ({ documents, params }) => {
      const { id } = params as { id: string }
      await documents.store({ text: 'with a file' }, id)
      documents.advanced.attachments.store(id, 'file', source(), 'text/plain')
      return 'saved'
    })
    return app
  }

  async function exists (id: string): Promise<boolean> {
    return store.openSession().advanced.exists(id)
  }

  await t.test('a source that breaks is no fault of the database, and nothing is sent', async (t) => {
    const broken = Object.assign(new Error('the source broke'), { statusCode: 413 })
    const sources = {
      throws: () => Readable.from((function * () {
        yield Buffer.from('half')
        throw broken
      })()),
      'breaks off': () => new Readable({ read () { this.destroy() } }),
    }
    for (const [name, source] of Object.entries(sources)) {
      const app = await appWith(t, source)
      saves = 0
      const reply = await app.inject({ method: 'PUT', url: '/broken' })
      t.equal(reply.statusCode, name === 'throws' ? 413 : 500, name)
      t.notMatch(reply.json<{ code?: string }>().code, /^FST_SESSION/, name)
      t.match(statsOf(app), { unknown: 0, rolledBack: 1, open: 0 }, name)
      t.equal(saves, 0, 'the server was not asked')
      t.notOk(await exists('broken'), name)
    }
  })

  await t.test('the deadline runs from when the save is sent, and not while a source is read', async (t) => {
    const end = barrier()
    const read = barrier()
    const app = await appWith(t, () => Readable.from((async function * () {
      yield Buffer.from('slow ')
      read.open()
      await end.opened
      yield Buffer.from('upload')
    })()))
    const running = deadlinesOf(commitTimeout)
    const deadlines = t.capture(running, 'limit', running.limit)
    const replied = app.inject({ method: 'PUT', url: '/slow' })
    await read.opened
    const whileRead = deadlines().length
    end.open()
    t.equal((await replied).statusCode, 200)
    t.same([whileRead, deadlines().length], [0, 1])
    const attachment = await store.openSession().advanced.attachments.get('slow', 'file')
    t.equal(attachment?.details.size, 'slow upload'.length)
    attachment?.data.destroy()
    t.match(statsOf(app), { committed: 1, unknown: 0, open: 0 })
  })
})
