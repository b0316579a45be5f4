import { keepPrivate } from './private-replies.js'
import { isToken, type PlacedTransport } from './transport.js'
import { checkOptions } from '../../util/option-rules.js'

/**
 * Options of the header.
 *
 * @example
 * ```ts
 * import { headerTransport, tokenSessions, type HeaderOptions } from 'fastify-request-session'
 *
 * const options: HeaderOptions = { name: 'x-session' }
 * export const users = tokenSessions({ transport: headerTransport(options) })
 * ```
 */
export interface HeaderOptions {
  /** Used in requests and replies. A header that HTTP defines is refused. @default 'authorization' */
  name?: string | undefined
  /**
   * The word before the token; `null`: the header is the token alone.
   * @default 'Bearer' (RFC 6750) for `authorization`, else null
   */
  scheme?: string | null | undefined
}

/** Headers that HTTP, Node, browsers or proxies define, set or drop: a token in one would break the reply, or never arrive. */
const reserved = new RegExp('^(?:__proto__|age|allow|alt-svc|cache-control|clear-site-data|connection|cookie2?|date|etag|expect|expires|forwarded|from|host|http2-settings|keep-alive|' +
  'last-modified|link|location|max-forwards|origin|pragma|range|referer|refresh|retry-after|server|server-timing|set-cookie2?|strict-transport-security|' +
  'surrogate-control|te|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|.*-cache-control|' +
  '(?:accept|access-control|content|cross-origin|if|proxy|sec|x-accel|x-forwarded)-.*|accept)$')

/**
 * Keeps the token in a request header, for clients other than browsers. A new token is sent in the reply's header of the same name;
 * an empty one means that the session has ended. A reply with a token is kept out of shared caches.
 *
 * @throws OptionError (`FST_SESSION_OPTION`)
 * @example
 * ```ts
 * import { headerTransport, tokenSessions } from 'fastify-request-session'
 *
 * export const devices = tokenSessions({ transport: headerTransport({ name: 'authorization', scheme: 'Bearer' }) })
 * ```
 */
export function headerTransport (options?: HeaderOptions): PlacedTransport {
  const checked = checkOptions<HeaderOptions>('headerTransport()', options, {
    name: { allowed: 'the name of a header that HTTP gives no other meaning', test: (value) => isToken(value) && !reserved.test(value.toLowerCase()), harmless: true },
    scheme: { allowed: 'a word, or null for none', test: (value) => value === null || isToken(value) },
  })
  const name = (checked.name ?? 'authorization').toLowerCase()
  const scheme = checked.scheme === undefined ? (name === 'authorization' ? 'Bearer' : null) : checked.scheme
  const prefix = scheme === null ? '' : `${scheme} `
  return {
    place: `header ${name}`,
    read (request) {
      const header = request.headers[name]
      if (typeof header !== 'string' || header.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase()) return undefined
      return isSentTwice(request.raw.rawHeaders, name) ? undefined : header.slice(prefix.length).trim()
    },
    write (reply, token) {
      reply.header(name, token === undefined ? '' : prefix + token)
      keepPrivate(reply, name)
    },
    present: (token) => ({ [name]: prefix + token }),
    receive: (headers) => headers.get(name)?.slice(prefix.length) || undefined,
    protect (reply) {
      if (reply.getHeader(name) !== undefined) keepPrivate(reply, name)
    },
  }
}

/** Node keeps only the first of some repeated headers, without a sign of the others. */
function isSentTwice (rawHeaders: readonly string[], name: string): boolean {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) times++
  return times > 1
}
