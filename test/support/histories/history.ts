/** The data of a session as a request has read it. */
export type View = Record<string, unknown>

/** A change that waits for its commit. All texts are unique in a history. */
export type Change =
  | { readonly do: 'set', readonly key: 'last' | 'flash', readonly value: string }
  /** `value`: which digit of the sum it adds one to. */
  | { readonly do: 'increment', readonly value: number }
  | { readonly do: 'append', readonly value: string }
  /** `saw`: the value that it was applied to last. */
  | { readonly do: 'update', readonly value: string, saw: unknown }
  | { readonly do: 'add', readonly value: string }
  /** `value`: what it has read, and deletes. */
  | { readonly do: 'take', readonly value: unknown }
  | { readonly do: 'expire', readonly value: number }

/** Times are nanoseconds of the machine's monotonic clock, which all processes share. */
export interface Timed {
  readonly called: number
  readonly returned: number
  /** The code of its error. */
  readonly error?: string | undefined
}

/** A load or a reload. */
export interface Look extends Timed {
  readonly kind: 'look'
  readonly found: boolean
  /** `undefined` if its data was not read. */
  readonly view: View | undefined
}

export interface Claim extends Timed {
  readonly kind: 'claim'
  readonly value: unknown
}

export interface Commit extends Timed {
  readonly kind: 'commit'
  /** Those since the last commit, in their order; none before a `clear`. */
  readonly changes: readonly Change[]
  readonly clears: boolean
  readonly renews: boolean
  readonly ends: boolean
  /** The keys that a `regenerate` keeps; `undefined` without one. */
  readonly keeps: readonly string[] | undefined
  /** The token afterwards; `undefined` if the session is not stored. */
  readonly token: string | undefined
  /** The request's own view afterwards. */
  readonly view: View
  readonly ttl: number | null
}

/** A request as it went. */
export interface Served {
  readonly number: number
  readonly process: number
  readonly token: string
  /** The first is the load. */
  readonly events: Array<Look | Claim | Commit>
  /** All changes that it has made, saved or not. */
  readonly changes: Change[]
  /** The code of the error that it ended with. */
  failed: string | undefined
}

/** What a token leads to once all requests are done. */
export interface Ending extends Timed {
  readonly token: string
  /** The token's hash: what the store has in its place. */
  readonly id: string
  readonly found: undefined | { readonly view: View, readonly ttl: number | null } | { readonly successor: string, readonly how: 'renewed' | 'regenerated' }
}

/** All requests on one session, and what was left of it. */
export interface History {
  readonly name: string
  /** The session's first token. */
  readonly token: string
  readonly initial: View
  /** The idle time of a session without one of its own, in seconds. */
  readonly ttl: number
  readonly requests: readonly Served[]
  /** Of all tokens that any request was given. */
  readonly endings: readonly Ending[]
}
