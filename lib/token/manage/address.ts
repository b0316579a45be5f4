import { NoSecretError, OptionError } from '../../errors.js'
import { describeType } from '../../util/option-rules.js'
import { idOf, isId, type SharedTokens, type TokenKind } from '../tokens.js'
import { checkName } from '../values.js'

/**
 * The address of a session: a text is a token. `name` is that of a shared session, `id` that of a listing: a session can be
 * described and ended by its id, but not opened. With `subject` it only matches a session of that subject: add it if the id
 * comes from a client.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionAddress } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const { token } = await users.create()
 * const address: SessionAddress = { token }
 * console.log(await users.info(address), await users.end(address))
 * ```
 */
export type SessionAddress = string | { readonly token: string } | { readonly name: string } | { readonly id: string, readonly subject?: string }

/** Finds the ids of sessions by their addresses. */
export class Addresses {
  readonly #tokens: TokenKind
  readonly #sharedTokens: SharedTokens | undefined

  constructor (tokens: TokenKind, sharedTokens: SharedTokens | undefined) {
    this.#tokens = tokens
    this.#sharedTokens = sharedTokens
  }

  /** The ids that a session may be found under: one, or one for each secret. None for a text that cannot be a token, or an id. */
  idsAt (address: SessionAddress, call: string): string[] {
    if (typeof address === 'string') return this.#tokens.valid(address) ? [idOf(address)] : []
    const { token, name, id } = Object(address) as { token?: unknown, name?: unknown, id?: unknown }
    if (typeof token === 'string') return this.idsAt(token, call)
    if (name !== undefined) return this.tokensOf(name, call).map(idOf)
    if (typeof id === 'string') return isId(id) ? [id] : []
    throw new OptionError(call, `a session is addressed by its token, { token }, { name } or { id }; got ${describeType(address)}`)
  }

  /**
   * The tokens of a shared session's name, the first under the newest secret.
   * @throws NameError (`FST_SESSION_NAME`), NoSecretError (`FST_SESSION_NO_SECRET`)
   */
  tokensOf (name: unknown, call: string): readonly [string, ...string[]] {
    const checked = checkName(`${call}: name`, name)
    if (this.#sharedTokens === undefined) throw new NoSecretError(call)
    return this.#sharedTokens.of(checked)
  }
}

/** Refuses a subject of `undefined`: `{ id, subject: user?.id }` without a user would mean anybody's session. */
export function subjectOf (address: unknown, call: string): string | undefined {
  return typeof address === 'object' && address !== null && 'subject' in address ? checkName(`${call}: subject`, address.subject) : undefined
}

/** True for a filter of all sessions of a subject, false for the address of one session. */
export function isFilter (target: unknown): target is { subject: string } {
  return typeof target === 'object' && target !== null && 'subject' in target && !('id' in target)
}
