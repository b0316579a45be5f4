import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, type StoreEvent } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { startRedis } from '../../support/servers/redis.js'
import { withServer } from '../../support/servers/require.js'

t.test('what other clients publish on the channel of a session is not taken for an event', async (t) => {
  const server = await withServer(t, startRedis)
  if (!server) return
  const client = new Redis(server.url)
  const store = redisStore(client)
  t.teardown(() => { store.close(); client.disconnect() })
  await store.create('abc', { fields: new Map(), createdAt: 1, expiresAt: null, ttl: undefined, maxAge: undefined, deleteSession: true, name: undefined, generation: undefined, subject: undefined })
  const events: StoreEvent[] = []
  const over = barrier()
  await store.watch('abc', (event) => { events.push(event); if (event.type === 'ended') over.open() })
  for (const text of ['', 'garbage', '5', 'null', '[]', '{}', '[1,2,3]', '["changed","never","a"]', '["changed"]', '["changed","-",5]', '["later"]', '{"0":"ended"}']) {
    await client.publish('session:{a2}abc', text)
  }
  await store.end('abc')
  await over.opened
  t.strictSame(events, [{ type: 'ended', renewed: false }])
})
