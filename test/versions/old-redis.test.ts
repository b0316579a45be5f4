import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { appWithLog } from '../support/booted-app.js'
import { runCommand } from '../support/cli.js'
import type { OwnServer } from '../support/servers/own-server.js'
import { redisProgram, startRedis } from '../support/servers/redis.js'
import { withServer } from '../support/servers/require.js'

const unsupported = { code: 'FST_SESSION_STORE_UNSUPPORTED' }

function clientOf (t: Test, server: OwnServer): Redis {
  const client = new Redis(server.url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

t.test('Redis 6.2, which cannot run the scripts', async (t) => {
  const server = await withServer(t, async () => startRedis({ program: redisProgram('Redis 6.2') }))
  if (!server) return

  await t.test('stops the boot', async (t) => {
    const { boot, messages } = appWithLog(t, redisStore(clientOf(t, server)))
    await t.rejects(boot(), { ...unsupported, cause: { message: /^the server is Redis 6\.2\.\d+: the store needs Redis 7, or Valkey$/ } })
    t.strictSame(messages, [])
  })

  await t.test('is refused by each call that writes, where no plugin has looked at it', async (t) => {
    const client = clientOf(t, server)
    const users = tokenSessions<{ n: number }>({ store: redisStore(client), secret: 'x'.repeat(32) })
    t.teardown(() => users.close())
    await t.rejects(users.create({ data: { n: 1 } }), unsupported)
    await t.rejects(users.create({ subject: 'ada' }), unsupported)
    await t.rejects(users.end({ name: 'ada' }), unsupported)
    t.equal(await client.dbsize(), 0, 'nothing was written')
  })

  await t.test('is shown by the doctor', async (t) => {
    t.match(await runCommand(['doctor', '--redis', server.url]), {
      code: 1,
      stdout: /^WRONG {2}access {4}not known: the server cannot run the scripts\nok {5}cluster.*\nWRONG {2}server {4}Redis 6\.2\.\d+ at .*: the store needs version 7 or newer\n/,
    })
  })

  for (const onStoreError of ['fail', 'anonymous'] as const) {
    await t.test(`was away at boot, onStoreError: '${onStoreError}': the log says so once it is there, and no change is lost in silence`, async (t) => {
      await server.kill()
      const store = redisStore(clientOf(t, server), { timeout: 200 })
      const { app, boot, next, messages } = appWithLog(t, store)
      await boot((app) => {
        app.get('/', { config: { session: { onStoreError } } as object }, async (request) => {
          const session = await Reflect.get(request, 'session') as TokenSession
          session.increment('visits')
          return 'kept'
        })
      })
      t.match(messages, [/^the server of the session store does not describe itself: /])
      const told = next(/^the session store cannot be used$/)
      await server.restart()
      t.match(await told, { level: 50, err: { ...unsupported, stack: /the server is Redis 6\.2/ } })
      const reply = await app.inject('/')
      t.match(reply.json(), { statusCode: 500, ...unsupported })
      t.notOk(reply.headers['set-cookie'])
    })
  }
})
