import { channel, type Channel } from 'node:diagnostics_channel'

/** The message of every event of the plugin. */
export interface SessionEvent {
  /** The registration's name: `session`, `graph`, or the name of the call outside of Fastify. */
  readonly name: string
  /** The provider's kind: `token`, `graph`, `document`. */
  readonly kind: string
  /** Method and pattern of the route: `GET /people/:id`. */
  readonly route: string
  /** The end of the scope, once it has one. */
  readonly outcome?: 'committed' | 'rolled-back' | 'unknown' | undefined
  /** Milliseconds since the session was opened; `undefined` if nobody listened to its end then. */
  readonly duration?: number | undefined
  readonly error?: unknown
}

/**
 * The channels of `node:diagnostics_channel` that the plugin publishes to: `fastify-request-session:open`,
 * `:commit`, `:rollback`, `:close`, `:expire`, `:late-access`. The message is a `SessionEvent`; `:commit` of a
 * failed commit carries its `error`.
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
  lateAccess: channel('fastify-request-session:late-access'),
} satisfies Record<string, Channel>
