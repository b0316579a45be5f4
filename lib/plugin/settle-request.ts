import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { drainFollowUps } from '../core/follow-ups.js'
import { openSessionsOf } from '../core/get-session.js'
import { Scope, type ScopeOwner, type ScopeSettings } from '../core/scope.js'
import { OptionError, TooEarlyError } from '../errors.js'
import type { LinkedList } from '../util/linked-list.js'
import { atOnce, isPromise } from '../util/maybe-promise.js'
import { report } from '../core/events.js'
import { addLast, contextOf, isExtended, kContext, type LastHooks, type Routed } from './last-hooks.js'
import type { Registration } from './registration.js'
import { dropPayload, forgetPayloadHeaders, ignoreErrorsOf, takeStatusOf, isOver, isWhole, watchDeparture, type Departing } from './reply-state.js'

const kReply = Symbol('fastify-request-session.reply')
const kSessions = Symbol('fastify-request-session.sessions')

/** The properties that the plugin adds to a request: its reply, to which Fastify has no reference, and its sessions from their first use on. */
interface Linked extends Routed {
  /** `null` once the reply and its onResponse hooks are over: no session is opened any more. */
  [kReply]?: FastifyReply | null
  [kSessions]?: RequestSessions
}

/**
 * Makes the first hook of a request, one of each registration. An untouched request pays for this, and for hooks that find
 * nothing to do. It opens and awaits the session where it is loaded early, or where requests are admitted by it.
 */
export function firstHook (registration: Registration) {
  return function begin (request: FastifyRequest & Linked, reply: FastifyReply, done: HookHandlerDoneFunction): void {
    request[kReply] = reply
    if (request[kSessions] !== undefined) request[kSessions].reply = reply // the session was used before this hook
    const { config } = request[kContext] ?? contextOf(request)
    const settings = (config && Reflect.get(config, registration.key) as ScopeSettings | undefined) ?? missingSettings(request, registration)
    if ((settings.opener?.early || settings.opener?.admit) && !registration.isHiddenIn(request.server)) admit(scopeOf(request, registration)).then(() => done(), done)
    else done()
  }
}

/** Without `early`, `request.<name>` stays a promise. */
async function admit (scope: Scope): Promise<void> {
  const { opener } = scope.settings
  const session = await (opener?.early ? scope.load() : scope.session)
  opener?.admit?.(scope, session)
}

/**
 * The settings of a request whose route has none: the not-found handler's, or those of a route that was defined before the
 * plugin was loaded. Such a route is checked and gets its hooks here, at its first request.
 *
 * @throws OptionError (`FST_SESSION_OPTION`) that names the route
 * @throws TooEarlyError (`FST_SESSION_TOO_EARLY`) where this Fastify keeps the route's hooks out of reach
 */
function missingSettings (request: FastifyRequest & Linked, registration: Registration): ScopeSettings {
  const hasLast = addLast(request[kContext] ?? contextOf(request), lastHooks)
  if (request.is404) return registration.defaults
  const route = request.routeOptions
  const settings = registration.configure(route, request.server)
  if (!hasLast) throw new TooEarlyError(`request.${registration.name}`, settings.route)
  Reflect.set(route.config, registration.key, settings)
  return settings
}

/** The scope of one registration in a request; made on first use, with its session unopened. */
export function scopeOf (request: FastifyRequest & Linked, registration: Registration): Scope {
  return (request[kSessions] ??= new RequestSessions(request, request[kReply])).scopeOf(registration)
}

/** The getter of `request.<name>`. */
export function sessionGetter (registration: Registration): (this: FastifyRequest) => unknown {
  return function getSession (this: FastifyRequest & Linked) {
    return (this[kSessions] ??= new RequestSessions(this, this[kReply])).scopeOf(registration).session
  }
}

/** The onError hook: the handler has failed. */
export function markFailed (request: FastifyRequest & Linked, reply: FastifyReply, error: Error, done: () => void): void {
  request[kSessions]?.fail(reply, error)
  done()
}

/** The last onSend hook of each route: the headers leave next. */
function settle (request: FastifyRequest & Linked, reply: FastifyReply, payload: unknown, done: HookHandlerDoneFunction): void {
  const sessions = request[kSessions]
  if (sessions === undefined) done()
  else sessions.leave(reply, payload, done)
}

/** The last onResponse hook of each route: the reply is out, and the app's own hooks are done. */
function close (request: FastifyRequest & Linked, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  request[kReply] = null
  request[kSessions]?.finish()
  done()
}

export const lastHooks: LastHooks = { onSend: settle, onResponse: close }

/** The same for a not-found handler that has only the instance's hooks. */
export function settleNotFound (request: FastifyRequest & Linked, reply: FastifyReply, payload: unknown, done: HookHandlerDoneFunction): void {
  if (request.is404 && !isExtended(request[kContext]?.onSend)) settle(request, reply, payload, done)
  else done()
}

