import { AsyncLocalStorage } from 'node:async_hooks'
import { NoAmbientSessionError } from '../errors.js'
import type { AnyProvider, SessionOf } from './provider.js'
import type { Scope } from './scope.js'

/** The request, or call of `getSession()`, in which code runs. */
export interface Ambient {
  /** The scope of a provider's session there; `undefined`: none. */
  scopeOf (provider: AnyProvider): Scope | undefined
}

/** Costs nothing until code runs in it. */
const storage = new AsyncLocalStorage<Ambient>()

/** The providers that a registration has made ambient. */
const providers = new WeakSet<AnyProvider>()

export function makeAmbient (provider: AnyProvider): void {
  providers.add(provider)
}

/** Runs a function, and all that it starts, in a request. */
export function runIn (ambient: Ambient, fn: () => void): void {
  storage.run(ambient, fn)
}

/** Runs the callback of a call of `getSession()`, in whose scope the provider's session is then found. */
export function runInCall<R> (provider: AnyProvider, scope: Scope, fn: () => R): R {
  if (!providers.has(provider)) return fn()
  const outer = storage.getStore()
  return storage.run({ scopeOf: (other) => other === provider ? scope : outer?.scopeOf(other) }, fn)
}

/** The session of the calling code; `undefined`: none. A settled session takes no more work. */
export async function sessionToJoin (provider: AnyProvider): Promise<unknown> {
  const scope = providers.has(provider) ? storage.getStore()?.scopeOf(provider) : undefined
  return scope !== undefined && (scope.state === 'unopened' || scope.state === 'open') && !scope.owner.over ? scope.session : undefined
}

/**
 * The session of the calling request, as `request.<name>` returns it, for services and repositories that do not get the request.
 * The plugin must be registered with `ambient: true`. In the callback of `getSession()` it is that session.
 *
 * It follows the async context (`AsyncLocalStorage`): promises, timers and hooks keep it. A listener of an event that is emitted
 * elsewhere, such as a WebSocket's message, has it if it is wrapped by `AsyncResource.bind()`.
 *
 * @throws NoAmbientSessionError (`FST_SESSION_NO_AMBIENT`) outside of a request, and for a provider that is not ambient
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { currentSession, tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ visits: number }>()
 * const countVisit = async () => (await currentSession(users)).increment('visits')
 *
 * const app = Fastify()
 * await app.register(requestSession, { provider: users, ambient: true })
 * app.get('/', async () => ({ visits: await countVisit() }))
 * console.log((await app.inject('/')).json())
 * ```
 */
export function currentSession<P extends AnyProvider> (provider: P): SessionOf<P> {
  const scope = storage.getStore()?.scopeOf(provider)
  if (scope === undefined) throw new NoAmbientSessionError(provider.kind, providers.has(provider) ? 'the code does not run in a request' : 'its plugin is not registered with ambient: true')
  return scope.session as SessionOf<P>
}
