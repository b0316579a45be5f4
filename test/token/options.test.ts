import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import requestSession, {
  cookieTransport, getSession, memoryStore, neo4jSessions, ravenSessions, redisStore, tokenSessions, type TokenSessionOptions,
} from '../../lib/index.js'

const seconds = 'a whole number of seconds from 1 to 2147483647, or null for never'
const badSeconds = [0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, 1e21, '60', '', true, {}, [], 60n, Symbol('s'), new Date()]

/** Options with values that are not allowed, and the words that say what is. */
const wrong: Array<[string, readonly unknown[], string]> = [
  ['ttl', badSeconds, seconds],
  ['maxAge', badSeconds, seconds],
  ['load', ['onrequest', 'eager', true, null, 1], "'lazy' or 'onRequest'"],
  ['onStoreError', ['ignore', 'Anonymous', true, null], "'fail' or 'anonymous'"],
]
const wrongOfProvider: typeof wrong = [
  ...wrong,
  ['deleteSession', ['no', 0, 1, null], 'true or false'],
  ['token', ['uint32', 'UINT64', 64, null, 'constructor'], "'random256' or 'uint64'"],
  ['store', [null, {}, 'redis', { load () {} }, () => {}, memoryStore], 'a session store such as memoryStore()'],
  ['transport', [null, {}, 'cookie', { read () {} }], 'a transport such as cookieTransport()'],
]
const wrongOfRoute: typeof wrong = [
  ...wrong,
  ['commit', ['onsend', 'never', true, null], "'onSend' or 'onResponse'"],
  ['commitWhen', [true, 'always', null, {}], 'a synchronous function'],
]
const unknown = { Ttl: 1, maxage: 1, expires: 1, cookie: {}, secrets: 'x', __proto: 1, constructor: 1, toString: 'x' }

/** What an error has to say. */
function says (where: string, name: string, allowed: string): { name: string, code: string, message: RegExp } {
  return { name: 'FastifyError', code: 'FST_SESSION_OPTION', message: new RegExp(`^${escape(where)}.*${escape(name)}.*${escape(allowed)}.*`, 's') }
}

