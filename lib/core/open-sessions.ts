import { LinkedList, type Link } from '../util/linked-list.js'
import { report, type Log } from './events.js'

/**
 * The counts of one registration: `app.sessionStats().<name>`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { type SessionStats } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * const stats: SessionStats = app.sessionStats().session
 * console.log(stats.open)
 * ```
 */
export interface SessionStats {
  readonly kind: string
  /** Sessions that are open now. */
  readonly open: number
  /** Sessions opened since the start. */
  readonly opened: number
  readonly committed: number
  /** Committed sessions that wrote nothing, if the provider knows: token sessions do. */
  readonly readOnly: number
  /** Sessions with dropped work: the handler or the commit failed, the client left, or the app asked for it. */
  readonly rolledBack: number
  /** Sessions that could not be read. */
  readonly failed: number
  /** Requests that continued without a session, because the store had failed (`onStoreError: 'anonymous'`). */
  readonly anonymous: number
  /** Commits without an answer. */
  readonly unknown: number
  /** Uses of a session after its end. */
  readonly lateAccesses: number
  /** Functions of `afterCommit()` and `afterUnknown()` that have failed. */
  readonly failedFollowUps: number
  /**
   * The store's own counts since its creation, by name, if it has any. `memoryStore()` counts `evicted`: unexpired sessions that
   * made room for new ones.
   */
  readonly store?: Readonly<Record<string, number>>
}

/** The part of a scope that the list of open sessions needs. */
export interface OpenEntry<S> extends Link<S> {
  readonly route: string
  readonly log: Log | undefined
  readonly openingTrace: OpeningTrace | undefined
  /** The stack of its opening, if one was recorded. */
  readonly openedBy: Error | undefined
  /** True while it may hold a connection or a transaction. */
  readonly isHeld: boolean
  /** The tick of the coarse clock since which it is held; `Infinity` once it was reported. */
  heldSince: number
  /** Closes it if its request is over: an `onResponse` hook that throws stops the hooks after it. */
  sweep (): void
}

/** Ticks of the coarse clock in one `warnAfter`. */
const ticksPerWarning = 4
/** Milliseconds of a tick without warnings. */
const idleTick = 10_000

/** Milliseconds between two pulses. */
export const pulseInterval = 500

/** The open sessions of one registration, or of one call outside of Fastify: counts them, and reports sessions that are held too long. */
export class OpenSessions<S extends OpenEntry<S>> extends LinkedList<S> {
  readonly name: string
  readonly kind: string
  readonly log: Log | undefined
  committed = 0
  readOnly = 0
  rolledBack = 0
  failed = 0
  anonymous = 0
  unknown = 0
  lateAccesses = 0
  failedFollowUps = 0
  /** The running follow-ups of commits, by scope. */
  readonly followUps = new Set<Promise<void>>()
  /** A coarse clock: reading a real one per request would cost more than all other counting. */
  tick = 0
  readonly #traces = new Map<string, OpeningTrace>()
  #warnAfter = 0
  #timer: NodeJS.Timeout | undefined
  #pulse: NodeJS.Timeout | undefined

  constructor (name: string, kind: string, log?: Log) {
    super()
    this.name = name
    this.kind = kind
    this.log = log
  }

  /**
   * @param warnAfter milliseconds after which a held session is reported; 0: never
   * @param pulse called twice a second
   */
  start (warnAfter: number, pulse: () => void): void {
    this.#warnAfter = warnAfter
    this.#timer = setInterval(() => this.#look(), warnAfter === 0 ? idleTick : Math.ceil(warnAfter / ticksPerWarning))
    this.#timer.unref()
    this.#pulse = setInterval(pulse, pulseInterval).unref()
  }

  stop (): void {
    clearInterval(this.#timer)
    clearInterval(this.#pulse)
  }

  /** The trace that all sessions of a route share; `undefined` without warnings. */
  traceOf (route: string): OpeningTrace | undefined {
    if (this.#warnAfter === 0) return undefined
    let trace = this.#traces.get(route)
    if (trace === undefined) this.#traces.set(route, trace = new OpeningTrace())
    return trace
  }

  /** @param store the counts of the provider's store */
  stats (store: SessionStats['store'] | undefined): SessionStats {
    const { kind, size: open, added: opened, committed, readOnly, rolledBack, failed, anonymous, unknown, lateAccesses, failedFollowUps } = this
    return { kind, open, opened, committed, readOnly, rolledBack, failed, anonymous, unknown, lateAccesses, failedFollowUps, ...store !== undefined && { store } }
  }

  #look (): void {
    this.tick++
    for (const scope of this) {
      const age = this.tick - scope.heldSince
      if (age === 1) continue
      scope.sweep()
      if (this.#warnAfter > 0 && age > ticksPerWarning && scope.isHeld) this.#reportHeld(scope)
    }
  }

  #reportHeld (scope: S): void {
    scope.heldSince = Infinity
    const { route, log, openingTrace, openedBy } = scope
    const message = `${this.name} of ${route} has been open for ${this.#warnAfter} milliseconds or more`
    report(log, 'warn', { session: this.name, route, stack: openingTrace?.stackOf(openedBy) }, message)
  }
}

/**
 * Records where the sessions of one route are opened. A stack costs about as much as the rest of the plugin's
 * work in a request: only the first opening of a route records one, and each opening after a session was held too long.
 */
export class OpeningTrace {
  #first: Error | undefined
  #each = false

  /** True if the next opening is to be recorded. */
  isWanted = true

  /** Reading the `stack` of the result costs most. */
  record (): Error {
    this.isWanted = this.#each
    const opened = new Error('opened here')
    this.#first ??= opened
    return opened
  }

  stackOf (opened: Error | undefined): string {
    this.#each = this.isWanted = true
    return opened?.stack ?? `of the first session of this route: ${this.#first?.stack}`
  }
}
