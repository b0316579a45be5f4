import { hash, randomBytes } from 'node:crypto'
import { slotOf } from '../stores/slot.js'

/** The form of tokens: what the client holds. */
export interface TokenKind {
  create (): string
  /** The token that follows from 32 bytes. */
  derive (bytes: Buffer): string
  /** Whether a text can be a token at all: others never reach the store. */
  valid (text: string): boolean
}

/** 256 random bits in base64url (RFC 4648, section 5). */
const random256: TokenKind = {
  create: () => random256.derive(randomBytes(32)),
  derive: (bytes) => bytes.toString('base64url'),
  valid: (text) => text.length === 43 && /^[\w-]+$/.test(text),
}

const maxUint64 = 2n ** 64n - 1n

/** NemesisDB's form: an unsigned 64-bit integer as a decimal string. */
const uint64: TokenKind = {
  create: () => uint64.derive(randomBytes(8)),
  derive: (bytes) => bytes.readBigUInt64BE().toString(),
  valid: (text) => text.length <= 20 && /^(?:0|[1-9]\d*)$/.test(text) && BigInt(text) <= maxUint64,
}

export const tokenKinds = { random256, uint64 } as const

/** What the store is keyed by: a SHA-256 of the token, so that a stolen dump cannot be replayed. */
export function idOf (token: string): string {
  return hash('sha256', token, 'base64url')
}

/** A new token for an old one, whose id is in the same slot: found among random ones, after 256 of them on average. */
export function renewedToken (kind: TokenKind, token: string): string {
  const slot = slotOf(idOf(token))
  let renewed: string
  do renewed = kind.create()
  while (slotOf(idOf(renewed)) !== slot)
  return renewed
}
