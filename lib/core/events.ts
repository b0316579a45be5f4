import { channel, type Channel } from 'node:diagnostics_channel'

/** What every event of the plugin carries. */
export interface SessionEvent {
  /** The registration's name: `session`, `graph`, or the name of the call outside of Fastify. */
  readonly name: string
  /** The provider's kind: `token`, `graph`, `document`. */
  readonly kind: string
  /** Method and pattern of the route: `GET /people/:id`. */
  readonly route: string
  /** How the scope ended, once it did. */
  readonly outcome?: 'committed' | 'rolled-back' | 'unknown' | undefined
  /** Milliseconds since the session was opened. */
  readonly duration?: number | undefined
  readonly error?: unknown
}

/**
 * The channels of `node:diagnostics_channel` that the plugin publishes to: `fastify-request-session:open`,
 * `:commit`, `:rollback`, `:close`, `:expire`, `:late-access`. The message is a `SessionEvent`; `:commit` of a
 * failed commit carries its `error`.
 */
export const channels = {
  open: channel('fastify-request-session:open'),
  commit: channel('fastify-request-session:commit'),
  rollback: channel('fastify-request-session:rollback'),
  close: channel('fastify-request-session:close'),
  expire: channel('fastify-request-session:expire'),
  lateAccess: channel('fastify-request-session:late-access'),
} satisfies Record<string, Channel>

/** Whether anybody wants to know how long sessions are open. */
export function isObserved (): boolean {
  return channels.close.hasSubscribers || channels.commit.hasSubscribers || channels.rollback.hasSubscribers || channels.lateAccess.hasSubscribers
}
