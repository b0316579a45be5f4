import type { SessionState } from './session-state.js'
import { releaseSignal, signalOf } from './signal.js'
import { idOf } from './tokens.js'
import { refuseProperties } from './values.js'

export const kState = Symbol('fastify-request-session.state')

/**
 * The part of a session that is not its data: whose it is, its token, its times, its end. It has no constructor: V8 would run it for
 * each session.
 */
export abstract class SessionDescription {
  /** @internal Not `#private`: V8 would run an initializer for each session. */
  declare [kState]: SessionState

  static {
    Object.setPrototypeOf(this.prototype, refuseProperties)
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
   * The key of the session in the store, by which `list()` tells of it and `end({ id })` ends it: a hash of the token, which opens nothing. A
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

  /** A text by which its user tells the session from his others: `'Firefox on Linux'`. `list` and `info` tell it, and `renew()` keeps it. */
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

  /** True while the session was never saved. */
  get isNew (): boolean {
    return this[kState].identity === undefined
  }

  /** True where the visitor is anonymous since the store has failed (`onStoreError: 'anonymous'`): work is refused at commit. */
  get degraded (): boolean {
    return this[kState].degradedBy !== undefined
  }

  /** When the session was saved first; now, for a new one. */
  get createdAt (): Date {
    return new Date(this[kState].record?.createdAt ?? Date.now())
  }

  /** The login: when a session with a `subject` was made, by `regenerate()` for example. `renew()` does not move it. `undefined` without a subject. */
  get freshAt (): Date | undefined {
    return this.subject === undefined ? undefined : this.createdAt
  }

  /**
   * The last use that was written, before this request's: as exact as the expiry slides, within a tenth of the idle time. Of a session that
   * does not expire of idleness, within a day. Now, for a new one.
   */
  get lastUsedAt (): Date {
    return new Date(this[kState].record?.usedAt ?? Date.now())
  }

  /** When the session expires unless it is used before; `null`: never. For a new one, when it would. */
  get expiresAt (): Date | null {
    const { expiresAt } = this[kState]
    return expiresAt === null ? null : new Date(expiresAt)
  }

  /** The idle time that counts, in seconds: the session's own, else the route's, else the plugin's; `null`: never. */
  get ttl (): number | null {
    return this[kState].lifetime.ttl
  }

  /** True after `end()`, and once `signal` has told that the session was ended or has expired. */
  get ended (): boolean {
    return this[kState].isEnded || this[kState].phase === 'gone'
  }

  /**
   * Aborted once the session is over, whichever process ends it: for sockets and event streams, which outlive their request. Its
   * `reason` is a `SessionOverError` (`FST_SESSION_OVER`) whose `why` says `'ended'`, `'expired'`, `'renewed'` (by another request) or `'limit'`. From then
   * on the session reads as empty; work on it is refused with `FST_SESSION_GONE` or `FST_SESSION_RENEWED`, that which waited for a commit too.
   *
   * The session is followed from the first look at `signal` on, a new one from its first commit on, and goes on to be if this request
   * renews it; in a request until its reply or its socket is over, elsewhere until `releaseSignal()`. While the store is away nothing is
   * told: an end that was missed is noticed when it is back.
   * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`) if the store cannot watch sessions; SessionClosedError (`FST_SESSION_CLOSED`) where it
   *   is asked for first after the request's end
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

  /** Stops following the session for `signal`, which is aborted no more. Call it for a session of `load()`, `open()` or `create()` that is no longer used. */
  releaseSignal (): void {
    releaseSignal(this[kState])
  }
}
