/**
 * A reading room whose readers log in from several devices, see them all, and log any of them out: a login is a session, its
 * subject the account. Each page follows its own session, so that it knows at once what others do to it.
 */
import { EventEmitter } from 'node:events'
import createError from '@fastify/error'
import { Authenticator, Strategy } from '@fastify/passport'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import requestSession, { cookieTransport, memoryStore, tokenSessions, type TokenSession } from 'fastify-request-session'
import { eventStreams } from '../shared/event-streams.js'
import type { Example } from '../shared/example.js'
import { underTheHood, watchStore } from '../shared/hood/under-the-hood.js'
import { logger } from '../shared/logger.js'
import { pages } from '../shared/pages.js'
import { Accounts, type Account, type Role } from './accounts.js'
import { deviceName } from './device-name.js'

const NotEditorError = createError('ROOM_NOT_EDITOR', 'Only editors may pin notes to the board.', 403)
const WrongPasswordError = createError('ROOM_WRONG_PASSWORD', 'That is not your password.', 403)

/** What the session of a login holds. */
type Login = {
  /** The account's id, by which @fastify/passport finds it. */
  passport: string
  role: Role
}

/** @fastify/passport wants the session under this name, and wants it without `await`: `load: 'onRequest'` gives it so. */
const sessionOf = (request: FastifyRequest) => request.session as unknown as TokenSession<Login>

const month = 30 * 86_400
const mostDevices = 3

export interface RoomOptions {
  /** Seconds after a login in which the password may be changed. */
  fresh?: number | undefined
  logger?: FastifyServerOptions['logger'] | undefined
}

