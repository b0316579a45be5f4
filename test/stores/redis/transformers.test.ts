import { Cluster, Command, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redisStore, type RedisClient } from '../../../lib/index.js'
import { appWithLog } from '../../support/booted-app.js'

/** A client that does not connect. */
function clientOf (t: Test, make: () => Redis | Cluster): RedisClient {
  const client = make()
  t.teardown(() => { client.disconnect() })
  return client
}

const clients: Record<string, () => Redis | Cluster> = {
  'a Redis': () => new Redis({ lazyConnect: true }),
  'with a keyPrefix': () => new Redis({ lazyConnect: true, keyPrefix: 'app:' }),
  'with a keyPrefix of bytes': () => new Redis({ lazyConnect: true, keyPrefix: Buffer.from('app:') as unknown as string }),
  'with auto-pipelining': () => new Redis({ lazyConnect: true, enableAutoPipelining: true }),
  'a Cluster': () => new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true }),
}

type Transform = (value: never) => unknown

/** Sets a transformer of the process until the test is over. */
function transform (t: Test, method: 'setReplyTransformer' | 'setArgumentTransformer', name: string, transformer: Transform): void {
  const transformers = Reflect.get(Command, '_transformer') as Record<'reply' | 'argument', Record<string, Transform | undefined>>
  const of = transformers[method === 'setReplyTransformer' ? 'reply' : 'argument']
  const former = of[name]
  Command[method](name, transformer as never)
  t.teardown(() => { if (former === undefined) delete of[name]; else of[name] = former })
}

const toMap = (flat: unknown[]): unknown => new Map(flat.map((key, i) => [key, flat[i + 1]]))
const parsed = (reply: unknown): unknown => typeof reply === 'string' ? JSON.parse(reply) : reply
const numbers = (reply: unknown): unknown => typeof reply === 'string' && /^\d+$/.test(reply) ? Number(reply) : reply

const replies: Array<[command: string, to: string, Transform]> = [
  ['hgetall', 'a Map', toMap],
  ['hgetall', 'the flat list', (reply) => reply],
  ['hgetall', 'parsed values', (flat: string[]) => ({ '': flat[1], a: JSON.parse(flat[3] ?? '1') as unknown })],
  ['hget', 'parsed JSON', parsed], ['hget', 'bytes', (reply) => typeof reply === 'string' ? Buffer.from(reply) : reply],
  ['evalsha', 'numbers', numbers], ['eval', 'the first part', (reply: unknown) => Array.isArray(reply) ? reply[0] as unknown : reply],
  ['scan', 'its keys', ([, keys]: unknown[]) => keys], ['zscan', 'a Map', toMap], ['hlen', 'a boolean', Boolean], ['pttl', 'a text', String],
  ['info', 'an object', (text: string) => Object.fromEntries(text.split('\r\n').map((line) => line.split(':')))],
]
const calls: Array<[command: string, to: string, Transform]> = [
  ['hgetall', 'a key of a tenant', ([key]: string[]) => [`tenant:${key}`]],
  ['evalsha', 'another number of keys', (args: string[]) => args.slice(1)],
  ['zrem', 'one member', (args: string[]) => args.slice(0, 2)],
  ['subscribe', 'other channels', (channels: string[]) => channels.map((channel) => `tenant:${channel}`)],
]

for (const [kind, make] of Object.entries(clients)) {
  t.test(`${kind}: what ioredis itself transforms is no reason to refuse it`, async (t) => {
    t.doesNotThrow(() => redisStore(clientOf(t, make)))
  })

  for (const [command, to, transformer] of replies) {
    t.test(`${kind}: a transformer of replies is refused: ${command} to ${to}`, async (t) => {
      transform(t, 'setReplyTransformer', command, transformer)
      t.throws(() => redisStore(clientOf(t, make)), { code: 'FST_SESSION_OPTION', message: `redisStore(): the client changes the reply of ${command}, which the store sends: remove Command.setReplyTransformer('${command}', …)` })
    })
  }

  for (const [command, to, transformer] of calls) {
    t.test(`${kind}: a transformer of arguments is refused: ${command} to ${to}`, async (t) => {
      transform(t, 'setArgumentTransformer', command, transformer)
      t.throws(() => redisStore(clientOf(t, make)), { code: 'FST_SESSION_OPTION', message: `redisStore(): the client changes the arguments of ${command}, which the store sends: remove Command.setArgumentTransformer('${command}', …)` })
    })
  }
}

t.test('transformers of other commands, and those that change nothing, are no reason to refuse a client', async (t) => {
  transform(t, 'setReplyTransformer', 'get', parsed)
  transform(t, 'setReplyTransformer', 'hmget', toMap)
  transform(t, 'setArgumentTransformer', 'hset', ([key, ...rest]: unknown[]) => [`tenant:${String(key)}`, ...rest])
  const seen: unknown[] = []
  transform(t, 'setReplyTransformer', 'evalsha', (reply) => { seen.push(reply); return reply })
  t.doesNotThrow(() => redisStore(clientOf(t, clients['a Redis']!)))
  t.ok(seen.length > 0)
})

t.test('a transformer that was set after the store was made stops the boot', async (t) => {
  const store = redisStore(clientOf(t, clients['a Redis']!))
  transform(t, 'setReplyTransformer', 'hgetall', toMap)
  await t.rejects(appWithLog(t, store).boot(), { code: 'FST_SESSION_OPTION', message: /reply of hgetall/ })
})
