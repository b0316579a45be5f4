import t from 'tap'
import type { IDocumentSession } from 'ravendb'
import { ravenSessions } from '../../lib/index.js'
import type { Harness } from '../support/lifecycle/harness.js'
import { runLifecycle } from '../support/lifecycle/run.js'
import { ravenDatabaseForTest } from '../support/servers/require.js'

t.test('every row of the lifecycle, in the database', async (t) => {
  const open = new Set<unknown>()
  const database = await ravenDatabaseForTest(t, (store) => {
    store.on('sessionCreated', ({ session }) => { open.add(session) })
    store.addSessionListener('sessionDisposing', ({ session }) => { open.delete(session) })
  })
  if (!database) return
  const { store } = database

  async function inSession<R> (use: (session: IDocumentSession) => Promise<R>): Promise<R> {
    const session = store.openSession()
    try {
      return await use(session)
    } finally {
      session.dispose()
    }
  }

  const harness: Omit<Harness<IDocumentSession>, 'name' | 'commit' | 'routeOptions'> = {
    provider: ravenSessions(store),
    async work (session, key) {
      await session.store({ worked: true }, key)
    },
    async spoil (session, key) {
      const id = `${key} spoilt`
      await inSession(async (other) => {
        await other.store({ winner: true }, id)
        await other.saveChanges()
      })
      // With the empty change vector the save fails if the document exists.
      await session.store({ winner: false }, id, { changeVector: '' })
    },
    spoiltStatus: 409,
    exists: (key) => inSession((session) => session.advanced.exists(key)),
    async assertNothingOpen (t) {
      t.equal(open.size, 0, 'every session of the store is disposed')
    },
  }

  for (const commit of ['onSend', 'onResponse'] as const) {
    await t.test(`commit: '${commit}'`, async (t) => {
      await runLifecycle(t, { ...harness, name: 'RavenDB', commit } as Harness)
    })
  }
})
