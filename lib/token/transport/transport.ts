import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * How a token travels between client and server: `cookieTransport()`, `headerTransport()`, or two functions of your own.
 * A reply with a token must not be cached for others: set `Cache-Control` in `write`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type TokenTransport } from 'fastify-request-session'
 *
 * const inQuery: TokenTransport = {
 *   read: (request) => (request.query as { token?: string }).token,
 *   write: (reply, token) => { reply.header('x-token', token ?? '').header('cache-control', 'no-store') },
 * }
 * export const users = tokenSessions({ transport: inQuery })
 * ```
 */
export interface TokenTransport {
  /** The token that the client presents, unchecked; `undefined` if there is none, or more than one. */
  read (request: FastifyRequest): string | undefined
  /**
   * Sends the client a token, or clears it (`undefined`). Called before the headers are sent.
   * @param expiresAt milliseconds since the epoch; `null`: never
   * @param persistent true if the client keeps the token when the browser ends, as set by `session.persist()`; `undefined`: the transport's rule
   */
  write (reply: FastifyReply, token: string | undefined, expiresAt: number | null, persistent?: boolean): void
  /** The headers of a request that presents the token: `users.inject()` of tests needs it. */
  present? (token: string): Readonly<Record<string, string>>
  /** The token that a reply's headers set; `undefined`: none. `users.sessionOf()` of tests needs it. */
  receive? (headers: Headers): string | undefined
}

/** A transport that names its place in requests and replies, so that two transports of an app do not overwrite each other's tokens. */
export interface PlacedTransport extends TokenTransport {
  /** For errors: `header authorization`. */
  readonly place: string
  /** Keeps a reply with a token of this transport out of shared caches: its headers may have changed since `write`. */
  protect (reply: FastifyReply): void
}

/** True for a token of RFC 9110, section 5.6.2: the name of a cookie or a header. */
export function isToken (value: unknown): value is string {
  return typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value)
}
