import { hash, randomBytes } from 'node:crypto'

/** The form of tokens: what the client holds. */
export interface TokenKind {
  create (): string
  /** A new token whose id begins like the old one's, so that a clustered store renews a session within one slot. */
  renew (token: string): string
  /** Whether a text can be a token at all: others never reach the store. */
  valid (text: string): boolean
  /** Two characters of the token that say where its session lives. They are no secret. */
  slot (token: string): string
}

/** 256 random bits in base64url (RFC 4648, section 5). A renewed token keeps 12 of them: its slot. */
export const random256: TokenKind = {
  create: () => randomBytes(32).toString('base64url'),
  renew: (token) => token.slice(0, 2) + random256.create().slice(2),
  valid: (text) => text.length === 43 && /^[\w-]+$/.test(text),
  slot: (token) => token.slice(0, 2),
}

const maxUint64 = 2n ** 64n - 1n

/** NemesisDB's form: an unsigned 64-bit integer as a decimal string. A renewed token keeps its last two digits. */
export const uint64: TokenKind = {
  create: () => randomBytes(8).readBigUInt64BE().toString(),
  renew (token) {
    const fresh = randomBytes(8).readBigUInt64BE()
    const renewed = fresh - fresh % 100n + BigInt(token) % 100n
    return renewed > maxUint64 ? uint64.renew(token) : renewed.toString()
  },
  valid: (text) => text.length <= 20 && /^(?:0|[1-9]\d*)$/.test(text) && BigInt(text) <= maxUint64,
  slot: (token) => token.slice(-2).padStart(2, '0'),
}

export const tokenKinds = { random256, uint64 } as const

/** What the store is keyed by: the slot and a SHA-256 of the token, so that a stolen dump cannot be replayed. */
export function idOf (kind: TokenKind, token: string): string {
  return kind.slot(token) + hash('sha256', token, 'base64url')
}
