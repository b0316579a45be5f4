import t from 'tap'
import { memoryStore } from '../../../lib/index.js'
import { fakeClock } from '../../support/clock.js'
import { conforms } from '../../support/conformance.js'

const tick = fakeClock(t)
await conforms(t, { abilities: ['list', 'subjects', 'restore', 'watch'], create: () => memoryStore(), advance: tick })