export async function buildApp ({ fresh = 60, logger = false }: RoomOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({ logger, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })
  // JSON is what no form of another site can send: that, and the cookie's SameSite=Lax, keep forged requests out.
  app.removeContentTypeParser('text/plain')

  const accounts = new Accounts()
  const board: string[] = []
  /** An event of an account's id: something about its devices may have changed. */
  const changes = new EventEmitter().setMaxListeners(0)

  underTheHood(app, import.meta.url)
  const users = tokenSessions<Login>({
    store: watchStore(memoryStore()),
    ttl: 1800,
    load: 'onRequest',
    maxSessions: mostDevices, // a login beyond it ends the device that was used least recently
    transport: cookieTransport({ persistent: false }),
  })
  await app.register(requestSession, { provider: users })

  const passport = new Authenticator()
  await app.register(passport.initialize())
  await app.register(passport.secureSession())
  passport.registerUserSerializer(async ({ id }: Account) => id)
  passport.registerUserDeserializer(async (id: string) => accounts.find(id) ?? null)
  passport.use('password', new class extends Strategy {
    override async authenticate (request: FastifyRequest): Promise<void> {
      const { name, password } = request.body as { name: string, password: string }
      const account = await accounts.check(name, password)
      if (account === undefined) this.fail()
      else this.success(account)
    }
  }('password'))

  const openStream = eventStreams(app)
  await app.register(pages, { folder: new URL('public/', import.meta.url) })

  const name = { type: 'string', minLength: 1, maxLength: 30, pattern: '^\\S(.*\\S)?$' }
  const password = { type: 'string', minLength: 8, maxLength: 200 }
  const remember = { type: 'boolean', default: false }
  const loggedIn = { session: { required: true } }

  /** Passport has begun a new session under a new token: here it gets what a device needs. */
  function begin (request: FastifyRequest, account: Account, remember: boolean): void {
    const session = sessionOf(request)
    session.subject = account.id
    session.label = deviceName(request.headers['user-agent'])
    session.set('role', account.role)
    session.persist(remember) // else the cookie ends with the browser
    if (remember) session.expire(month)
    request.sessionScope.afterCommit(() => changes.emit(account.id))
  }

  app.post<{ Body: { name: string, password: string, remember: boolean } }>('/api/accounts', {
    schema: { body: objectOf({ name, password }, { remember }) },
  }, async (request, reply) => {
    const account = await accounts.add(request.body.name, request.body.password)
    await request.logIn(account as never)
    begin(request, account, request.body.remember)
    return reply.code(204).send()
  })

  app.post<{ Body: { name: string, password: string, remember: boolean } }>('/api/login', {
    schema: { body: objectOf({ name, password: { type: 'string', maxLength: 200 } }, { remember }) },
    preHandler: passport.authenticate('password', { authInfo: false }),
  }, async (request, reply) => {
    begin(request, accountOf(request), request.body.remember)
    return reply.code(204).send()
  })

  app.post('/api/logout', { config: loggedIn }, async (request, reply) => {
    const session = sessionOf(request)
    const { subject = '' } = session
    session.end()
    request.sessionScope.afterCommit(() => changes.emit(subject))
    return reply.code(204).send()
  })

  app.get('/api/me', async (request) => view(sessionOf(request)))

  app.delete<{ Params: { id: string } }>('/api/devices/:id', { config: loggedIn }, async (request) => {
    const { subject = '' } = sessionOf(request)
    // An id comes from the client: with the subject it ends none but a session of that account.
    const ended = await users.end({ id: request.params.id, subject })
    changes.emit(subject)
    return { ended }
  })

  // "Log out the others."
  app.delete('/api/devices', { config: loggedIn }, async (request) => {
    return { ended: await endOthers(sessionOf(request)) }
  })

  // What an administrator would do: from outside, and in all sessions of the account that are open.
  app.put<{ Body: { role: Role } }>('/api/role', {
    schema: { body: objectOf({ role: { enum: ['editor', 'reader'] } }) },
    config: loggedIn,
  }, async (request, reply) => {
    const account = accountOf(request)
    account.role = request.body.role
    await users.update({ subject: account.id }, (session) => session.set('role', account.role))
    return reply.code(204).send()
  })

  app.post<{ Body: { text: string } }>('/api/notes', {
    schema: { body: objectOf({ text: { type: 'string', minLength: 1, maxLength: 120, pattern: '\\S' } }) },
    config: loggedIn,
  }, async (request, reply) => {
    if (sessionOf(request).get('role') !== 'editor') throw new NotEditorError()
    board.unshift(request.body.text.trim())
    board.splice(4)
    for (const account of changes.eventNames()) changes.emit(account)
    return reply.code(204).send()
  })

  // A login of today is not enough here: it has to be a fresh one.
  app.put<{ Body: { password: string } }>('/api/password', {
    schema: { body: objectOf({ password }) },
    config: { session: { required: true, fresh } },
  }, async (request) => {
    await accounts.setPassword(accountOf(request), request.body.password)
    return { ended: await endOthers(sessionOf(request)) }
  })

  // Logs in anew where one is: the same device, a new session.
  app.post<{ Body: { password: string } }>('/api/login/again', {
    schema: { body: objectOf({ password: { type: 'string', maxLength: 200 } }) },
    config: loggedIn,
  }, async (request, reply) => {
    const isRemembered = sessionOf(request).ttl === month
    const account = await accounts.check(accountOf(request).name, request.body.password)
    if (account === undefined) throw new WrongPasswordError()
    await request.logIn(account as never)
    begin(request, account, isRemembered)
    return reply.code(204).send()
  })

  // What this device is told: the account as it is now, and why its session is over.
  app.get('/api/events', { config: loggedIn }, async (request, reply) => {
    const { token, subject = '', signal } = sessionOf(request)
    await request.sessionScope.commit()
    const stream = openStream(reply)
    const send = async (): Promise<void> => {
      const session = await users.load(token)
      if (session !== undefined) await stream.send('me', await view(session))
    }
    const tellEnd = async (): Promise<void> => {
      await stream.send('over', { why: signal.reason.why })
      stream.end()
    }
    signal.addEventListener('abort', tellEnd)
    changes.on(subject, send)
    const subscription = await users.subscribe({ token }, async ({ type }) => { if (type === 'changed') await send() })
    stream.onEnd(() => {
      subscription?.close()
      changes.off(subject, send)
      changes.emit(subject)
    })
    if (signal.aborted) await tellEnd()
    else await send()
  })

  async function endOthers ({ subject = '', token }: TokenSession<Login>): Promise<number> {
    const ended = await users.endAll({ subject, except: token })
    changes.emit(subject)
    return ended
  }

  /** The account and its devices, as a page of one of them is told. */
  async function view (session: TokenSession<Login>) {
    const account = accounts.find(session.subject ?? '')
    if (account === undefined) return { name: null }
    const devices = []
    for await (const { id, label, createdAt, lastUsedAt, ttl } of users.list({ subject: account.id })) {
      devices.push({ id, label, createdAt, lastUsedAt, isRemembered: ttl === month, isThis: id === session.id })
    }
    devices.sort((a, b) => Number(b.isThis) - Number(a.isThis) || Number(b.lastUsedAt) - Number(a.lastUsedAt))
    const freshFor = (session.freshAt?.getTime() ?? 0) + fresh * 1000 - Date.now()
    return { name: account.name, role: session.get('role') ?? 'reader', devices, mostDevices, board, fresh, freshFor: Math.max(0, freshFor) }
  }

  return app
}

function accountOf (request: FastifyRequest): Account {
  return request.user as unknown as Account
}

function objectOf (required: Record<string, object>, optional: Record<string, object> = {}): object {
  return { type: 'object', properties: { ...required, ...optional }, required: Object.keys(required), additionalProperties: false }
}

/** On the embedded store: accounts and sessions end with the process. */
export async function start (): Promise<Example> {
  return {
    app: await buildApp({ logger }),
    store: 'the embedded store',
    tries: (url) => [
      'Sign up, log in from a second browser (a private window is one), and log it out from the first: its page follows at once.',
      'Take the editor\'s role away in the office: it is gone from all sessions, and both pages know.',
      `In a terminal: curl ${url}/api/login --json '{"name":"NAME","password":"PASSWORD"}' (a device too; a fourth one ends the least used).`,
    ],
  }
}
