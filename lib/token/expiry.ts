import type { SessionRecord } from '../stores/store.js'

/** The life of a session, in seconds; `null`: for ever. */
export interface Lifetime {
  /** Idle: each use begins it anew. */
  readonly ttl: number | null
  /** Absolute, from the creation on. */
  readonly maxAge: number | null
}

/** A session's own limits; `undefined` where it has none. */
type OwnLimits = Pick<SessionRecord, 'ttl' | 'maxAge'>

/** A busy session's expiry is written once this part of its ttl has passed, not at each request. */
const slideStep = 1 / 10

/** The lifetime that counts: the session's own limits, else the route's, else the plugin's. */
export function lifetimeOf ({ ttl, maxAge }: OwnLimits, defaults: Lifetime): Lifetime {
  if (ttl === undefined && maxAge === undefined) return defaults
  return { ttl: ttl === undefined ? defaults.ttl : ttl, maxAge: maxAge === undefined ? defaults.maxAge : maxAge }
}

/** The expiry of a session that is used now, in milliseconds since the epoch; `null`: never. */
export function expiryAfterUse (now: number, createdAt: number, { ttl, maxAge }: Lifetime): number | null {
  const idle = ttl === null ? Infinity : now + ttl * 1000
  const absolute = maxAge === null ? Infinity : createdAt + maxAge * 1000
  const first = Math.min(idle, absolute)
  return first === Infinity ? null : first
}

/** True when a session is past this route's `maxAge`; another route may allow more. */
export function isPastMaxAge (record: SessionRecord, defaults: Lifetime): boolean {
  const maxAge = record.maxAge === undefined ? defaults.maxAge : record.maxAge
  return maxAge !== null && record.deleteSession && record.createdAt + maxAge * 1000 <= Date.now()
}

/** Browsers keep a cookie for 400 days at the most: a session that lives longer is written, and its cookie sent, before they are over. */
const maxSlideStep = 40 * 86_400_000

/** True where the stored expiry is so far from that after this use that it is worth a write. */
export function isSlideDue (stored: number | null, target: number | null, ttl: number | null): boolean {
  if (stored === null || target === null) return stored !== target
  return Math.abs(target - stored) > Math.min((ttl ?? 0) * 1000 * slideStep, maxSlideStep)
}
