import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import requestSession, { getSession, memoryStore, redisStore, tokenSessions, type TokenSessionOptions } from '../../lib/index.js'

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
  ['commitWhen', [true, 'always', null, {}], 'a function'],
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
  for (const options of [null, 'x', 1, [], () => {}]) t.throws(() => tokenSessions(options as never), says('tokenSessions()', 'options must be an object', ''))
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
    await t.rejects(async () => app.ready(), says('config.session of GET|PUT /api/x', `unknown option '${name}'`, 'allowed: ttl, maxAge, load, onStoreError'))
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

t.test('the plugin: a wrong option stops the app from booting', async (t) => {
  const cases: Array<[string, unknown[], string]> = [
    ['name', ['', 'Session', 'my session', '1a', 'a-b', 5, null], 'a JavaScript identifier'],
    ['provider', [null, {}, 'token', tokenSessions], 'a session provider'],
    ['commit', ['later', null], "'onSend' or 'onResponse'"],
    ['commitWhen', [true, null], 'a function'],
    ['warnAfter', [-1, 1.5, NaN, '5', null, 2 ** 31], 'a whole number of milliseconds'],
  ]
  for (const [name, values, allowed] of cases) {
    for (const value of values) {
      const app = Fastify()
      app.register(requestSession, { [name]: value })
      await t.rejects(async () => app.ready(), says('requestSession', `option ${name} must be`, allowed), name)
    }
  }
  const app = Fastify()
  app.register(requestSession, { ttl: 5 } as never)
  await t.rejects(async () => app.ready(), says('requestSession', "unknown option 'ttl' (5)", 'allowed: '))
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

t.test('an error is short, on one line, and does not give away what is inside of a value', async (t) => {
  const store = { options: { password: 'hunter2' }, padding: 'x'.repeat(10_000) }
  try {
    tokenSessions({ store: store as never })
    t.fail('refused')
  } catch (error) {
    const { message } = error as Error
    t.notOk(message.includes('hunter2'))
    t.notOk(message.includes('\n'))
    t.ok(message.length < 400)
  }
})
