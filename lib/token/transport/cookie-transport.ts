import { parseCookie, stringifySetCookie, type SetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { domainAllowed, domainOfReplies, isCookieDomain, type CookieDomain } from './cookie-domain.js'
import { keepPrivate } from './private-replies.js'
import { isToken, type PlacedTransport } from './transport.js'
import { checkOptions, oneOf, rules, type Rule } from '../../util/option-rules.js'
import { OptionError } from '../../errors.js'

/** The cookie's transport: a browser may send several cookies of one name, of other paths or domains. */
export interface CookieTransport extends PlacedTransport {
  /** The values of all cookies of this name, in the order of the header. `read` returns none if there is more than one. */
  readAll (request: FastifyRequest): readonly string[]
  /** True or false for a cookie whose life `session.persist()` has set, against the transport's rule; else `undefined`. */
  isPersistent (request: FastifyRequest): boolean | undefined
}

/**
 * Options of the cookie (RFC 6265 and its successor, draft-ietf-httpbis-rfc6265bis).
 *
 * @example
 * ```ts
 * import { cookieTransport, tokenSessions, type CookieOptions } from 'fastify-request-session'
 *
 * const options: CookieOptions = { name: 'shop', path: '/shop', sameSite: 'strict' }
 * export const users = tokenSessions({ transport: cookieTransport(options) })
 * ```
 */
export interface CookieOptions {
  /** @default '__Host-session' where `secure`, `path` and `domain` allow it, '__Secure-session' where only `secure` does, else 'session' */
  name?: string | undefined
  /**
   * The domain of all hosts that get the cookie, without a leading dot: `example.com`. A function returns that of each request, or `undefined` for
   * its host only: for tenants with their own domains. The log warns if the request's host is not in the domain: browsers drop such a cookie.
   * @default none: this host only
   */
  domain?: string | ((request: FastifyRequest) => string | undefined) | undefined
  /** The cookie is sent to this path and those below it. @default '/' */
  path?: string | undefined
  /**
   * `true`: browsers send the cookie over HTTPS only. `'auto'`: true in production (`NODE_ENV=production`, read when the transport is made), and
   * elsewhere if the request came over HTTPS (Fastify's `request.protocol`, which considers proxies with `trustProxy`). The
   * default name depends on `NODE_ENV` alone: it is the same for every request.
   * @default 'auto'
   */
  secure?: boolean | 'auto' | undefined
  /** `'none'` sends the cookie from pages of other sites too, and needs `secure: true`. @default 'lax' */
  sameSite?: 'strict' | 'lax' | 'none' | undefined
  /** `true` hides the cookie from the page's scripts. @default true */
  httpOnly?: boolean | undefined
  /** `true` keeps the cookie of an embedded page apart for each embedding site (CHIPS). @default false */
  partitioned?: boolean | undefined
  /**
   * `true`: the cookie lives as long as the session. `false`: it ends with the browser, unless `session.persist(true)` was called; the
   * session expires by its `ttl` in both cases. @default true
   */
  persistent?: boolean | undefined
}

/** Browsers drop a cookie if its name and value have more bytes than this (rfc6265bis, section 5.7). */
const maxCookie = 4096
/** The longest form of a token, in characters, with a mark behind it. */
const maxToken = 45
/**
 * The marks behind the token in a cookie that lives longer or shorter than the transport's rule: later replies follow them, and no store
 * needs to know. The client may change the life of its cookie anyway. No token contains a dot.
 */
const [outlivingMark, endingMark] = ['.p', '.b']
/** Cookies of one name that are read: a browser has a few, of other paths and domains. A header of a hostile client may have thousands. */
const maxCookies = 32
/** Browsers ignore an attribute that has more bytes than this. */
const maxAttribute = 1024
/** The longest life of a cookie in browsers, in seconds: 400 days (rfc6265bis, section 5.5). */
const maxCookieAge = 34_560_000

const cookieRules: Record<keyof CookieOptions, Rule> = {
  name: {
    allowed: `a cookie name: 1 to ${maxCookie - maxToken} letters, digits and !#$%&'*+-.^_\`|~`,
    test: (value) => isToken(value) && value.length <= maxCookie - maxToken,
    harmless: true,
  },
  domain: {
    allowed: `${domainAllowed}. Or a function of the request that returns one`,
    test: (value) => typeof value === 'function' || isCookieDomain(value),
    harmless: true,
  },
  path: {
    allowed: `a path as it stands in a URL, of at most ${maxAttribute} characters: it starts with / and has no query, no . or .. between slashes, and no character that browsers escape`,
    test: (value) => typeof value === 'string' && value.length <= maxAttribute && /^\/[^;?#"<>\\^`{}]*$/.test(value) && /^[!-~]*$/.test(value) && !/\/\.\.?(?:\/|$)/.test(value),
    harmless: true,
  },
  secure: oneOf(true, false, 'auto'),
  sameSite: oneOf('strict', 'lax', 'none'),
  httpOnly: rules.boolean,
  partitioned: rules.boolean,
  persistent: rules.boolean,
}

/** Distinguishes options of the cookie from misspelt ones, for errors of those that take a transport. Others have a `name` too. */
export function cookieHint (name: string): string {
  return name !== 'name' && Object.hasOwn(cookieRules, name) ? `. It belongs to cookieTransport(): write tokenSessions({ transport: cookieTransport({ ${name}: … }) })` : ''
}

/**
 * Keeps the token in a cookie. This is the default transport: a cookie `__Host-session` in production, `session` elsewhere, with
 * `HttpOnly`, `SameSite=Lax` and `Path=/`. A reply that sets the cookie is kept out of shared caches.
 *
 * @throws OptionError (`FST_SESSION_OPTION`), also for combinations that a browser would drop in silence
 * @example
 * ```ts
 * import { cookieTransport, tokenSessions } from 'fastify-request-session'
 *
 * export const users = tokenSessions({
 *   ttl: 1800, // seconds
 *   transport: cookieTransport({ name: 'shop', domain: 'example.com', secure: true, sameSite: 'strict' }),
 * })
 * ```
 */
export function cookieTransport (options?: CookieOptions): CookieTransport {
  const { name, attributes, isAuto, isPersistent, domain } = cookieOf('cookieTransport()', checkOptions<CookieOptions>('cookieTransport()', options, cookieRules))
  const domainOf = domainOfReplies(domain, name)
  let warned = false

  function warnOnce (reply: FastifyReply): void {
    warned = true
    reply.log.warn(`the session cookie ${name} is for HTTPS only, and this request came over HTTP: the browser may drop it. ` +
      'Behind a proxy that ends TLS set Fastify\'s option trustProxy, so that the request is known as HTTPS; for plain HTTP set `secure: false`.')
  }

  return {
    place: `cookie ${name}`,
    read (request) {
      const header = request.headers.cookie
      const at = header === undefined ? -1 : findCookie(header, name, 0)
      if (header === undefined || at < 0 || findCookie(header, name, at + 1) >= 0) return undefined
      const end = header.indexOf(';', at)
      const value = parseCookie(header.slice(at, end < 0 ? undefined : end))[name]
      return value === undefined ? undefined : tokenOf(value)
    },
    readAll (request) {
      return cookiesOf(request, name).map(tokenOf)
    },
    isPersistent (request) {
      const mark = cookiesOf(request, name).map(markOf).find((mark) => mark !== '')
      return mark === undefined ? undefined : mark === outlivingMark
    },
    write (reply, token, expiresAt, persistent = isPersistent) {
      const secure = attributes.secure || (isAuto && reply.request.protocol === 'https')
      if (secure && !warned && reply.request.protocol === 'http') warnOnce(reply)
      const life = expiresAt === null ? maxCookieAge : Math.ceil((expiresAt - Date.now()) / 1000)
      const maxAge = token === undefined ? 0 : Math.min(life, maxCookieAge)
      const mark = persistent === isPersistent ? '' : persistent ? outlivingMark : endingMark
      const domain = domainOf(reply)
      takeBack(reply, name)
      reply.header('set-cookie', stringifySetCookie({
        ...attributes, secure, ...domain !== undefined && { domain }, value: token === undefined ? '' : token + mark, ...(token === undefined || persistent) && { maxAge },
      }))
      keepPrivate(reply, 'cookie')
    },
    present: (token) => ({ cookie: `${name}=${token}` }),
    receive (headers) {
      const cookie = headers.getSetCookie().findLast((cookie) => nameOf(cookie) === name)
      return cookie === undefined ? undefined : tokenOf(parseCookie(cookie)[name] ?? '') || undefined
    },
    protect (reply) {
      if (reply.hasHeader('set-cookie') && cookiesSet(reply).some((cookie) => nameOf(cookie) === name)) keepPrivate(reply, 'cookie')
    },
  }
}

interface Cookie {
  readonly name: string
  readonly attributes: SetCookie & { readonly path: string, readonly secure: boolean }
  /** True if a request over HTTPS makes the cookie `Secure`. */
  readonly isAuto: boolean
  /** True if the cookie outlives the browser, unless its session says otherwise. */
  readonly isPersistent: boolean
  readonly domain: CookieDomain
}

/** @throws OptionError (`FST_SESSION_OPTION`) */
function cookieOf (where: string, { name: ownName, domain, path = '/', secure: ownSecure = 'auto', sameSite = 'lax', httpOnly = true, partitioned = false, persistent: isPersistent = true }: CookieOptions): Cookie {
  const isAuto = ownSecure === 'auto'
  const secure = ownSecure === 'auto' ? process.env['NODE_ENV'] === 'production' : ownSecure
  const name = ownName ?? (!secure ? 'session' : domain === undefined && path === '/' ? '__Host-session' : '__Secure-session')
  const attributes = { name, value: '', path, httpOnly, secure, sameSite, partitioned, ...typeof domain === 'string' && { domain } }
  const refuse = (problem: string): never => { throw new OptionError(where, `browsers would drop this cookie: ${problem}`) }
  const isHost = /^__host-/i.test(name)
  if (/^__(?:secure|http)-/i.test(name) && !secure) refuse(`the name ${name} needs secure: true`)
  if (isHost && !(secure && domain === undefined && path === '/')) refuse(`the name ${name} needs secure: true, path: '/' and no domain`)
  if (/^__(?:host-)?http-/i.test(name) && !httpOnly) refuse(`the name ${name} needs httpOnly: true`)
  if (sameSite === 'none' && !secure) refuse("sameSite: 'none' needs secure: true")
  if (partitioned && !secure) refuse('partitioned: true needs secure: true')
  try {
    stringifySetCookie({ ...attributes, value: 'a'.repeat(maxToken), maxAge: 0 })
  } catch (error) {
    throw new OptionError(where, (error as Error).message) // a value that passes the rules above must not fail at the first login
  }
  return { name, attributes, isAuto, isPersistent, domain }
}

/**
 * The index of the next cookie of this name, or -1. It sees the cookies that `parseCookie` sees: blanks and tabs around a
 * name do not count.
 */
function findCookie (header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at >= 0; at = header.indexOf(name, at + 1)) {
    let before = at - 1
    while (header[before] === ' ' || header[before] === '\t') before--
    if (before >= 0 && header[before] !== ';') continue
    let after = at + name.length
    while (header[after] === ' ' || header[after] === '\t') after++
    if (header[after] === '=') return at
  }
  return -1
}

/** The values of all cookies of a name, in the order of the header, as `parseCookie` reads them. */
function cookiesOf ({ headers: { cookie: header = '' } }: FastifyRequest, name: string): string[] {
  const values: string[] = []
  for (let at = findCookie(header, name, 0), read = 0; at >= 0 && read < maxCookies; at = findCookie(header, name, at + 1), read++) {
    const value = parseCookie(header.slice(at).split(';', 1)[0] ?? '')[name]
    if (value !== undefined) values.push(value)
  }
  return values
}

/** A cookie's value without its mark. */
function tokenOf (value: string): string {
  return value.endsWith(outlivingMark) || value.endsWith(endingMark) ? value.slice(0, -2) : value
}

/** The mark at the end of a cookie's value; an empty text where there is none. */
function markOf (value: string): string {
  return value.endsWith(outlivingMark) ? outlivingMark : value.endsWith(endingMark) ? endingMark : ''
}

function cookiesSet (reply: FastifyReply): string[] {
  return [reply.getHeader('set-cookie') ?? []].flat().map(String)
}

/** The name of a cookie that a reply sets, as browsers read it. */
function nameOf (cookie: string): string {
  return cookie.slice(0, Math.max(cookie.indexOf('='), 0)).trim()
}

/** A reply sets each cookie once (RFC 6265, section 4.1.1): removes earlier ones of this name. */
function takeBack (reply: FastifyReply, name: string): void {
  const set = cookiesSet(reply)
  if (set.length === 0) return
  const others = set.filter((cookie) => nameOf(cookie) !== name)
  reply.removeHeader('set-cookie')
  if (others.length > 0) reply.header('set-cookie', others)
}
