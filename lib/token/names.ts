import { createHmac, randomBytes } from 'node:crypto'
import { describeType, type Rule } from '../util/option-rules.js'
import { NameError } from '../errors.js'
import type { TokenKind } from './tokens.js'
import { isWellFormed } from './values.js'

/** The longest name or subject, in characters (UTF-16 units). */
const maxLength = 256
/** The shortest secret, in bytes: as many as the HMAC's output has (RFC 2104, section 3). */
const minSecret = 32

/** The app's secret, which the tokens of shared sessions follow from; several for a rotation, the newest first. */
export type Secret = string | Uint8Array | ReadonlyArray<string | Uint8Array>

const isSecret = (value: unknown): boolean =>
  typeof value === 'string' ? Buffer.byteLength(value) >= minSecret : value instanceof Uint8Array && value.length >= minSecret

export const secretRule: Rule = {
  allowed: `a text or Buffer of at least ${minSecret} bytes, or a non-empty list of these, the newest first`,
  test: (value) => isSecret(value) || (Array.isArray(value) && value.length > 0 && value.every(isSecret)),
}

/**
 * Returns a name or a subject as it is.
 * @throws NameError (`FST_SESSION_NAME`) unless it is a well-formed text of 1 to 256 characters
 */
export function checkName (what: string, name: unknown): string {
  if (isName(name)) return name
  throw new NameError(what, `it must be a well-formed text of 1 to ${maxLength} characters; got ${describeType(name)}.`)
}

export function isName (name: unknown): name is string {
  return typeof name === 'string' && name !== '' && name.length <= maxLength && isWellFormed(name)
}

/** The tokens that shared sessions have under a secret, or under each of several. */
export class SharedTokens {
  readonly #kind: TokenKind
  readonly #keys: readonly Buffer[]

  constructor (kind: TokenKind, secret: Secret) {
    this.#kind = kind
    const secrets = typeof secret === 'string' || secret instanceof Uint8Array ? [secret] : secret
    // Derive a key for this use alone: the app may sign other things with its secret, and none of them may be a token.
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update('fastify-request-session: shared session tokens').digest())
  }

  /** The tokens of a name, the first under the newest secret: an HMAC-SHA256 of the name. */
  of (name: string): readonly [string, ...string[]] {
    return this.#keys.map((key) => this.#kind.derive(createHmac('sha256', key).update(name).digest())) as [string, ...string[]]
  }
}

/** Distinguishes a shared session from earlier ones of its name. */
export function newGeneration (): string {
  return randomBytes(6).toString('base64url')
}