export function closeNotFound (request: FastifyRequest & Linked, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  if (request.is404 && !isExtended(request[kContext]?.onResponse)) close(request, reply, done)
  else done()
}

/** Settles and closes all sessions of a registration that are still open, when the app closes, and waits for the follow-ups of its commits. */
export async function drain ({ sessions, options: { provider } }: Registration): Promise<void> {
  sessions.stop()
  await Promise.all([...sessions].map(async (scope) => {
    const request: FastifyRequest & Linked | undefined = scope.request
    if (request === undefined) await scope.finish(scope.settings.commits === 'always' && !scope.isRollbackOnly)
    else await request[kSessions]?.finish()
  }))
  await drainFollowUps(sessions)
  openSessionsOf(provider).delete(sessions)
}

/**
 * All sessions of one request. The one that was registered last settles first. No member is `#private`: V8 would run an
 * initializer for each request.
 */
class RequestSessions implements ScopeOwner, Departing {
  older: Departing | undefined
  newer: Departing | undefined
  readonly request: FastifyRequest & Linked
  reply: FastifyReply | undefined
  over: boolean
  /** True while the reply waits for its commit or rollback. */
  waiting: boolean
  /** Resolves once the reply that has waited goes on. */
  left: Promise<void> | undefined
  /** The scope that was registered last; each links to the one before it. */
  private last: Scope | undefined
  private readonly departures: LinkedList<Departing> | undefined
  /** The scopes that were open when the handler failed; the one that was registered first is asked first for a reply. */
  private failed: Scope[] | undefined
  /** True once the scopes were settled for a reply, until an error comes. */
  private settled: boolean

  constructor (request: FastifyRequest, reply: FastifyReply | null | undefined) {
    this.older = this.newer = this.last = this.failed = this.left = undefined
    this.request = request
    this.reply = reply ?? undefined
    this.waiting = this.settled = false
    const departures = reply === null ? 'over' : watchDeparture(this, request.raw, reply?.raw)
    this.over = departures === 'over'
    this.departures = departures === 'over' ? undefined : departures
  }

  get canSendHeaders (): boolean {
    const { reply } = this
    if (this.over || reply === undefined) return !this.over
    // A reply that waits for its commit counts as sent, and is not.
    return !reply.raw.headersSent && (this.waiting || !reply.sent)
  }

  scopeOf (registration: Registration): Scope {
    const { sessions, order, key } = registration
    let after: Scope | undefined
    let before = this.last
    while (before !== undefined && before.order >= order) {
      if (before.sessions === sessions) return before
      after = before
      before = before.before
    }
    const { request } = this
    const { config } = request[kContext] ?? contextOf(request)
    const settings = (config && Reflect.get(config, key) as ScopeSettings | undefined) ?? missingSettings(request, registration)
    const scope = new Scope(sessions, settings, this, order)
    scope.before = before
    if (after === undefined) this.last = scope
    else after.before = scope
    return scope
  }

  /** The handler has failed: an open session rolls back, if its provider goes by success. */
  fail (reply: FastifyReply, error: unknown): void {
    this.reply = reply
    this.failed = [...this.all()].filter(({ state }) => state === 'open').reverse()
    if (this.settled) this.warnOfKept()
    if (reply.sent || reply.statusCode >= 400 || hasStatus(error)) return
    for (const scope of this.failed) {
      const answer = scope.replyTo(error)
      if (answer === undefined) continue
      reply.code(answer.statusCode).headers({ ...answer.headers })
      return
    }
  }

  /**
   * Before the headers leave: commits or rolls back each scope, the last registered first, and lets the reply go on.
   * Once one has failed to commit, those after it roll back, and its error becomes the reply's.
   */
  leave (reply: FastifyReply, payload: unknown, done: HookHandlerDoneFunction): void {
    this.reply = reply
    this.settled = true
    if (typeof payload === 'object') takeStatusOf(reply, payload)
    for (let scope = this.last; scope !== undefined; scope = scope.before) {
      let settled: Promise<void> | undefined
      try {
        settled = this.settle(scope)
      } catch (error) {
        settled = Promise.reject(error)
      }
      if (settled !== undefined) {
        this.left = this.leaveAfter(settled, scope, payload, done)
        return
      }
    }
    done()
  }

  /** The client has left before its reply was whole. After a whole reply the onResponse hooks are under way. */
  clientLeft (): void {
    const reply = this.reply?.raw
    // A reply has no socket any more once its hooks run. With one that has failed it never finishes: they will not run.
    if (reply === undefined || !isWhole(reply) || reply.socket?.errored) this.finish()
  }

  sweep (): void {
    if (isOver(this.request.raw, this.reply?.raw) || this.reply?.raw.writableFinished) this.finish()
  }

  /** The reply is over, whole or not: settles what is unsettled, in the same order, and closes all. Never rejects. */
  finish (): Promise<void> | undefined {
    if (!this.over) {
      this.over = true
      this.departures?.remove(this)
    }
    let failed = false
    for (let scope = this.last; scope !== undefined; scope = scope.before) {
      const commit: boolean = !failed && scope.mayCommit && this.commitsAtEnd(scope)
      const finished = scope.finish(commit)
      if (finished !== undefined) return scope.before === undefined ? finished : this.finishAfter(finished, scope, failed, commit)
      failed ||= commit && scope.hasLostWork
    }
    return undefined
  }

