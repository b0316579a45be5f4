import type { SessionRecord } from '../stores/store.js'

/** The life of a session, in seconds; `null`: for ever. */
export interface Lifetime {
  /** Idle: each use begins it anew. */
  readonly ttl: number | null
  /** Absolute, from when the data began. */
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
export function expiryAfterUse (now: number, dataSince: number, { ttl, maxAge }: Lifetime): number | null {
  const idle = ttl === null ? Infinity : now + ttl * 1000
  const absolute = maxAge === null ? Infinity : dataSince + maxAge * 1000
  const first = Math.min(idle, absolute)
  return first === Infinity ? null : first
}

/** True when the data of a session are past this route's `maxAge`; another route may allow more. */
export function isPastMaxAge (record: SessionRecord, defaults: Lifetime): boolean {
  const maxAge = record.maxAge === undefined ? defaults.maxAge : record.maxAge
  return maxAge !== null && record.dataSince + maxAge * 1000 <= Date.now()
}

/** Browsers keep a cookie for 400 days at the most: a session that lives longer is written, and its cookie sent, before they are over. */
const maxSlideStep = 40 * 86_400_000

/** The last use of a session that does not expire of idleness is written once a day. */
const maxUseStep = 86_400_000

/** True where the stored expiry, or the stored last use, is so far from this use that it is worth a write. */
export function isSlideDue ({ expiresAt, usedAt }: SessionRecord, target: number | null, ttl: number | null, now: number): boolean {
  const step = Math.min((ttl ?? 0) * 1000 * slideStep, maxSlideStep)
  if (now - usedAt > (ttl === null ? maxUseStep : step)) return true
  return expiresAt === null || target === null ? expiresAt !== target : Math.abs(target - expiresAt) > step
}
