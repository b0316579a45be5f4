import type { FastifyInstance, FastifyRequest } from 'fastify'
import { runIn, type Ambient } from '../core/ambient.js'
import type { AnyProvider } from '../core/provider.js'
import type { Scope } from '../core/scope.js'
import type { Registration } from './registration.js'
import { scopeOf } from './settle-request.js'

const kAmbient = Symbol('fastify-request-session.ambient')
const kHasAmbient = Symbol('fastify-request-session.hasAmbient')

/** The sessions of a request, as its code finds them. */
class AmbientRequest implements Ambient {
  readonly #request: FastifyRequest
  readonly #registrations: readonly Registration[]

  constructor (request: FastifyRequest, registrations: readonly Registration[]) {
    this.#request = request
    this.#registrations = registrations
  }

  scopeOf (provider: AnyProvider): Scope | undefined {
    const registration = this.#registrations.find((registration) => registration.options.provider === provider && registration.options.ambient && registration.serves(this.#request))
    return registration && scopeOf(this.#request, registration)
  }
}

/**
 * Adds the hooks in which a request's code finds its sessions, once for an instance. Each begins a part of the request's life that Fastify runs
 * from an event of the connection, which knows of no context: the arrival, the end of the body, and of the reply; a stream's
 * error or a reply from a listener may come from anywhere.
 */
export function addAmbientHooks (app: FastifyInstance, registrations: readonly Registration[]): void {
  if (app.hasDecorator(kHasAmbient)) return
  app.decorate(kHasAmbient, true)
  function enter (request: FastifyRequest & { [kAmbient]?: AmbientRequest }, done: () => void): void {
    runIn(request[kAmbient] ??= new AmbientRequest(request, registrations), done)
  }
  app.addHook('onRequest', (request, _reply, done) => enter(request, done))
  app.addHook('preValidation', (request, _reply, done) => enter(request, done))
  app.addHook('onError', (request, _reply, _error, done) => enter(request, done))
  app.addHook('onSend', (request, _reply, payload, done) => enter(request, () => done(null, payload)))
  app.addHook('onResponse', (request, _reply, done) => enter(request, done))
}
