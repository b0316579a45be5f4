import type { FastifyReply } from 'fastify'

/** Directives that let shared caches store a reply, or have no meaning if they must not. `private="x-field"` lets them store the rest. */
const ofSharedCaches = /^(?:public|private|s-maxage|proxy-revalidate|must-understand)(?:\s*=|$)/i
/** A directive with its value, which may be quoted and have commas then. */
const directive = /(?:[^,"]|"(?:\\.|[^"\\])*"?)+/g
/** Headers that CDNs prefer: `CDN-Cache-Control` (RFC 9213) and those with a CDN's name as a prefix. */
const targeted = /(?:^|-)cache-control$/

/**
 * Keeps a reply with a session's token out of shared caches: they store a `Set-Cookie` with the reply, and the next visitor
 * would get it (RFC 9111, section 7.3). No cache stores an error. Other replies stay in the browser's
 * cache: `no-store` would cost pages their place in the back-forward cache.
 * @param vary the request's header that the token comes in
 */
export function keepPrivate (reply: FastifyReply, vary: string): void {
  const isError = reply.statusCode >= 400
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (name === 'surrogate-control') reply.header(name, 'no-store')
    else if (name === 'x-accel-expires') reply.header(name, '0')
    else if (name !== 'cache-control' && targeted.test(name)) reply.header(name, isError ? 'no-store' : withoutSharing(textOf(value)))
  }
  const cacheControl = textOf(reply.getHeader('cache-control'))
  const kept = isError ? 'no-store' : withoutSharing(cacheControl)
  if (kept !== cacheControl) reply.header('cache-control', kept)
  const varies = textOf(reply.getHeader('vary'))
  const names = varies.split(',').map((name) => name.trim().toLowerCase())
  if (!names.includes('*') && !names.includes(vary)) reply.header('vary', varies.trim() === '' ? vary : `${varies}, ${vary}`)
}

/** Returns the text unchanged if it already excludes shared caches. */
function withoutSharing (cacheControl: string): string {
  const given = (cacheControl.match(directive) ?? []).map((each) => each.trim()).filter((each) => each !== '')
  const kept = given.filter((each) => !ofSharedCaches.test(each))
  const has = (name: string): boolean => given.some((each) => each.toLowerCase() === name)
  if (has('no-store')) return kept.length === given.length ? cacheControl : kept.join(', ')
  return has('private') && kept.length === given.length - 1 ? cacheControl : ['private', ...kept].join(', ')
}

function textOf (value: string | number | string[] | undefined): string {
  return value === undefined ? '' : [value].flat().join(', ')
}
