import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Readable } from 'node:stream'
import { TooEarlyError } from '../errors.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import { isGone, isWhole } from './reply-state.js'
import type { Registration } from './registration.js'
import { Scope, type ScopeSettings } from '../core/scope.js'

const kReply = Symbol('fastify-request-session.reply')
const kScopes = Symbol('fastify-request-session.scopes')

/** What a request keeps: its reply, which Fastify does not tell it, and its scopes from its first use of a session on. */
interface Linked {
  [kReply]?: FastifyReply
  [kScopes]?: RequestScopes
}

/** All that an untouched request pays, but for empty hooks. */
export function linkReply (request: FastifyRequest & Linked, reply: FastifyReply): void {
  request[kReply] = reply
}

/** The scopes of a request that used one. */
export function usedScopes (request: FastifyRequest & Linked): RequestScopes | undefined {
  return request[kScopes]
}

/** The scope of one registration in a request; made on first use, with its session unopened. */
export function scopeOf (request: FastifyRequest & Linked, registration: Registration): Scope {
  const scopes = request[kScopes] ??= scopesOf(request, registration)
  return scopes.of(registration)
}

function scopesOf (request: FastifyRequest & Linked, registration: Registration): RequestScopes {
  const reply = request[kReply]
  if (reply === undefined) throw tooEarly(request, registration)
  return new RequestScopes(request, reply)
}

/** All scopes of one request. The one that was registered last settles first. */
class RequestScopes {
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  /** The one that was registered last; each knows the one before it. */
  #last: Scope | undefined
  /** The scopes that were open when the handler failed; the one that was registered first is asked first for a reply. */
  #failed: Scope[] | undefined
  /** Whether the reply waits for its commit or rollback. */
  leaving = false
  /** Whether the scopes were settled for a reply, and no error has come since. */
  #settled = false

  constructor (request: FastifyRequest, reply: FastifyReply) {
    this.#request = request
    this.#reply = reply
    reply.raw.on('close', () => this.finish())
  }

  of (registration: Registration): Scope {
    const { tracker } = registration
    let after: Scope | undefined
    let before = this.#last
    while (before !== undefined && before.tracker.order >= tracker.order) {
      if (before.tracker === tracker) return before
      after = before
      before = before.before
    }
    const scope = new Scope(tracker, settingsOf(this.#request, registration), this.#request, this.#reply)
    scope.before = before
    if (after === undefined) this.#last = scope
    else after.before = scope
    return scope
  }

  /** The handler has failed: what is open now rolls back, if its provider goes by success. */
  fail (error: unknown): void {
    this.#failed = [...this.#all()].filter(({ state }) => state === 'open').reverse()
    if (this.#settled) this.#warnOfKept()
    if (this.#reply.sent || this.#reply.statusCode >= 400 || hasStatus(error)) return
    for (const scope of this.#failed) {
      const reply = scope.replyTo(error)
      if (reply === undefined) continue
      this.#reply.code(reply.statusCode).headers({ ...reply.headers })
      return
    }
  }

  /**
   * Before the headers leave: commits or rolls back each scope, the last registered first, and lets the reply go on.
   * Once one has failed to commit, those after it roll back, and what it failed with becomes the reply's error.
   */
  leave (payload: unknown, done: HookHandlerDoneFunction): void {
    this.#settled = true
    const settled = this.#settle(this.#last)
    if (!isPromise(settled)) return done()
    this.leaving = true
    Object.defineProperty(this.#reply, 'sent', sent)
    // Fastify listens to a stream only once it sends it: one that fails before would end the process.
    if (isStream(payload)) payload.on('error', nothing)
    settled.then(() => this.#goOn(done), (error: unknown) => {
      this.leaving = false
      done(error as Error)
    })
  }

  /** The reply is over, whole or not: what is unsettled is settled, in the same order, and all is closed. Never rejects. */
  finish (): MaybePromise<void> {
    return this.#finish(this.#last, false)
  }

  #goOn (done: HookHandlerDoneFunction): void {
    this.leaving = false
    try {
      done()
    } catch (error) {
      done(error as Error) // as for a hook that is an async function: nobody else catches it (a header that cannot be sent)
    }
  }

  #settle (from: Scope | undefined): MaybePromise<void> {
    for (let scope = from; scope !== undefined; scope = scope.before) {
      if (scope.settings.commit === 'onResponse') {
        scope.beforeHeaders()
        continue
      }
      try {
        const settled = scope.settle(scope.state === 'open' && this.#commits(scope, !isGone(this.#reply.raw)))
        if (isPromise(settled)) return this.#settleOthers(settled, scope)
      } catch (error) {
        return this.#rollBack(scope, error)
      }
    }
  }

  /** Apart from the loop, as `#finishOthers` is: what a closure there uses would be allocated in each round, closure or not. */
  #settleOthers (settled: Promise<void>, scope: Scope): Promise<void> {
    return settled.then(() => this.#settle(scope.before), (error: unknown) => this.#rollBack(scope, error))
  }

  async #rollBack (from: Scope, error: unknown): Promise<never> {
    for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.before) await scope.settle(false)
    throw error
  }

  #finish (from: Scope | undefined, failed: boolean): MaybePromise<void> {
    for (let scope = from; scope !== undefined; scope = scope.before) {
      const commit = !failed && scope.state === 'open' && this.#commitsAtEnd(scope)
      const finished = scope.finish(commit)
      if (isPromise(finished)) return scope.before === undefined ? finished : this.#finishOthers(finished, scope, failed, commit)
      failed ||= commit && scope.outcome !== 'committed'
    }
  }

