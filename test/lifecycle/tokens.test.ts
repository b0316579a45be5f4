import t from 'tap'
import { getSession, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import type { Harness } from '../support/lifecycle/harness.js'
import { runLifecycle } from '../support/lifecycle/run.js'

for (const commit of ['onSend', 'onResponse'] as const) {
  t.test(`every row of the lifecycle, with a session that exists, commit: ${commit}`, async (t) => {
    const store = memoryStore()
    let token = ''
    const tokens = tokenSessions({ store, transport: { read: () => token, write: () => {} } })
    const use = async <R>(callback: (session: TokenSession) => R): Promise<R> => getSession(tokens, null, callback, { token })
    const renew = async (): Promise<void> => {
      token = await getSession(tokens, null, (session) => session.set('there', true).token)
    }
    const harness: Harness<TokenSession> = {
      name: 'token sessions',
      provider: tokens,
      commit,
      work: async (session, key) => { session.set(key, true) },
      spoil: async () => { await use((session) => { session.end() }) },
      spoiltStatus: 409,
      exists: async (key) => use((session) => session.has(key)),
      assertNothingOpen: renew, // nothing is ever held; each row has a session of its own
    }
    await renew()
    await runLifecycle(t, harness)
  })
}
