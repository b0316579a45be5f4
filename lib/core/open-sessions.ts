import type { FastifyBaseLogger } from 'fastify'
import { Chain } from '../util/linked-list.js'
import { OpeningTrace } from './opening-trace.js'
import type { Scope } from './scope.js'

/** How the sessions of one registration fare: `app.sessionStats()[name]`. */
export interface SessionStats {
  readonly kind: string
  /** Sessions that are open now. */
  readonly open: number
  /** Sessions opened since the start. */
  readonly opened: number
  readonly committed: number
  readonly rolledBack: number
  /** Commits whose answer was lost. */
  readonly unknown: number
  /** Uses of a session after its end. */
  readonly lateAccesses: number
}

/** Keeps count of the scopes of one registration, and warns of those held for too long. */
export class Tracker {
  readonly name: string
  readonly kind: string
  readonly log: FastifyBaseLogger | undefined
  /** The place in the order of registration: the scopes of a request settle from the highest to the lowest. */
  readonly order: number
  opened = 0
  committed = 0
  rolledBack = 0
  unknown = 0
  lateAccesses = 0
  /** A coarse clock, since a look at a real one for each request would cost more than the rest of the count: quarters of `warnAfter`. */
  tick = 0
  readonly #open = new Chain<Scope>()
  readonly #traces = new Map<string, OpeningTrace>()
  #watch: NodeJS.Timeout | undefined

  constructor (name: string, kind: string, log?: FastifyBaseLogger, order = 0) {
    this.name = name
    this.kind = kind
    this.log = log
    this.order = order
  }

  /** @param warnAfter milliseconds that a scope may stay open */
  watch (warnAfter: number): void {
    this.#watch = setInterval(() => this.#warn(warnAfter), Math.max(1, Math.ceil(warnAfter / 4)))
    this.#watch.unref()
  }

  /** `undefined` if nobody watches. */
  traceOf (route: string): OpeningTrace | undefined {
    if (this.#watch === undefined) return undefined
    let trace = this.#traces.get(route)
    if (trace === undefined) this.#traces.set(route, trace = new OpeningTrace())
    return trace
  }

  unwatch (): void {
    clearInterval(this.#watch)
  }

  add (scope: Scope): void {
    this.#open.add(scope)
    this.opened++
  }

  remove (scope: Scope): void {
    this.#open.remove(scope)
  }

  /** The open scopes, the oldest first. */
  get open (): Iterable<Scope> {
    return this.#open
  }

  stats (): SessionStats {
    const { kind, opened, committed, rolledBack, unknown, lateAccesses } = this
    return { kind, open: this.#open.size, opened, committed, rolledBack, unknown, lateAccesses }
  }

  #warn (warnAfter: number): void {
    this.tick++
    for (const scope of this.#open) {
      if (this.tick - scope.openedTick <= 4) return
      if (scope.warned) continue
      scope.warned = true
      const stack = scope.settings.trace?.tell(scope.trace)
      this.report('warn', { session: this.name, route: scope.route, stack },
        `${this.name} of ${scope.route} has been open for ${warnAfter} milliseconds or more`)
    }
  }

  /** Says what nobody is waiting for any more: in the app's log, or as a process warning where there is none. */
  report (level: 'warn' | 'error', details: Record<string, unknown>, message: string): void {
    if (this.log !== undefined) this.log[level](details, message)
    else process.emitWarning(details['err'] instanceof Error ? `${message}: ${details['err'].message}` : message, 'FastifyRequestSessionWarning')
  }
}
