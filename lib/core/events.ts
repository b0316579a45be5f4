import { channel, type Channel } from 'node:diagnostics_channel'

/**
 * The end of a request's session.
 *
 * - `committed`: the work was kept. Includes sessions that were only read; `sessionStats()` counts those as `readOnly` too.
 * - `rolled-back`: the work was dropped, because the handler or the commit failed, the client left, or the app asked for it.
 * - `failed`: the session could not be read.
 * - `anonymous`: the store failed, and the request continued without a session (`onStoreError: 'anonymous'`).
 * - `unknown`: the answer to the commit was lost.
 * - `unused`: not settled yet.
 *
 * @example
 * ```ts
 * import { channels, type Outcome, type SessionEvent } from 'fastify-request-session'
 *
 * const counts = new Map<Outcome | undefined, number>()
 * channels.close.subscribe((message) => {
 *   const { outcome } = message as SessionEvent
 *   counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
 * })
 * ```
 */
export type Outcome = 'unused' | 'committed' | 'rolled-back' | 'failed' | 'anonymous' | 'unknown'

/**
 * The state of a request's session; from `committed` to `unknown` as its `Outcome`.
 *
 * @example
 * ```ts
 * import type { SessionScope, ScopeState } from 'fastify-request-session'
 *
 * const unsettled: readonly ScopeState[] = ['unopened', 'open', 'committing', 'rolling-back']
 * export const isSettled = (scope: SessionScope) => !unsettled.includes(scope.state)
 * ```
 */
export type ScopeState = 'unopened' | 'open' | 'committing' | 'rolling-back' | Exclude<Outcome, 'unused'> | 'closed'

/**
 * The message of every event of the plugin.
 *
 * @example
 * ```ts
 * import { channels, type SessionEvent } from 'fastify-request-session'
 *
 * channels.open.subscribe((message) => {
 *   const { kind, route } = message as SessionEvent
 *   console.log(`a ${kind} session was opened by ${route}`)
 * })
 * ```
 */
export interface SessionEvent {
  /** The registration's name: `session`, `graph`, or the name of the call outside of Fastify. */
  readonly name: string
  /** The provider's kind: `token`, `graph`, `document`. */
  readonly kind: string
  /** Method and pattern of the route: `GET /people/:id`. */
  readonly route: string
  /** The end of the scope, once it has one. */
  readonly outcome?: Exclude<Outcome, 'unused'> | undefined
  /** Milliseconds since the session was opened; `undefined` if no channel had a subscriber then. */
  readonly duration?: number | undefined
  readonly error?: unknown
}

/**
 * The channels of `node:diagnostics_channel` that the plugin publishes to: `fastify-request-session:open`,
 * `:commit`, `:rollback`, `:close`, `:expire`, `:invalid-data`, `:late-access`. The message is a `SessionEvent`; `:commit` of a
 * session that could not be read or saved carries the `error`, and `:invalid-data` the one of data that do not fit.
 *
 * @example
 * ```ts
 * import { channels, type SessionEvent } from 'fastify-request-session'
 *
 * channels.commit.subscribe((message) => {
 *   const { route, outcome, duration } = message as SessionEvent
 *   console.log(`${route}: ${outcome} after ${duration} ms`)
 * })
 * ```
 */
export const channels = {
  open: channel('fastify-request-session:open'),
  commit: channel('fastify-request-session:commit'),
  rollback: channel('fastify-request-session:rollback'),
  close: channel('fastify-request-session:close'),
  expire: channel('fastify-request-session:expire'),
  invalidData: channel('fastify-request-session:invalid-data'),
  lateAccess: channel('fastify-request-session:late-access'),
} satisfies Record<string, Channel>

/** The two levels of a Fastify logger that the plugin uses. */
export interface Log {
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

/** Reports a failure that no caller receives: in the app's log, or as a process warning without one. */
export function report (log: Log | undefined, level: keyof Log, details: { readonly err?: unknown, [field: string]: unknown }, message: string): void {
  if (log !== undefined) log[level](details, message)
  else process.emitWarning('err' in details ? `${message}: ${messageOf(details.err)}` : message, 'FastifyRequestSessionWarning')
}

/** The text of anything that was thrown. Not all has one: an object without a prototype, say. */
export function messageOf (thrown: unknown): string {
  try {
    return String(Object(thrown).message ?? thrown)
  } catch {
    return 'an error without a text'
  }
}
