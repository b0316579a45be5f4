import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { redisStore, type TokenSessionOptions } from '../../../lib/index.js'
import type { StoredRecord } from '../../../lib/stores/redis/record-format.js'
import { change, record } from '../../support/records.js'
import { redisPrefix } from '../../support/redis-prefix.js'
import { redisForTest } from '../../support/servers/require.js'
import { setCookies, tokenApp, Visitor, type TokenApp } from '../../support/token-app.js'

interface Stage extends TokenApp { readonly visitor: Visitor, readonly client: Redis, readonly key: string, dump (): Promise<unknown> }

/** A visitor whose session has `n` 1 and `user` "ada", and its key on the server. */
async function stage (t: Test, options: TokenSessionOptions = {}): Promise<Stage | undefined> {
  const server = await redisForTest(t)
  if (!server) return undefined
  const client = new Redis(server.url)
  const prefix = redisPrefix(t, client)
  const { app, log } = await tokenApp(t, { store: redisStore(client, { prefix, timeout: 30_000 }), ...options }, (app) => {
    app.get('/', async (request) => {
      const session = await request.session
      session.set('user', 'ada')
      return { n: session.increment('n') }
    })
    app.get('/read', async (request) => ({ n: (await request.session).get('n') ?? null, user: (await request.session).get('user') ?? null }))
    app.get('/has', async (request) => ({ has: (await request.session).has('n'), user: (await request.session).get('user') ?? null }))
    app.get('/update', async (request) => ({ n: (await request.session).update('n', (n) => n === undefined ? 'none' : n) }))
    app.get('/add', async (request) => ({ added: (await request.session).add('n', 1) }))
  })
  const visitor = new Visitor(app)
  await visitor.get('/')
  const [key = ''] = await client.keys(`${prefix}*`)
  return { app, log, visitor, client, key, dump: async () => [await client.type(key), await client.dump(key).then(String), await client.keys(`${prefix}*`)] }
}

/** Ways in which a record may be damaged behind the store's back. */
const damages: Array<[string, (client: Redis, key: string) => Promise<unknown>]> = [
  ['of a later version', (client, key) => client.hset(key, '', '2 whatever comes then')],
  ['with a description that is no such thing', (client, key) => client.hset(key, '', 'gibberish')],
  ['with an empty description', (client, key) => client.hset(key, '', '')],
  ['with a description that is cut off', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).slice(0, 20))],
  ['with a number that is negative', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).replace('1 ', '1 -'))],
  ['with a ttl that is damaged', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).replace('=', '=5'))],
  ['with a time that no Date holds', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).replace(/^1 \d+/, '1 9000000000000000'))],
  ['with a ttl that no option takes', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).replace(' = ', ' 2147483648 '))],
  ['with a description that is damaged', async (client, key) => client.hset(key, '', (await client.hget(key, '') as string).replace(/ /, ' x'))],
  ['without a description', (client, key) => client.hdel(key, '')],
  ['that is a text', (client, key) => client.set(key, 'text')],
  ['that is a list', async (client, key) => { await client.del(key); await client.rpush(key, 'a') }],
]

for (const [name, damage] of damages) {
  t.test(`a record ${name}: a named 503, or an anonymous visitor; it stays as it is`, async (t) => {
    const set = await stage(t)
    if (!set) return
    const { visitor, client, key, dump } = set
    const { token } = visitor
    await damage(client, key)
    const before = await dump()
    for (const url of ['/read', '/', '/read']) {
      const reply = await visitor.get(url)
      t.match(reply.json(), { statusCode: 503, code: 'FST_SESSION_RECORD' }, url)
      t.strictSame(setCookies(reply), [])
    }
    t.match(set.log.find(({ err }) => err !== undefined), { level: 50, err: { code: 'FST_SESSION_RECORD' } }, 'it is in the log')
    t.strictSame(await dump(), before)
    t.equal(visitor.token, token)
  })

  t.test(`a record ${name}, with onStoreError: anonymous`, async (t) => {
    const set = await stage(t, { onStoreError: 'anonymous' })
    if (!set) return
    const { visitor, client, key, dump, log } = set
    const { token } = visitor
    await damage(client, key)
    const before = await dump()
    t.strictSame((await visitor.get('/read')).json(), { n: null, user: null })
    t.match(log.at(-1), { level: 50, err: { code: 'FST_SESSION_RECORD' }, route: 'GET /read' })
    t.match((await visitor.get('/')).json(), { statusCode: 503, code: 'FST_SESSION_RECORD' }, 'work that is not kept is an error')
    t.strictSame(await dump(), before)
    t.equal(visitor.token, token)
  })
}

