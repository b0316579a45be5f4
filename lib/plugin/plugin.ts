import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { makeAmbient } from '../core/ambient.js'
import { sessionCaller, transactionCaller, type AnyTransactionProvider } from '../core/get-session.js'
import { canPing, checkPingOptions, type PingOptions, type PingResult, type SessionHealth } from '../core/health.js'
import type { SessionStats } from '../core/open-sessions.js'
import { checksAtBoot, claimsOf, countsOf, hasTransactions, isClosing } from '../core/provider.js'
import { OptionError } from '../errors.js'
import { tokenSessions } from '../token/token-sessions.js'
import { addAmbientHooks } from './ambient.js'
import { keepInConfig, keepLast } from './last-hooks.js'
import { pluginOptions, type RequestSessionOptions } from './options.js'
import { Registration } from './registration.js'
import { closeNotFound, drain, firstHook, lastHooks, markFailed, scopeOf, sessionGetter, settleNotFound } from './settle-request.js'
import { keepTickShapes } from '../util/keep-tick-shapes.js'

/** Set on the instance with the hooks that all registrations share, and so on its children. */
const kHasLifecycle = Symbol('fastify-request-session.hasLifecycle')

async function requestSession (app: FastifyInstance, options: RequestSessionOptions): Promise<void> {
  keepTickShapes()
  if (!app.hasDecorator(kHasLifecycle)) addLifecycle(app)
  const { registrations } = contentsOf(app)
  const registration = new Registration(pluginOptions(options, tokenSessions), registrations, app)
  refuseSameName(registration)
  registrations.push(registration)
  const { name, sessions, options: { provider } } = registration

  app.decorateRequest(name, { getter: sessionGetter(registration) })
  app.decorateRequest(`${name}Scope`, { getter (this: FastifyRequest) { return scopeOf(this, registration) } })
  const getName = `get${name[0]?.toUpperCase()}${name.slice(1)}`
  app.decorate(`${name}Provider`, { getter: () => provider })
  app.decorate(getName, sessionCaller(provider, () => sessions, `app.${getName}()`))
  if (hasTransactions(provider)) {
    app.decorate(`${getName}Transaction`, transactionCaller(provider as AnyTransactionProvider, () => sessions, `app.${getName}Transaction()`))
  }

  refuseSharedClaims(app, registration)
  if (checksAtBoot(provider)) await provider.checkAtBoot(app.log)

  if (registration.options.ambient) {
    makeAmbient(provider)
    addAmbientHooks(app, registrations)
  }
  app.addHook('onRequest', firstHook(registration))
  app.addHook('onRoute', function configureRoute (this: FastifyInstance, route: RouteOptions) {
    keepInConfig(route, registration.key, () => registration.configure(route, this))
  })
  uses.set(provider, usesOf(provider) + 1)
  app.addHook('onClose', async function drainAndClose () {
    await drain(registration)
    uses.set(provider, usesOf(provider) - 1)
    if (usesOf(provider) === 0 && isClosing(provider)) await provider.close()
  })
}

/** The registrations of each provider in all apps: the last one that ends closes it. */
const uses = new WeakMap<object, number>()

function usesOf (provider: object): number {
  return uses.get(provider) ?? 0
}

/** An app with any server, logger and type provider. */
export type AnyApp = { readonly server: object }

/** The registrations in all contexts of an app, and the claims of their providers. */
interface AppContents {
  readonly registrations: Registration[]
  readonly claims: Map<string, Registration>
}

/** By the server, which all contexts of an app share. */
const apps = new WeakMap<object, AppContents>()

function contentsOf ({ server }: AnyApp): AppContents {
  const contents = apps.get(server) ?? { registrations: [], claims: new Map<string, Registration>() }
  apps.set(server, contents)
  return contents
}

/** Refuses a second registration of one name in one instance. */
function refuseSameName ({ app, name, options: { provider } }: Registration): void {
  const other = contentsOf(app).registrations.find((other) => other.app === app && other.name === name)
  if (other === undefined) return
  throw new OptionError('requestSession', `two registrations are named '${name}', of ${other.options.provider.kind} and of ${provider.kind} sessions: give one another name with the option name`)
}

/**
 * Refuses two providers with the same cookie, because their logins would silently end each other's sessions, or with the same place
 * in a store, because a token of one would open a session of the other.
 */
function refuseSharedClaims (app: FastifyInstance, registration: Registration): void {
  const { name, options: { provider } } = registration
  const { claims } = contentsOf(app)
  for (const claim of claimsOf(provider)) {
    const other = claims.get(claim)
    if (other !== undefined && other.options.provider !== provider) {
      const both = name === other.name ? `two providers of ${name}` : `the providers of ${name} and ${other.name}`
      throw new OptionError('requestSession', `${both} would use the same ${claim}: register one of them for both, or give one a cookie or header, and a store or prefix, of its own`)
    }
    if (other === undefined) claims.set(claim, registration)
  }
}

/** The registrations in all contexts of an app, for the test helper. */
export function registrationsOf (app: AnyApp): readonly Registration[] {
  return contentsOf(app).registrations
}

/** The registrations of all contexts of an app. Of those of one name, the second is `<name>#2`, and so on. */
function byName (app: FastifyInstance): Map<string, Registration> {
  const named = new Map<string, Registration>()
  for (const registration of registrationsOf(app)) {
    let [key, n] = [registration.name, 1]
    while (named.has(key)) key = `${registration.name}#${++n}`
    named.set(key, registration)
  }
  return named
}

function statsOf (app: FastifyInstance): Record<string, SessionStats> {
  return Object.fromEntries([...byName(app)].map(([name, { sessions, options: { provider } }]) => [name, sessions.stats(countsOf(provider))]))
}

/** Calls all providers in parallel, each once. */
async function healthOf (app: FastifyInstance, options: PingOptions | undefined): Promise<SessionHealth> {
  const { timeout } = checkPingOptions('app.sessionHealth()', options)
  const results = await Promise.all([...byName(app)].map(async ([name, { options: { provider } }]): Promise<[string, PingResult]> => {
    return [name, canPing(provider) ? await provider.ping({ timeout }) : { ok: true, milliseconds: 0, unchecked: 'the provider has no ping()' }]
  }))
  return { ok: results.every(([, { ok }]) => ok), sessions: Object.fromEntries(results) }
}

/** Adds the hooks that all registrations of one instance share, in the order of a request's life. */
function addLifecycle (app: FastifyInstance): void {
  app.decorate(kHasLifecycle, true)
  app.decorate('sessionStats', () => statsOf(app) as ReturnType<FastifyInstance['sessionStats']>)
  app.decorate('sessionHealth', (options?: PingOptions) => healthOf(app, options))
  app.addHook('onError', markFailed)
  app.addHook('onSend', settleNotFound)
  app.addHook('onResponse', closeNotFound)
  app.addHook('onRoute', function settleLast (route: RouteOptions) { keepLast(route, lastHooks) })
}

/**
 * The Fastify plugin: gives each request its session as `request.<name>`, opened on first use and settled once.
 *
 * @throws OptionError (`FST_SESSION_OPTION`) at registration
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * declare module 'fastify-request-session' { interface Registered { session: typeof users } }
 *
 * const app = Fastify()
 * app.register(requestSession, { provider: users })
 * app.get('/', async (request) => ({ visits: (await request.session).increment('visits') }))
 * ```
 */
export default fp(requestSession, { fastify: '5.x || 6.x', name: 'fastify-request-session' })
