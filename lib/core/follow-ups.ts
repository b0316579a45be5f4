import { setImmediate as nextTurn } from 'node:timers/promises'
import { OptionError, SessionRefusedError } from '../errors.js'
import { nothing } from '../util/maybe-promise.js'
import { describeType } from '../util/option-rules.js'
import { within } from '../util/within.js'
import { report, type Outcome, type ScopeState } from './events.js'
import type { OpenSessions } from './open-sessions.js'

/** Work after a commit: `committed` once it is certain, `unknown` if its answer was lost. */
interface FollowUp {
  readonly after: 'committed' | 'unknown'
  readonly run: () => unknown
}

/** The part of a scope that its follow-ups need. */
export interface Followed {
  readonly state: ScopeState
  readonly outcome: Outcome
  /** True if the route's config refuses the session. */
  readonly isRefused: boolean
  /** True if no session was opened, and none can be opened any more. */
  readonly isNeverOpened: boolean
  readonly route: string
  /** The name of the session, for errors. */
  readonly called: string
  readonly sessions: { readonly followUps: Set<Promise<void>>, failedFollowUps: number }
  refuseLateAccess (): never
  reportError (error: unknown, message: string): void
}

/** Milliseconds that `app.close()` waits for follow-ups. */
const closingTimeout = 10_000

/** The follow-ups of one scope. Due ones run one after the other, in the order of their addition. */
export class FollowUps {
  readonly #scope: Followed
  #waiting: FollowUp[] = []
  #last: Promise<void> | undefined

  constructor (scope: Followed) {
    this.#scope = scope
  }

  /** Starts it at once if its outcome is known. */
  add (after: FollowUp['after'], run: () => unknown): void {
    const { state, outcome, isRefused, isNeverOpened, called, route } = this.#scope
    if (isRefused) throw new SessionRefusedError(called, route)
    if (typeof run !== 'function') throw new OptionError(`the scope of ${called}`, `a follow-up must be a function; got ${describeType(run)}`)
    const isPast = outcome === 'unused' ? state === 'rolling-back' || isNeverOpened : outcome !== after
    if (isPast && after === 'committed') this.#scope.refuseLateAccess()
    if (isPast) return
    this.#waiting.push({ after, run })
    if (outcome === after) this.start(after)
  }

  /** The outcome is certain: starts the follow-ups that wait for it, and drops the others. */
  start (outcome: Outcome): void {
    const due = this.#waiting.filter(({ after }) => after === outcome)
    this.#waiting = []
    if (due.length === 0) return
    const work = this.#run(due, this.#last)
    this.#last = work
    const { followUps } = this.#scope.sessions
    followUps.add(work)
    work.then(() => { followUps.delete(work) })
  }

  async #run (due: readonly FollowUp[], before: Promise<void> | undefined): Promise<void> {
    await before
    await nextTurn() // the reply leaves first, even if a follow-up takes long before its first `await`
    for (const { run } of due) {
      try {
        await run()
      } catch (error) {
        this.#scope.sessions.failedFollowUps++
        this.#scope.reportError(error, `a follow-up of ${this.#scope.called} of ${this.#scope.route} failed`)
      }
    }
  }
}

/** Waits for all follow-ups, including those that start meanwhile. */
export async function finishFollowUps ({ followUps }: Pick<OpenSessions<never>, 'followUps'>): Promise<void> {
  while (followUps.size > 0) await Promise.all(followUps)
}

/** Waits for all follow-ups when an app closes. After the time limit it logs a warning and stops waiting. */
export async function drainFollowUps (sessions: Pick<OpenSessions<never>, 'followUps' | 'name' | 'log'>): Promise<void> {
  if (sessions.followUps.size === 0) return
  await within(closingTimeout, finishFollowUps(sessions), nothing)
  const { followUps: { size }, name, log } = sessions
  if (size > 0) report(log, 'warn', { session: name }, `${name}: follow-ups of ${size} commits have not ended within ${closingTimeout} milliseconds: the app closes without them`)
}
