import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, tokenSessions } from '../../../lib/index.js'
import { bootedApp } from '../../support/booted-app.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'

/** A client of a server, or of a proxy before it, that does not answer `INFO` as Redis does. */
class TightLippedRedis extends Redis {
  edit: (info: string) => string = (info) => info

  override sendCommand (...args: Parameters<Redis['sendCommand']>): unknown {
    const [command] = args
    const { name, resolve } = command
    if (name === 'info') command.resolve = (reply) => { resolve(Buffer.from(this.edit(String(reply)))) }
    return super.sendCommand(...args)
  }
}

const noVersion = 'its version: the store needs Redis 7 or newer, or Valkey'
const noPolicy = 'whether it evicts keys: the maxmemory-policy should be noeviction'
const warning = 'the server of the session store does not tell'

const server = await redisForTest(t)
if (server) {
  for (const [what, edit, told, warned] of [
    ['no version', (info) => info.replace(/^(redis|valkey)_version:.*\r\n/gm, ''), /kept in (Redis|Valkey) unknown, maxmemory-policy noeviction$/, `${warning} ${noVersion}`],
    ['a version that is none', (info) => info.replace(/^(redis|valkey)_version:.*/gm, '$1_version:latest'), / unknown,/, `${warning} ${noVersion}`],
    ['neither maxmemory nor its policy', (info) => info.replace(/^maxmemory(_policy)?:.*\r\n/gm, ''), /maxmemory-policy unknown$/, `${warning} ${noPolicy}`],
    ['nothing', () => '', /kept in Redis unknown, maxmemory-policy unknown$/, `${warning} ${noVersion}; nor ${noPolicy}`],
    ['a limit without a policy', (info) => info.replace(/^maxmemory_policy:.*\r\n/m, '').replace(/^maxmemory:.*/m, 'maxmemory:100'), / unknown$/, `${warning} ${noPolicy}`],
  ] satisfies Array<[string, (info: string) => string, RegExp, string]>) {
    await t.test(`INFO tells ${what}: the log warns, and the store works`, async (t) => {
      const client = new TightLippedRedis(server.url)
      client.edit = edit
      const store = redisStore(client, { prefix: redisPrefix(t, client) })
      const { messages } = await bootedApp(t, store)
      t.match(messages, [told, warned])
      t.equal(messages.length, 2)
      const users = tokenSessions({ store })
      t.ok(await users.exists((await users.create({})).token))
    })
  }

  await t.test('where it is not known whether the server evicts, all sessions are looked at for those of a subject', async (t) => {
    const client = new TightLippedRedis(server.url)
    client.edit = (info) => info.replace(/^maxmemory(_policy)?:.*\r\n/gm, '')
    const prefix = redisPrefix(t, client)
    const users = tokenSessions({ store: redisStore(client, { prefix }) })
    await users.create({ subject: 'ada' })
    await client.unlink(`${prefix}subject:{ada}`)
    t.equal(await users.endAll({ subject: 'ada' }), 1)
  })
}