  private settle (scope: Scope): Promise<void> | undefined {
    const { commit, commits, commitWhen } = scope.settings
    if (commit === 'onSend') {
      const isKept = scope.state === 'open' && !scope.isRollbackOnly && ((commits === 'always' && commitWhen === undefined) || this.commits(scope, !this.over && !isOver(this.request.raw, this.reply?.raw)))
      if (!isKept) scope.beforeHeaders(false)
      return scope.settle(isKept)
    }
    scope.beforeHeaders(true)
    return undefined
  }

  private async leaveAfter (settled: Promise<void>, first: Scope, payload: unknown, done: HookHandlerDoneFunction): Promise<void> {
    this.waiting = true
    Object.defineProperties(this.reply, waitingReply)
    if (typeof payload === 'object') ignoreErrorsOf(payload)
    let scope: Scope | undefined = first
    let failure: { readonly error: unknown } | undefined
    try {
      await settled
      for (scope = scope.before; scope !== undefined; scope = scope.before) await this.settle(scope)
    } catch (error) {
      failure = { error }
      for (scope = scope?.before; scope !== undefined; scope = scope.before) await scope.settle(false)
    }
    this.waiting = false
    if (failure !== undefined) {
      dropPayload(payload)
      forgetPayloadHeaders(this.reply as FastifyReply)
      done(failure.error as Error)
      return
    }
    try {
      done()
    } catch (error) {
      done(error as Error) // Fastify catches errors of async hooks only; a header that cannot be sent throws here
    }
  }

  private async finishAfter (finished: Promise<void>, first: Scope, failed: boolean, commit: boolean): Promise<void> {
    await finished
    failed ||= commit && first.hasLostWork
    for (let scope = first.before; scope !== undefined; scope = scope.before) {
      const commits: boolean = !failed && scope.mayCommit && this.commitsAtEnd(scope)
      await scope.finish(commits)
      failed ||= commits && scope.hasLostWork
    }
  }

  private commitsAtEnd (scope: Scope): boolean {
    try {
      return this.commits(scope, this.reply !== undefined && isWhole(this.reply.raw))
    } catch (err) {
      report(scope.log, 'error', { err, route: scope.route }, `commitWhen of ${scope.route} failed`)
      return false
    }
  }

  /** Reports sessions that stay committed although the reply has become an error: a header that cannot be sent, a failed stream. */
  private warnOfKept (): void {
    this.settled = false
    for (const { outcome, route, settings, name, log } of this.all()) {
      if (outcome !== 'committed' || settings.commits === 'always') continue
      report(log, 'warn', { session: name, route }, `request.${name} of ${route} was committed before its reply became an error`)
    }
  }

  /** The scopes, the last registered first. */
  private * all (): Generator<Scope, undefined> {
    for (let scope = this.last; scope !== undefined; scope = scope.before) yield scope
  }

  /** @param isReplied false if the client has left, so that there is no reply */
  private commits (scope: Scope, isReplied: boolean): boolean {
    const { commits, commitWhen } = scope.settings
    if (scope.isRollbackOnly) return false
    if (!isReplied) return commits === 'always'
    const reply = this.reply as FastifyReply
    if (commitWhen === undefined) return commits === 'always' || (reply.statusCode < 400 && !this.failed?.includes(scope))
    const answer: unknown = atOnce(commitWhen(this.request, reply))
    if (!isPromise(answer)) return answer as boolean
    throw new OptionError(`commitWhen of ${scope.route}`, 'must return a boolean: a promise would always count as true')
  }
}

/**
 * The properties of a reply that waits for its commit or rollback. It counts as sent, so that Fastify takes no other reply
 * meanwhile (of a timeout, or of a handler that throws after `send()`), and logs that one instead. Code that awaits it, such
 * as `return reply.send(stream)` of an async handler, keeps waiting: else Fastify would send `undefined` over the stream.
 */
const waitingReply: PropertyDescriptorMap & ThisType<FastifyReply & { readonly request: Linked }> = {
  sent: {
    configurable: true,
    enumerable: true,
    get () {
      return this.request[kSessions]?.waiting === true || Reflect.get(Object.getPrototypeOf(this) as object, 'sent', this) as boolean
    },
  },
  then: {
    configurable: true,
    value (...reactions: Parameters<FastifyReply['then']>) {
      const prototype = Object.getPrototypeOf(this) as FastifyReply
      this.request[kSessions]?.left?.then(() => { Reflect.apply(prototype.then, this, reactions) })
    },
  },
}

/** True if an error has a status for its reply, as Fastify understands it. */
function hasStatus (error: unknown): boolean {
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown, status?: unknown }
  return statusCode !== undefined || status !== undefined
}
