import { OptionError } from '../../errors.js'
import { describeType } from '../../util/option-rules.js'
import type { TokenTransport } from '../transport/transport.js'

/**
 * The result of `users.inject()`: spread it into `app.inject()` or `fetch()`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { tokenSessions, type InjectHeaders } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ user: string }>()
 * const app = Fastify()
 * await app.register(requestSession, { provider: users })
 * const ada: InjectHeaders = await users.inject({ data: { user: 'ada' } })
 * console.log((await app.inject({ url: '/me', ...ada })).statusCode)
 * ```
 */
export interface InjectHeaders {
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A reply of `app.inject()` or `fetch()`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type ReplyHeaders } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const reply: ReplyHeaders = new Response('hello')
 * console.log(await users.sessionOf(reply)) // undefined: no session has begun
 * ```
 */
export interface ReplyHeaders {
  readonly headers: Headers | Readonly<Record<string, string | number | readonly string[] | undefined>>
}

/** The headers of a request that presents a token. */
export function headersOf (transport: TokenTransport, token: string): Readonly<Record<string, string>> {
  if (transport.present === undefined) throw new OptionError('inject()', 'the provider\'s transport has no present(token), which gives the headers of a request')
  return transport.present(token)
}

/** The token that a reply sets. */
export function tokenIn (transport: TokenTransport, reply: ReplyHeaders): string | undefined {
  if (transport.receive === undefined) throw new OptionError('sessionOf()', 'the provider\'s transport has no receive(headers), which finds the token of a reply')
  const { headers } = Object(reply) as { headers?: ReplyHeaders['headers'] }
  if (headers === undefined) throw new OptionError('sessionOf()', `needs a reply with headers, of app.inject() or fetch(); got ${describeType(reply)}`)
  return transport.receive(headers instanceof Headers ? headers : standardHeaders(headers))
}

function standardHeaders (headers: Exclude<ReplyHeaders['headers'], Headers>): Headers {
  const standard = new Headers()
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values ?? []].flat()) standard.append(name, String(value))
  }
  return standard
}
