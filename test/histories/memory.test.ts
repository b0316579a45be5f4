import t from 'tap'
import { memoryStore } from '../../lib/index.js'
import { historyCount, ignoreWarnings } from '../support/histories/count.js'
import { delayedSides, findFaults } from '../support/histories/in-one-process.js'

ignoreWarnings()
t.test(`${historyCount} histories in memory obey the laws of a session`, async (t) => {
  const store = memoryStore({ maxSessions: 1_000_000 })
  t.strictSame(await findFaults((seed) => delayedSides(store, seed), 0, historyCount, 3), [])
})
