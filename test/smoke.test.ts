import t from 'tap'
import { answer } from '../lib/index.js'
t.test('x', async (t) => { t.equal(answer, 42) })
