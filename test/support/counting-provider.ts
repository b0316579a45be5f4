import type { FastifyReply } from 'fastify'
import type { MaybePromise } from '../../lib/util/maybe-promise.js'
import type { AnyProvider, ErrorReplies, OpenContext, OpenSession, SessionOpener, SessionProvider } from '../../lib/core/provider.js'
import { barrier, type Barrier } from './barrier.js'

export type Step = 'open' | 'commit' | 'rollback' | 'close'

/** What was done to one session that was opened. */
export interface CountedSession {
  readonly route: string
  commits: number
  rollbacks: number
  closes: number
  /** Whether the reply's headers were out when the commit or rollback was done; `undefined` until then. */
  settledAfterHeaders: boolean | undefined
  /** Whether `close` was asked for while a commit or rollback was under way. */
  closedTooSoon: boolean
  /** Whether the reply was over (its `close` had come) when the session was closed; `undefined` until then. */
  closedAfterReply: boolean | undefined
}

/**
 * Wraps a provider of whatever kind: counts what is asked of it, in order, and lets any step fail or wait. What it
 * wraps answers at once or later, as it likes; nothing is changed about that.
 *
 * @typeParam Exposed what the wrapped provider's sessions are
 */
export class CountingProvider<Exposed = unknown> implements SessionProvider<Exposed, Record<string, unknown>> {
  readonly kind: string
  readonly commits: 'always' | 'success'
  /** All sessions, in the order of opening. */
  readonly sessions: CountedSession[] = []
  /** Every step, as it begins: `['open', 'commit', 'close']`. */
  readonly steps: Step[] = []
  /** What comes before a step: throw or reject to let it fail (the wrapped provider is not asked then), or wait. */
  readonly before: Partial<Record<Exclude<Step, 'open'>, () => MaybePromise<void>>> & { open?: () => void } = {}
  readonly #inner: AnyProvider
  readonly #waiting: Barrier[] = []

  constructor (inner: AnyProvider) {
    this.#inner = inner
    this.kind = inner.kind
    this.commits = inner.commits
  }

  get opened (): number { return this.sessions.length }
  get open (): number { return this.sessions.filter(({ closes }) => closes === 0).length }

  /** Resolves once a session was opened and none is open. */
  async allClosed (): Promise<void> {
    while (this.opened === 0 || this.open > 0) {
      const waiting = barrier()
      this.#waiting.push(waiting)
      await waiting.opened
    }
  }

  forRoute (options: Record<string, unknown> | undefined, where: string): SessionOpener<Exposed> {
    return this.#counted(this.#inner.forRoute(options, where) as SessionOpener<Exposed>)
  }

  forCall (options: Record<string, unknown> | undefined, where: string): SessionOpener<Exposed> {
    return this.#counted(this.#inner.forCall(options, where) as SessionOpener<Exposed>)
  }

  #counted (opener: SessionOpener<Exposed>): SessionOpener<Exposed> {
    return { early: opener.early, open: (context) => this.#open(opener, context) }
  }

  #open (opener: SessionOpener<Exposed>, context: OpenContext): OpenSession<Exposed> & ErrorReplies {
    this.steps.push('open')
    this.before.open?.()
    const inner: OpenSession<Exposed> & Partial<ErrorReplies> = opener.open(context)
    const raw = context.reply?.raw
    const counted: CountedSession = {
      route: context.route, commits: 0, rollbacks: 0, closes: 0, settledAfterHeaders: undefined, closedTooSoon: false, closedAfterReply: undefined,
    }
    this.sessions.push(counted)
    let replyOver = false
    for (const event of ['finish', 'error', 'close']) raw?.prependOnceListener(event, () => { replyOver = true })
    const settled = (): void => { counted.settledAfterHeaders = raw?.headersSent ?? false }
    return {
      session: inner.session,
      replyTo: (error) => inner.replyTo?.(error),
      beforeHeaders: (commitFollows) => { inner.beforeHeaders?.(commitFollows) },
      commit: () => {
        counted.commits++
        return this.#step('commit', () => inner.commit?.(), settled)
      },
      rollback: () => {
        counted.rollbacks++
        return this.#step('rollback', () => inner.rollback?.(), settled)
      },
      close: () => this.#step('close', () => {
        counted.closedTooSoon = counted.settledAfterHeaders === undefined && counted.commits + counted.rollbacks > 0
        return inner.close()
      }, () => {
        counted.closes++
        // A stream of HTTP/2 is destroyed, and a reply finished, a moment before their events come.
        counted.closedAfterReply = replyOver || isFinished(raw)
        for (const waiting of this.#waiting.splice(0)) waiting.open()
      }),
    }
  }

  /** @param over called once the step is done, well or not */
  #step (step: Exclude<Step, 'open'>, run: () => MaybePromise<void>, over: () => void): MaybePromise<void> {
    this.steps.push(step)
    let result: MaybePromise<void>
    try {
      const waited = this.before[step]?.()
      result = waited === undefined ? run() : waited.then(run)
    } catch (error) {
      over()
      throw error
    }
    if (result === undefined) return over()
    return result.finally(over)
  }
}

function isFinished (reply: FastifyReply['raw'] | undefined): boolean {
  const { writableFinished, destroyed, stream } = (reply ?? {}) as { writableFinished?: boolean, destroyed?: boolean, stream?: { destroyed?: boolean } }
  return writableFinished === true || destroyed === true || stream?.destroyed === true
}
