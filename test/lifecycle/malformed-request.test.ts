import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { assertNoOpenSessions, memoryStore } from '../../lib/index.js'
import { SpyStore } from '../support/spy-store.js'
import { tokenApp } from '../support/token-app.js'

t.test('requests before a malformed one on their connection, which is closed for that: no session stays open', async (t) => {
  const store = new SpyStore(memoryStore())
  const { app } = await tokenApp(t, { store }, (app) => {
    app.get('/', async (request) => (await request.session).increment('visits'))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const whole = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  for (const count of [1, 5, 20]) {
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {}).resume()
    socket.write(`${whole.repeat(count)}GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n`)
    await once(socket, 'close')
    await assertNoOpenSessions(app, { within: 500 })
  }
  t.equal(store.take().includes('create'), true, 'their work is kept')
})
