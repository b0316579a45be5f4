import t from 'tap'
import { memoryStore } from '../../lib/index.js'
import { raceLaws } from '../support/race-laws.js'
import { SpyStore } from '../support/spy-store.js'

// The memory store answers at once, so that two requests would never meet: each call waits for a turn of the event loop.
const store = new SpyStore(memoryStore({ maxSessions: 1_000_000 }))
store.before = () => new Promise((resolve) => { setImmediate(resolve) })
await raceLaws(t, store)
