import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { OptionError } from '../errors.js'
import { sessionCaller } from '../core/get-session.js'
import { transactionCaller } from '../core/get-transaction.js'
import { pluginOptions, type RequestSessionOptions } from './options.js'
import { checksAtBoot, claimOf, hasTransactions, isClosing } from '../core/provider.js'
import { Registration } from './registration.js'
import { linkReply, scopeOf, usedScopes } from './settle-request.js'
import { tokenSessions } from '../token/token-sessions.js'
import type { SessionStats } from '../core/open-sessions.js'

/** Where an instance keeps its registrations, for its stats and those of its children. */
const kRegistrations = Symbol('fastify-request-session.registrations')

interface Registered { [kRegistrations]?: Registration[] }

async function requestSession (app: FastifyInstance & Registered, options: RequestSessionOptions): Promise<void> {
  const registrations = app[kRegistrations] ?? addLifecycle(app)
  const registration = new Registration(pluginOptions(options, tokenSessions), registrations.length, app.log)
  const others = registrations.slice()
  registrations.push(registration)
  const { name } = registration

  app.decorateRequest(name, { getter (this: FastifyRequest) { return scopeOf(this, registration).session } })
  app.decorateRequest(`${name}Scope`, { getter (this: FastifyRequest) { return scopeOf(this, registration) } })
  const getName = `get${name[0]?.toUpperCase()}${name.slice(1)}`
  app.decorate(getName, sessionCaller(registration, `app.${getName}()`))

  const { provider } = registration.options
  refuseSharedPlace(registration, others)
  if (checksAtBoot(provider)) await provider.checkAtBoot()
  if (hasTransactions(provider)) app.decorate(`${getName}Transaction`, transactionCaller(registration, `app.${getName}Transaction()`))

  const early = earlyLoader(registration)
  app.addHook('onRoute', function configureRoute (route: RouteOptions) {
    const settings = registration.configure(route)
    route.config = { ...route.config, [registration.key]: settings }
    if (settings.opener?.early && !registration.defaults.opener?.early) route.onRequest = [early, ...list(route.onRequest)]
  })
  if (registration.defaults.opener?.early) app.addHook('onRequest', early)
  app.addHook('onClose', async function drain () {
    await registration.drain()
    if (isClosing(provider)) await provider.close()
  })
}

/** Two providers that use one cookie would end each other's sessions in silence. */
function refuseSharedPlace (registration: Registration, others: readonly Registration[]): void {
  const { provider } = registration.options
  const claim = claimOf(provider)
  const other = others.find(({ options }) => claim !== undefined && options.provider !== provider && claimOf(options.provider) === claim)
  if (other === undefined) return
  throw new OptionError('requestSession', `${registration.name} and ${other.name} would use the same ${claim}: give one of them a transport with a name of its own`)
}

/** For the test helper. */
export function registrationsOf (app: FastifyInstance & Registered): readonly Registration[] {
  return app[kRegistrations] ?? []
}

/** The hooks that all registrations of one instance share, in the order of a request's life. */
function addLifecycle (app: FastifyInstance & Registered): Registration[] {
  const registrations: Registration[] = []
  app.decorate<Registration[]>(kRegistrations, registrations)
  app.decorate('sessionStats', function sessionStats (): Record<string, SessionStats> {
    return Object.fromEntries(registrations.map(({ name, tracker }) => [name, tracker.stats()]))
  })
  app.addHook('onRequest', link)
  app.addHook('onError', markFailed)
  app.addHook('onSend', settleNotFound)
  app.addHook('onRoute', function settleLast (route: RouteOptions) { route.onSend = [...list(route.onSend), settle] })
  return registrations
}

function link (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  linkReply(request, reply)
  done()
}

/** Opens and awaits the session before the handler, where the route or the provider says `load: 'onRequest'`. */
function earlyLoader (registration: Registration) {
  return function loadEarly (request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
    const scope = scopeOf(request, registration)
    if (scope.settings.opener?.early) scope.load().then(() => done(), done)
    else done()
  }
}

function markFailed (request: FastifyRequest, _reply: FastifyReply, error: Error, done: () => void): void {
  usedScopes(request)?.fail(error)
  done()
}

/** The last onSend hook of each route: the headers leave next. */
function settle (request: FastifyRequest, _reply: FastifyReply, payload: unknown, done: HookHandlerDoneFunction): void {
  const scopes = usedScopes(request)
  if (scopes === undefined) done()
  else scopes.leave(payload, done)
}

/** The same for the not-found handler, which is no route and takes only the instance's hooks. */
function settleNotFound (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: HookHandlerDoneFunction): void {
  if (request.is404) settle(request, reply, payload, done)
  else done()
}

function list<T> (hooks: T | T[] | undefined): T[] {
  return hooks === undefined ? [] : [hooks].flat() as T[]
}

export default fp(requestSession, { fastify: '5.x', name: 'fastify-request-session' })
