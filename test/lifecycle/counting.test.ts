import t from 'tap'
import { fakeProvider, type FakeSession } from '../support/fake-provider.js'
import type { Harness } from '../support/lifecycle/harness.js'
import { runLifecycle } from '../support/lifecycle/run.js'

for (const commits of ['success', 'always'] as const) {
  for (const answers of ['later', 'at-once'] as const) {
    for (const commit of ['onSend', 'onResponse'] as const) {
      const provider = fakeProvider({ commits, answers })
      const harness: Harness<FakeSession> = {
        name: `commits: ${commits}, answers ${answers}, commit: ${commit}`,
        provider,
        commit,
        work: async (session, key) => { session.add(key) },
        exists: async (key) => provider.kept.has(key),
        assertNothingOpen: async () => {}, // the provider is counted in each row
      }
      t.test(harness.name, async (t) => { await runLifecycle(t, harness) })
    }
  }
}
