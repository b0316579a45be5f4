import type { Closing, OpenContext } from '../core/provider.js'
import type { SessionStore } from '../stores/store.js'
import type { DataRules } from './data/data-rules.js'
import type { Lifetime } from './expiry.js'
import type { TokenSessionOptions } from './options.js'
import type { TokenKind } from './tokens.js'
import type { TokenTransport } from './transport/transport.js'

/** The store of a provider's sessions, their tokens and their limits. */
export interface SessionSettings {
  readonly store: SessionStore
  readonly tokens: TokenKind
  readonly lifetime: Lifetime
  /** False if sessions outlive their data. */
  readonly deleteSession: boolean
  /** Maximum bytes of a session's keys and values; `Infinity`: no limit. */
  readonly maxSize: number
  readonly transport: TokenTransport
  readonly onStoreError: 'fail' | 'anonymous'
  readonly maxSessions: TokenSessionOptions['maxSessions']
  readonly onLimit: TokenSessionOptions['onLimit']
  /** `undefined`: any data fit. */
  readonly data: DataRules | undefined
  /** True in an `update()` of a subject's sessions: one that has got another subject meanwhile is not changed. */
  readonly pinsSubject: boolean
  /** All followers of the app: closed when the app closes. */
  readonly followers: Set<Closing>
}

/** The request, or the call outside of one, that a session is used in. */
export type SessionContext = Pick<OpenContext, 'route' | 'request' | 'reply' | 'log' | 'canSendHeaders' | 'isConditional'>

/** A stored session's token and id. */
export interface Identity {
  readonly token: string
  readonly id: string
}
