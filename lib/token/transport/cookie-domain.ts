import { isIPv4 } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { OptionError } from '../../errors.js'
import { atOnce } from '../../util/maybe-promise.js'
import { show } from '../../util/option-rules.js'

/** The domain of a cookie, for all requests or by request; `undefined`: the request's host only. */
export type CookieDomain = string | ((request: FastifyRequest) => string | undefined) | undefined

export const domainAllowed = 'a domain such as example.com, without a leading dot; leave it out for a cookie of this host alone. Browsers take no cookie for a top-level domain'

/** One label is a top-level domain (but for `localhost`), and a last label that is a number makes an IP address. */
export function isCookieDomain (value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 253) return false
  const labels = value.split('.')
  if (!labels.every((label) => /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i.test(label))) return false
  if (labels.length === 1) return value.toLowerCase() === 'localhost'
  return !/^(?:\d+|0x[\da-f]*)$/i.test(labels.at(-1) as string) || isIPv4(value)
}

/** Maximum warnings about domains of a cookie: a client may send any host. */
const maxWarned = 100

/**
 * Creates the function that returns the domain of each reply's cookie. Browsers drop a cookie if the request's host is not in its domain
 * (rfc6265bis, section 5.7): the log warns of each such domain once. The function throws OptionError (`FST_SESSION_OPTION`) if the
 * app's own function returns no domain.
 */
export function domainOfReplies (domain: CookieDomain, cookie: string): (reply: FastifyReply) => string | undefined {
  const warned = new Set<string>()
  return (reply) => {
    const { request } = reply
    const own = typeof domain === 'function' ? atOnce(domain(request)) : domain
    if (own === undefined) return undefined
    if (!isCookieDomain(own)) throw new OptionError('cookieTransport()', `the function domain must return ${domainAllowed}; got ${show(own)}`)
    const host = request.hostname.toLowerCase()
    const name = own.toLowerCase()
    if (host !== name && !host.endsWith(`.${name}`) && !warned.has(name) && warned.size < maxWarned) {
      warned.add(name)
      reply.log.warn(`the session cookie ${cookie} is for the domain ${own}, and this request is for the host ${host}: the browser drops it. ` +
        'Behind a proxy that changes the host set Fastify\'s option trustProxy.')
    }
    return own
  }
}
