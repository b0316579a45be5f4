import t from 'tap'
import { cached, memoryStore } from '../../../lib/index.js'
import { readingTwice } from '../../support/cache-stage.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'

const tick = fakeClock(t)
await conforms(t, { abilities: ['list', 'subjects', 'restore', 'watch', 'track', 'lease'], create: () => memoryStore(), advance: tick })

await t.test('behind a cache', async (t) => {
  await conforms(t, { abilities: ['list', 'subjects', 'restore', 'watch', 'track', 'lease'], create: () => readingTwice(cached(memoryStore())), advance: tick })
})