  #finishOthers (finished: Promise<void>, scope: Scope, failed: boolean, commit: boolean): Promise<void> {
    return finished.then(() => this.#finish(scope.before, failed || (commit && scope.outcome !== 'committed')))
  }

  #commitsAtEnd (scope: Scope): boolean {
    try {
      return this.#commits(scope, isWhole(this.#reply.raw))
    } catch (err) {
      scope.tracker.report('error', { err, route: scope.route }, `commitWhen of ${scope.route} failed`)
      return false
    }
  }

  /** What was committed for a good reply stays so, although the reply is an error now: a header that cannot be sent, a stream that fails. */
  #warnOfKept (): void {
    this.#settled = false
    for (const { outcome, route, settings, tracker } of this.#all()) {
      if (outcome !== 'committed' || settings.commits === 'always') continue
      tracker.report('warn', { session: tracker.name, route }, `request.${tracker.name} of ${route} was committed before its reply became an error`)
    }
  }

  /** The one that was registered last comes first. */
  * #all (): Generator<Scope, undefined> {
    for (let scope = this.#last; scope !== undefined; scope = scope.before) yield scope
  }

  /** @param replied whether there is a reply to look at: the client has left otherwise */
  #commits (scope: Scope, replied: boolean): boolean {
    const { commits, commitWhen } = scope.settings
    if (scope.failed) return false
    if (!replied) return commits === 'always'
    if (commitWhen !== undefined) return commitWhen(this.#request, this.#reply)
    return commits === 'always' || (this.#reply.statusCode < 400 && !this.#failed?.includes(scope))
  }
}

/**
 * `reply.sent` of a reply that waits for its commit or rollback: it counts as sent, so that Fastify takes no other
 * meanwhile, of a timeout or of a handler that throws after `send()`, and logs that one instead.
 */
const sent = {
  configurable: true,
  enumerable: true,
  get (this: FastifyReply): boolean {
    return usedScopes(this.request)?.leaving === true || Reflect.get(Object.getPrototypeOf(this) as object, 'sent', this) as boolean
  },
}

function isStream (payload: unknown): payload is Readable {
  return typeof payload === 'object' && payload !== null && 'pipe' in payload && 'on' in payload
}

/** Whether an error says what its reply's status is, as Fastify understands it. */
function hasStatus (error: unknown): boolean {
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown, status?: unknown }
  return statusCode !== undefined || status !== undefined
}

function settingsOf (request: FastifyRequest, registration: Registration): ScopeSettings {
  const config: object | undefined = request.routeOptions.config
  const own = config && Reflect.get(config, registration.key) as ScopeSettings | undefined
  const settings = own ?? (request.is404 ? registration.defaults : undefined)
  if (settings === undefined) throw tooEarly(request, registration)
  return settings
}

function tooEarly (request: FastifyRequest, registration: Registration): Error {
  return new TooEarlyError(`request.${registration.name}`, `${request.method} ${request.routeOptions.url ?? request.url}`)
}
