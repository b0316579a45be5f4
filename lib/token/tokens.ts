import { createHmac, hash, randomBytes } from 'node:crypto'
import { slotOf } from '../stores/contract-helpers.js'

/** A form of tokens. The client holds the token. */
export interface TokenKind {
  /** The bytes that a token is made of. */
  readonly size: number
  create (): string
  /** The token that encodes these bytes; further ones do not count. */
  derive (bytes: Buffer): string
  /** True for a text that can be a token: others never reach the store. */
  valid (text: string): boolean
}

/** 256 random bits in base64url (RFC 4648, section 5). */
const random256: TokenKind = {
  size: 32,
  create: () => random256.derive(randomBytes(random256.size)),
  derive: (bytes) => bytes.toString('base64url'),
  valid: (text) => text.length === 43 && /^[\w-]+$/.test(text),
}

const maxUint64 = 2n ** 64n - 1n

/** NemesisDB's form: an unsigned 64-bit integer as a decimal string. */
const uint64: TokenKind = {
  size: 8,
  create: () => uint64.derive(randomBytes(uint64.size)),
  derive: (bytes) => bytes.readBigUInt64BE().toString(),
  valid: (text) => text.length <= 20 && /^(?:0|[1-9]\d*)$/.test(text) && BigInt(text) <= maxUint64,
}

export const tokenKinds = { random256, uint64 } as const

/** The key of a session in its store: a SHA-256 of the token, so that a stolen dump cannot be replayed. */
export function idOf (token: string): string {
  return hash('sha256', token, 'base64url')
}

/** False for a text that is no id: it may come from a client, and a store makes names of keys from ids. */
export function isId (text: string): boolean {
  return /^[\w-]{43}$/.test(text)
}

/** A new token with an id in the slot of the old one: random tokens are tried, 256 on average, and their bytes are drawn at once. */
export function renewedToken (kind: TokenKind, token: string): string {
  const slot = slotOf(idOf(token))
  for (;;) {
    const bytes = randomBytes(256 * kind.size)
    for (let at = 0; at < bytes.length; at += kind.size) {
      const renewed = kind.derive(bytes.subarray(at, at + kind.size))
      if (slotOf(idOf(renewed)) === slot) return renewed
    }
  }
}

/** The secret of shared sessions, or several of them, the newest first. */
export type Secret = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/** The tokens of shared sessions under a secret, or under each of several. */
export class SharedTokens {
  readonly #kind: TokenKind
  readonly #keys: readonly Buffer[]

  constructor (kind: TokenKind, secret: Secret) {
    this.#kind = kind
    const secrets = typeof secret === 'string' || secret instanceof Uint8Array ? [secret] : secret
    // A key for this use alone: a token must not come out of anything else that the app signs with its secret.
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update('fastify-request-session: shared session tokens').digest())
  }

  /** The tokens of a name, the first under the newest secret: an HMAC-SHA256 of the name (RFC 2104). */
  of (name: string): readonly [string, ...string[]] {
    return this.#keys.map((key) => this.#kind.derive(createHmac('sha256', key).update(name).digest())) as [string, ...string[]]
  }
}

/** A random text that distinguishes a shared session from earlier ones of its name. */
export function newGeneration (): string {
  return randomBytes(6).toString('base64url')
}