function escape (text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

t.test('tokenSessions(): a wrong option is refused when it is made', async (t) => {
  for (const [name, values, allowed] of wrongOfProvider) {
    for (const value of values) t.throws(() => tokenSessions({ [name]: value }), says('tokenSessions()', `option ${name} must be`, `${allowed}`), name)
  }
  for (const [name, value] of Object.entries(unknown)) {
    t.throws(() => tokenSessions({ [name]: value } as TokenSessionOptions), says('tokenSessions()', `unknown option '${name}'`, 'allowed: ttl, maxAge, load, onStoreError, store'), name)
  }
  for (const options of [null, 'x', 1, [], () => {}, new Map(), new Date(), Promise.resolve({ ttl: 5 })]) t.throws(() => tokenSessions(options as never), says('tokenSessions()', 'options must be an object', ''))
})

t.test('a route: a wrong option stops the app from booting, and names the route', async (t) => {
  for (const [name, values, allowed] of wrongOfRoute) {
    for (const value of values) {
      const app = Fastify()
      await app.register(requestSession)
      t.throws(() => app.post('/people/:id', { config: { session: { [name]: value } } }, async () => ''),
        says('config.session of POST /people/:id', `option ${name} must be`, allowed), name)
      await app.close()
    }
  }
  for (const [name, value] of Object.entries(unknown)) {
    const app = Fastify()
    await app.register(requestSession)
    app.register(async (app) => { app.route({ method: ['GET', 'PUT'], url: '/x', config: { session: { [name]: value } }, handler: async () => '' }) }, { prefix: '/api' })
    await t.rejects(async () => app.ready(), says('config.session of GET|PUT /api/x', `unknown option '${name}'`, 'allowed: ttl, maxAge, load, onStoreError, required, fresh, commit, commitWhen'))
  }
  for (const config of [true, 'x', 1, null]) {
    const app = Fastify()
    await app.register(requestSession)
    t.throws(() => app.get('/', { config: { session: config as never } }, async () => ''), says('config.session of GET /', 'must be an object of options, or false', ''))
  }
})

t.test('a call of getSession(): a wrong option is its rejection', async (t) => {
  const provider = tokenSessions()
  for (const options of [{ ttl: 0 }, { maxAge: '1' }, { token: '' }, { token: 5 }, { load: 'lazy' }, { Ttl: 5 }, 'x']) {
    await t.rejects(getSession(provider, null, () => {}, options as never), { code: 'FST_SESSION_OPTION', message: /^getSession\(\): / })
  }
})

t.test('list() and endAll(): a filter that is no object is refused', async (t) => {
  const users = tokenSessions()
  for (const filter of [null, 5, []]) {
    t.throws(() => users.list(filter as never), { code: 'FST_SESSION_OPTION', message: /^list\(\): options must be an object/ })
    await t.rejects(users.endAll(filter as never), { code: 'FST_SESSION_OPTION', message: /^endAll\(\): options must be an object/ })
  }
})

t.test('the plugin: a wrong option stops the app from booting', async (t) => {
  const cases: Array<[string, unknown[], string]> = [
    ['name', ['', 'Session', 'my session', '1a', 'a-b', 5, null], 'a JavaScript identifier'],
    ['provider', [null, {}, 'token', tokenSessions], 'a session provider'],
    ['commit', ['later', null], "'onSend' or 'onResponse'"],
    ['commitWhen', [true, null], 'a synchronous function'],
    ['warnAfter', [-1, 1.5, NaN, '5', null, 2 ** 31], 'a whole number of milliseconds'],
  ]
  for (const [name, values, allowed] of cases) {
    for (const value of values) {
      const app = Fastify()
      app.register(requestSession, { [name]: value })
      await t.rejects(async () => app.ready(), says('requestSession', `option ${name} must be`, allowed), name)
    }
  }
  const byFunction = Fastify()
  byFunction.register(requestSession, () => undefined as never)
  await byFunction.ready()
  await byFunction.close()
  const app = Fastify()
  app.register(requestSession, { ttl: 5 } as never)
  await t.rejects(async () => app.ready(), says(
    'requestSession', "unknown option 'ttl'; allowed: commit, ", '. It belongs to tokenSessions(): write provider: tokenSessions({ ttl: … })'))
  const cookie = Fastify()
  cookie.register(requestSession, { secure: true } as never)
  await t.rejects(async () => cookie.ready(), says('requestSession', "unknown option 'secure'", '. It belongs to cookieTransport(): write tokenSessions({ transport: cookieTransport({ secure: … }) })'))
  t.throws(() => tokenSessions({ sameSite: 'lax' } as never), says('tokenSessions()', "unknown option 'sameSite'", '. It belongs to cookieTransport(): '))
  const provider = Fastify()
  provider.register(requestSession, tokenSessions() as never)
  await t.rejects(async () => provider.ready(), { code: 'FST_SESSION_OPTION', message: 'requestSession: got a provider in place of options: write { provider: … }' })
  const mistaken = Fastify()
  mistaken.register(requestSession, { tll: 5 } as never)
  await t.rejects(async () => mistaken.ready(), { message: /unknown option 'tll'; allowed: [a-zA-Z, ]+$/ })
})

t.test('the stores', async (t) => {
  for (const maxSessions of [0, -1, 1.5, NaN, Infinity, '5', null, true]) {
    t.throws(() => memoryStore({ maxSessions: maxSessions as number }), says('memoryStore()', 'option maxSessions must be', 'a whole number of sessions from 1'))
  }
  t.throws(() => memoryStore({ max: 5 } as never), says('memoryStore()', "unknown option 'max'", 'maxSessions'))
  const client = new Redis({ lazyConnect: true })
  for (const timeout of [0, -1, 1.5, NaN, 2 ** 31, '5', null]) t.throws(() => redisStore(client, { timeout: timeout as number }), says('redisStore()', 'option timeout must be', 'a whole number of milliseconds from 1'))
  for (const prefix of ['', 1, null]) t.throws(() => redisStore(client, { prefix: prefix as string }), says('redisStore()', 'option prefix must be', 'a non-empty string'))
  t.throws(() => redisStore(client, { ttl: 5 } as never), says('redisStore()', "unknown option 'ttl'", 'prefix, timeout'))
  for (const not of [undefined, null, {}, 'redis://localhost', { host: 'localhost', password: 'hunter2' }]) {
    t.throws(() => redisStore(not as never), says('redisStore()', 'the first argument must be', 'ioredis'))
  }
  client.disconnect()
})

t.test('the caller\'s objects are not written to, may be frozen, and undefined is as if it were not there', async (t) => {
  const options = Object.freeze({ ttl: undefined, maxAge: undefined, load: undefined, onStoreError: undefined, store: undefined, deleteSession: undefined, token: undefined, transport: undefined })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(requestSession, Object.freeze({ provider: tokenSessions(options), name: undefined, commit: undefined, commitWhen: undefined, warnAfter: undefined }))
  const config = Object.freeze({ session: Object.freeze({ ttl: 5, load: undefined }) })
  app.get('/', { config }, async (request) => (await request.session).ttl)
  t.equal((await app.inject('/')).body, '5')
})

/** Long enough to be a secret, and a password in each way to write it down. */
const secret = 'hunter2-hunter2-hunter2-hunter2-hunter2'
const token = 18446744073709551557n
class Client { readonly options = { password: secret } }

t.test('an error is short, on one line, and shows nothing of a value that may be a secret', async (t) => {
  const users = tokenSessions({ token: 'uint64', secret })
  const driver = { session: () => ({}), verifyConnectivity: async () => {}, close: async () => {} }
  const misuses: Array<[string, () => unknown]> = [
    ['a store with its client\'s options', () => tokenSessions({ store: { options: { password: secret }, padding: 'x'.repeat(10_000) } as never })],
    ['a store that is a URL', () => tokenSessions({ store: `redis://:${secret}@redis:6379` as never })],
    ['a store that is a client', () => tokenSessions({ store: new Client() as never })],
    ['a misspelt option', () => tokenSessions({ secrets: secret } as never)],
    ['a secret that is too short', () => tokenSessions({ secret: 'hunter2' })],
    ['a secret in a list', () => tokenSessions({ secret: [secret, 'hunter2'] })],
    ['a secret in the place of the form', () => tokenSessions({ token: secret as never })],
    ['a token in the place of the form', () => tokenSessions({ token: String(token) as never })],
    ['a secret in the place of the options', () => tokenSessions(secret as never)],
    ['a secret in the place of a transport', () => tokenSessions({ transport: [secret] as never })],
    ['a Redis client\'s options', () => redisStore({ host: 'redis', password: secret } as never)],
    ['a Redis\' URL', () => redisStore(`redis://:${secret}@redis` as never)],
    ['a prefix', () => redisStore(new Redis({ lazyConnect: true }), { prefix: { secret } as never })],
    ['a driver', () => neo4jSessions({ uri: 'neo4j://db', password: secret } as never)],
    ['a driver\'s URL', () => neo4jSessions(`neo4j://neo4j:${secret}@db` as never)],
    ['an auth without a scheme', () => neo4jSessions(driver as never, { auth: { principal: 'neo4j', credentials: secret } } as never)],
    ['a config', () => neo4jSessions(driver as never, secret as never)],
    ['a document store', () => ravenSessions({ urls: [], authOptions: { password: secret } } as never)],
    ['a document store\'s URL', () => ravenSessions(`https://${secret}@db` as never)],
    ['a bigint token of getSession()', () => getSession(users, null, () => 'x', { token: token as never })],
    ['a numeric token of getSession()', () => getSession(users, null, () => 'x', { token: Number(token) as never })],
    ['a bigint token of end()', () => users.end({ token: token as never })],
    ['a bigint of end()', () => users.end(token as never)],
    ['a misspelt address', () => users.end({ tokn: String(token) } as never)],
    ['a name that is no text', () => users.create({ name: { secret } as never })],
    ['a name that is too long', () => users.create({ name: secret.repeat(10) })],
    ['a subject', () => users.create({ subject: [secret] as never })],
    ['data', () => users.create({ data: [secret] as never })],
    ['a filter', () => users.list({ subject: undefined, name: secret } as never).next()],
    ['a cookie\'s option', () => cookieTransport({ domain: { secret } as never })],
    ['a plugin\'s option', () => Fastify().register(requestSession, { secret } as never).ready()],
    ['a route\'s config', async () => {
      const app = Fastify()
      await app.register(requestSession)
      app.get('/', { config: { session: secret as never } }, async () => '')
    }],
    ['a key', async () => (await users.create()).set({ secret } as never, 1)],
    ['a key that is a text', async () => (await users.create()).set(`\ud800${secret}`, 1)],
    ['a value', async () => (await users.create()).set('a', Object.assign([], { secret }))],
    ['a value to increment', async () => (await users.create({ data: { a: secret } })).increment('a')],
    ['an amount', async () => (await users.create()).increment('a', { secret } as never)],
    ['an idle time', async () => (await users.create()).expire({ secret } as never)],
  ]
  for (const [name, misuse] of misuses) {
    const error = await new Promise((resolve) => { resolve(misuse()) }).then(() => undefined, (error: unknown) => error)
    t.match(error, { code: /^FST_SESSION_/ }, name)
    const { message } = error as Error
    t.notMatch(message, /hunter2|18446744|\n/, `${name}: ${message}`)
    t.ok(message.length < 400)
  }
})

t.test('an error names the type that was given, and shows a value that is harmless', async (t) => {
  const got = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      return (error as Error).message.replace(/^.*; got /, '')
    }
    return ''
  }
  const types: Array<[unknown, string]> = [
    [undefined, 'undefined'], [null, 'null'], [true, 'true'], ['', 'an empty string'], ['x', 'a string of 1 character'], ['secret', 'a string of 6 characters'],
    [1.5, 'a number'], [NaN, 'NaN'], [-Infinity, '-Infinity'], [1n, 'a bigint'], [Symbol('secret'), 'a symbol'], [() => 'secret', 'a function'], [Client, 'a function'],
    [[1, 2, 3], 'an Array of 3'], [{ secret }, 'an object'], [Object.create(null), 'an object'], [new Client(), 'an instance of Client'], [new Map(), 'an instance of Map'],
    [Object.create({}), 'an object with a prototype of its own'], [{ constructor: { name: secret } }, 'an object'],
  ]
  for (const [value, type] of types) t.equal(got(() => neo4jSessions(value as never)), type)
  const harmless: Array<[unknown, string]> = [
    [1.5, '1.5'], [-0, '-0'], [NaN, 'NaN'], ['60', "'60'"], ['', "''"], [false, 'false'], [secret.repeat(2), 'a string of 78 characters'], [{ secret }, 'an object'], [5n, 'a bigint'],
  ]
  for (const [value, shown] of harmless) t.equal(got(() => tokenSessions({ ttl: value as number })), shown)
  t.equal(got(() => tokenSessions({ load: 'early' as never })), "'early'")
})
