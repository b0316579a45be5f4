import t from 'tap'
import { memoryStore } from '../../lib/index.js'
import { ignoreWarnings } from '../support/histories/count.js'
import { faults, faulty } from '../support/histories/faults.js'
import { delayedSides, findFaults } from '../support/histories/in-one-process.js'

/** The most histories until a fault is found. */
const enough = 300

ignoreWarnings()

t.test('the checker finds each fault that is put into a store on purpose', async (t) => {
  for (const [name, fault] of Object.entries(faults)) {
    const store = faulty(memoryStore({ maxSessions: 1_000_000 }), fault, 1)
    const found = await findFaults((seed) => delayedSides(store, seed), 0, enough)
    t.not(found.length, 0, name)
    t.comment(`${name}: ${found[0]?.split('\n', 2).join(' ')}`)
  }
})

t.test('it finds none in the store without them', async (t) => {
  const store = memoryStore({ maxSessions: 1_000_000 })
  t.strictSame(await findFaults((seed) => delayedSides(store, seed), 0, enough), [])
})
