import type { SessionState } from './session-state.js'
import { releaseSignal, signalOf } from './signal.js'
import { idOf } from './tokens.js'
import { refusingProperties } from './values.js'

export const kState = Symbol('fastify-request-session.state')

/**
 * The part of a session besides its data: its owner, its token, its times, its end. It has no constructor: V8 would run it for
 * each session.
 */
export abstract class SessionDescription {
  /** @internal Not `#private`: V8 would run an initializer for each session. */
  declare [kState]: SessionState

  static {
    Object.setPrototypeOf(this.prototype, refusingProperties(Object.prototype))
    Object.defineProperty(this.prototype, kState, { value: undefined, writable: true })
  }

  /**
   * The client's token. A new session has one from the start; it is valid once the session is saved.
   * @throws NoTokenError (`FST_SESSION_NO_TOKEN`) in a function of `update()`
   */
  get token (): string {
    return this[kState].token
  }

  /**
   * The key of the session in the store, for `end({ id })` and as returned by `list()`: a hash of the token, which opens nothing. A
   * new session has one from the start. `renew()` and `regenerate()` change it at commit.
   */
  get id (): string {
    return this[kState].identity?.id ?? idOf(this[kState].token)
  }

  /** The name that the session was created with. */
  get name (): string | undefined {
    return this[kState].record?.name
  }

  /** True if the token is derived from the name: any process can open the session by its name. */
  get shared (): boolean {
    return this[kState].record?.generation !== undefined
  }

  /** The session's owner, such as a user's id. The store indexes sessions by subject, for `list` and `endAll`. */
  get subject (): string | undefined {
    return this[kState].subject
  }

  /**
   * Takes effect at commit; `undefined`: no owner.
   * @throws NameError (`FST_SESSION_NAME`) unless it is a text of 1 to 256 characters; StoreLacksError
   *   (`FST_SESSION_STORE_LACKS`) if the store keeps no index of subjects
   */
  set subject (subject: string | undefined) {
    this[kState].refuseWrites()
    this[kState].subject = subject
  }

  /** A text that describes the session to its user: `'Firefox on Linux'`. `list` and `info` return it, and `renew()` keeps it. */
  get label (): string | undefined {
    return this[kState].label
  }

  /**
   * Takes effect at commit; `undefined`: no label.
   * @throws NameError (`FST_SESSION_NAME`) unless it is a text of 1 to 256 characters
   * @example
   * ```ts
   * import type { TokenSession } from 'fastify-request-session'
   *
   * export function logIn (session: TokenSession, user: string, device: string): void {
   *   session.regenerate()
   *   session.subject = user
   *   session.label = device.slice(0, 256)
   * }
   * ```
   */
  set label (label: string | undefined) {
    this[kState].refuseWrites()
    this[kState].label = label
  }

  /** True until the session is saved. */
  get isNew (): boolean {
    return this[kState].identity === undefined
  }

  /** True if the visitor is anonymous because the store has failed (`onStoreError: 'anonymous'`): changes are refused at commit. */
  get degraded (): boolean {
    return this[kState].degradedBy !== undefined
  }

  /** The time of the first save; of a new session, now. */
  get createdAt (): Date {
    return new Date(this[kState].record?.createdAt ?? Date.now())
  }

  /** The time of the login: the creation of the session with a `subject`, by `regenerate()` for example. `renew()` does not move it. `undefined` without a subject. */
  get freshAt (): Date | undefined {
    return this.subject === undefined ? undefined : this.createdAt
  }

  /**
   * The last use before this request, accurate to a tenth of the idle time, or to a day for a session without an idle time. Of a new
   * session, now.
   */
  get lastUsedAt (): Date {
    return new Date(this[kState].record?.usedAt ?? Date.now())
  }

  /** The time at which the session expires unless it is used before; `null`: never. */
  get expiresAt (): Date | null {
    const { expiresAt } = this[kState]
    return expiresAt === null ? null : new Date(expiresAt)
  }

  /** The effective idle time in seconds: the session's own, else the route's, else the plugin's; `null`: no limit. */
  get ttl (): number | null {
    return this[kState].lifetime.ttl
  }

  /** True after `end()`, and once `signal` has reported that the session was ended or has expired. */
  get ended (): boolean {
    return this[kState].isEnded || this[kState].phase === 'gone'
  }

  /**
   * Aborts once the session is over, in any process: for sockets and event streams, which outlive their request. Its
   * `reason` is a `SessionOverError` (`FST_SESSION_OVER`) with a `why`: `'ended'`, `'expired'`, `'renewed'` (by another request) or `'limit'`. From then
   * on the session reads as empty; changes are refused with `FST_SESSION_GONE` or `FST_SESSION_RENEWED`, including unsaved ones.
   *
   * The session is followed from the first access to `signal`, a new one from its first commit, and stays followed if this request
   * renews it: in a request until its reply or its socket is over, elsewhere until `releaseSignal()`. While the store is away the signal
   * does not abort; an end that was missed is detected when the store is back.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`) if the store cannot watch sessions; SessionClosedError (`FST_SESSION_CLOSED`) at a
   *   first access after the request's end
   * @example
   * ```ts
   * import { addAbortListener } from 'node:events'
   * import { tokenSessions } from 'fastify-request-session'
   *
   * const users = tokenSessions<{ user: string }>()
   * const session = await users.create({ subject: 'ada' })
   * addAbortListener(session.signal, () => console.log(session.signal.reason.why)) // 'ended'
   * await users.endAll({ subject: 'ada' })
   * ```
   */
  get signal (): AbortSignal {
    return signalOf(this[kState])
  }

  /** Stops following the session: `signal` does not abort any more. Call it for a session of `load()`, `open()` or `create()` that is no longer used. */
  releaseSignal (): void {
    releaseSignal(this[kState])
  }
}