t.test('a value that is not JSON: named when it is read, and only then; it stays as it is', async (t) => {
  const set = await stage(t)
  if (!set) return
  const { visitor, client, key, dump, log } = set
  await client.hset(key, 'n', '{torn')
  const before = await dump()
  for (const url of ['/read', '/', '/update']) {
    t.match((await visitor.get(url)).json(), { statusCode: 503, code: 'FST_SESSION_RECORD', message: /^A stored session cannot be read: it is damaged/ }, url)
    t.match(log.at(-1), { level: 50, err: { message: /'n' is not JSON/ } }, url)
  }
  t.strictSame(await dump(), before)
  t.strictSame((await visitor.get('/has')).json(), { has: true, user: 'ada' })
  t.strictSame((await visitor.get('/add')).json(), { added: false })
  t.strictSame(await dump(), before)
})

t.test('a value that is not JSON, with onStoreError: anonymous: from there on the visitor is', async (t) => {
  const set = await stage(t, { onStoreError: 'anonymous' })
  if (!set) return
  const { visitor, client, key, dump, log } = set
  await client.hset(key, 'n', '{torn')
  const before = await dump()
  t.strictSame((await visitor.get('/read')).json(), { n: null, user: null })
  t.match(log.at(-1), { level: 50, err: { code: 'FST_SESSION_RECORD' } })
  for (const url of ['/', '/update']) t.match((await visitor.get(url)).json(), { statusCode: 503, code: 'FST_SESSION_RECORD' }, url)
  t.strictSame(await dump(), before)
  t.strictSame((await visitor.get('/has')).json(), { has: true, user: 'ada' })
})

t.test('the description in Redis: written and rewritten in the same format, by the store and by each script', async (t) => {
  const server = await redisForTest(t)
  if (!server) return
  const client = new Redis(server.url)
  const prefix = `${randomUUID()}:`
  const store = redisStore(client, { prefix, timeout: 30_000 })
  t.teardown(async () => {
    store.close()
    const keys = await client.keys(`${prefix}*`)
    if (keys.length > 0) await client.unlink(...keys)
    await client.quit()
  })
  const description = async (id: string): Promise<string | undefined> =>
    (await client.hget(`${prefix}{${id.charAt(0)}${id.charCodeAt(1) & 3}}${id}`, ''))?.replace(/ 0:[\w-]+=;$/, ' created').replace(/(?<= [01])[\da-f-]{36} /, ' feed ')
  const expiresAt = Date.now() + 60_000
  const plain = record({ fields: new Map([['a', '1']]), createdAt: 1000, expiresAt })

  await store.create('aaa', plain)
  t.equal(await description('aaa'), `1 1000 ${expiresAt} = = 0 = =       created`)
  await store.commit('aaa', change({ set: new Map([['a', '2']]) }))
  t.equal(await description('aaa'), `1 1000 ${expiresAt} = = 0 = =       created`, 'a commit of data alone leaves it')
  await store.watch('aaa', () => {})
  t.equal(await description('aaa'), `1 1000 ${expiresAt} = = 0 feed = =       created`)
  await store.commit('aaa', change({ expiresAt: expiresAt + 5, ttl: 60 }))
  t.equal(await description('aaa'), `1 1000 ${expiresAt + 5} 60 = 0 feed = =       created`)
  await store.replace('aaa', { ...plain, ttl: null, deleteSession: false })
  t.equal(await description('aaa'), `1 1000 ${expiresAt} - = 1 feed = =       created`, 'it stays watched')
  await store.renew('aaa', 'aab', change({ ttl: null }))
  t.equal(await description('aab'), `1 1000 ${expiresAt} - = 1 = =       created`, 'and is not under its new id')

  await store.create('bbb', { ...plain, expiresAt: null, maxAge: 90, name: 'a b', label: 'Firefox on Linux', generation: 'g', subject: 'ada ü' })
  t.match(await description('bbb'), /^1 1000 - = 90 0 = = a%20b Firefox%20on%20Linux g ada%20%C3%BC \d{13}[\w-]{4} - created$/)
  await store.commit('bbb', change({ expiresAt: null, usedAt: 2000, label: null, subject: null }))
  t.equal(await description('bbb'), '1 1000 - = 90 0 = 2000 a%20b  g    created')
  await store.commit('bbb', change({ increment: new Map([['n', 2], ['m', 3]]) }))
  await store.commit('bbb', change({ expect: new Map([['n', '2']]), set: new Map([['n', '7']]) }))
  t.match(await description('bbb'), /^1 1000 - = 90 0 = 2000 a%20b {2}g {4}\d{10}:[\w-]+=;[\w-]+=2,3;$/, 'commits that must not be applied twice are remembered')
  await store.commit('bbb', change({ remove: ['n', 'm'] }))
  const { described, ...stored } = await store.load('bbb') as StoredRecord
  t.strictSame(stored, { ...plain, expiresAt: null, usedAt: 2000, maxAge: 90, name: 'a b', generation: 'g' })
})
