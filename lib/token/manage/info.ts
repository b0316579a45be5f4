import type { MaybePromise } from '../../util/maybe-promise.js'
import type { ListingStore, SessionStore, SessionSummary } from '../../stores/store.js'
import type { Lifetime } from '../expiry.js'
import { ask } from '../ask-store.js'

/** What a session is: never its data, never its token. */
export interface SessionInfo {
  /** What the store knows it by: a hash of its token. It can be told of and ended by it, not opened. */
  readonly id: string
  readonly name: string | undefined
  /** Whether any process can open it by its name. */
  readonly shared: boolean
  /** Whom it belongs to. */
  readonly subject: string | undefined
  readonly createdAt: Date
  /** When it expires unless it is used before; `null`: never. */
  readonly expiresAt: Date | null
  /** Seconds until then, rounded up. */
  readonly timeLeft: number | null
  /** Seconds that it lives without being used: its own, else the provider's; `null`: for ever. */
  readonly ttl: number | null
  /** Seconds that it lives at the most: its own, else the provider's; `null`: for ever. */
  readonly maxAge: number | null
  /** How many keys it has. */
  readonly keys: number
  /** `false`: when it expires its data is deleted, and the session itself stays. */
  readonly deleteSession: boolean
}

export function infoOf (id: string, summary: SessionSummary, lifetime: Lifetime): SessionInfo {
  const { name, generation, subject, createdAt, expiresAt, ttl, maxAge, deleteSession, size } = summary
  return {
    id,
    name,
    shared: generation !== undefined,
    subject,
    createdAt: new Date(createdAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    timeLeft: expiresAt === null ? null : Math.max(0, Math.ceil((expiresAt - Date.now()) / 1000)),
    ttl: ttl === undefined ? lifetime.ttl : ttl,
    maxAge: maxAge === undefined ? lifetime.maxAge : maxAge,
    keys: size,
    deleteSession,
  }
}

/** What a session is, without its data where the store can do that. */
export function lookUp (store: SessionStore | ListingStore, id: string): MaybePromise<SessionSummary | undefined> {
  if ('describe' in store) return ask(() => store.describe(id), (summary) => summary)
  return ask(() => store.load(id), (record) => record && { ...record, size: record.fields.size })
}
