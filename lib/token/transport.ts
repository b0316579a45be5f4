import { parseCookie, stringifySetCookie, type SetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { checkOptions, oneOf, rules, type Rule } from '../util/option-rules.js'
import { OptionError } from '../errors.js'

/** How a token travels between client and server. Two functions: bring your own, or take one of the two below. */
export interface TokenTransport {
  /** The token that the client presents, unchecked; `undefined` if there is none, or more than one. */
  read (request: FastifyRequest): string | undefined
  /**
   * Gives the client a token, or takes it away (`undefined`). Called before the headers leave.
   * @param expiresAt milliseconds since the epoch; `null`: never
   */
  write (reply: FastifyReply, token: string | undefined, expiresAt: number | null): void
}

/** A transport that says where it puts the token, so that two of one app do not overwrite each other's. */
export interface PlacedTransport extends TokenTransport {
  /** For errors: `header authorization`. */
  readonly place: string
}

/** Options of the cookie (RFC 6265 and its successor, draft-ietf-httpbis-rfc6265bis). */
export interface CookieOptions {
  /** @default '__Host-session' where `secure`, `path` and `domain` allow it, '__Secure-session' where only `secure` does, else 'session' */
  name?: string | undefined
  /** @default none: this host only */
  domain?: string | undefined
  /** @default '/' */
  path?: string | undefined
  /**
   * Whether browsers send the cookie over HTTPS only. `'auto'`: in production (`NODE_ENV=production`).
   * @default 'auto'
   */
  secure?: boolean | 'auto' | undefined
  /** @default 'lax' */
  sameSite?: 'strict' | 'lax' | 'none' | undefined
  /** Whether the cookie is hidden from the page's scripts. @default true */
  httpOnly?: boolean | undefined
  /** Whether an embedded page's cookie is kept apart for each embedding site (CHIPS). @default false */
  partitioned?: boolean | undefined
}

const cookieRules: Record<keyof CookieOptions, Rule> = {
  name: {
    allowed: "a cookie name: letters, digits and !#$%&'*+-.^_`|~",
    test: (value) => typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value),
  },
  domain: {
    allowed: 'a host name, without a leading dot',
    test: (value) => typeof value === 'string' && /^[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/i.test(value),
  },
  path: { allowed: 'a path that starts with /', test: (value) => typeof value === 'string' && /^\/[\x20-\x3a\x3c-\x7e]*$/.test(value) },
  secure: oneOf(true, false, 'auto'),
  sameSite: oneOf('strict', 'lax', 'none'),
  httpOnly: rules.boolean,
  partitioned: rules.boolean,
}

/** The longest life that browsers give a cookie, in seconds: 400 days (rfc6265bis, section 5.5). */
const maxCookieAge = 34_560_000

/**
 * The token in a cookie: the default.
 * @throws OptionError (`FST_SESSION_OPTION`), also for combinations that a browser would drop in silence
 */
export function cookieTransport (options?: CookieOptions): PlacedTransport {
  const where = 'cookieTransport()'
  const checked = checkOptions<CookieOptions>(where, options, cookieRules)
  const { domain, path = '/', sameSite = 'lax', httpOnly = true, partitioned = false } = checked
  const secure = checked.secure === undefined || checked.secure === 'auto' ? process.env['NODE_ENV'] === 'production' : checked.secure
  const name = checked.name ?? (!secure ? 'session' : domain === undefined && path === '/' ? '__Host-session' : '__Secure-session')
  const refuse = (problem: string): never => { throw new OptionError(where, `browsers would drop this cookie: ${problem}`) }
  if (/^__host-/i.test(name) && !(secure && domain === undefined && path === '/')) refuse(`the name ${name} needs secure: true, path: '/' and no domain`)
  if (/^__secure-/i.test(name) && !secure) refuse(`the name ${name} needs secure: true`)
  if (sameSite === 'none' && !secure) refuse("sameSite: 'none' needs secure: true")
  if (partitioned && !secure) refuse('partitioned: true needs secure: true')

  const attributes: SetCookie = { name, value: '', path, httpOnly, secure, sameSite, partitioned, ...domain !== undefined && { domain } }
  const pair = `${name}=`
  let warned = false

  function warnOnce (reply: FastifyReply): void {
    warned = true
    reply.log.warn(`the session cookie ${name} is for HTTPS only, and this request came over HTTP: the browser may drop it. ` +
      'Behind a proxy that ends TLS set Fastify\'s option trustProxy, so that the request is known as HTTPS; for plain HTTP set `secure: false`.')
  }

  return {
    place: `cookie ${name} (${domain ?? 'this host'}, path ${path})`,
    read (request) {
      const header = request.headers.cookie
      const first = header?.indexOf(pair) ?? -1
      if (header === undefined || first < 0) return undefined
      const repeated = header.includes(pair, first + pair.length) && isRepeated(header, pair)
      return repeated ? undefined : parseCookie(header)[name]
    },
    write (reply, token, expiresAt) {
      if (secure && !warned && reply.request.protocol === 'http') warnOnce(reply)
      const life = expiresAt === null ? maxCookieAge : Math.ceil((expiresAt - Date.now()) / 1000)
      const maxAge = token === undefined ? 0 : Math.min(life, maxCookieAge)
      takeBack(reply, pair)
      reply.header('set-cookie', stringifySetCookie({ ...attributes, value: token ?? '', maxAge }))
    },
  }
}

/** Of what this reply sets under one name only the last may stay (RFC 6265, section 4.1.1). */
function takeBack (reply: FastifyReply, pair: string): void {
  const set = reply.getHeader('set-cookie')
  if (set === undefined) return
  const others = [set].flat().map(String).filter((cookie) => !cookie.startsWith(pair))
  reply.removeHeader('set-cookie')
  if (others.length > 0) reply.header('set-cookie', others)
}

/** Two cookies of one name: somebody else may have set one of them, and which is ours cannot be told. */
function isRepeated (header: string, pair: string): boolean {
  return header.split(';').filter((part) => part.trimStart().startsWith(pair)).length > 1
}

/** Of some headers Node keeps the first and drops the others in silence. */
function isSentTwice (rawHeaders: readonly string[], name: string): boolean {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) times++
  return times > 1
}

/** Options of the header. */
export interface HeaderOptions {
  /** @default 'authorization' */
  name?: string | undefined
  /**
   * The word before the token; `null`: the header is the token alone.
   * @default 'Bearer' (RFC 6750) for `authorization`, else null
   */
  scheme?: string | null | undefined
}

const isFieldName = (value: unknown): boolean => typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value)

/**
 * The token in a request header, for clients that keep it themselves. A new token is sent in the reply's header of
 * the same name; an empty one says that the session has ended.
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function headerTransport (options?: HeaderOptions): PlacedTransport {
  const checked = checkOptions<HeaderOptions>('headerTransport()', options, {
    name: { allowed: 'the name of a header', test: isFieldName },
    scheme: { allowed: 'a word, or null for none', test: (value) => value === null || isFieldName(value) },
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
    },
  }
}
