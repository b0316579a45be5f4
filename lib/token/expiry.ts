import type { SessionRecord } from '../stores/store.js'

/** The lifetime of a session in seconds; `null`: no limit. */
export interface Lifetime {
  /** Without use: each use starts it again. */
  readonly ttl: number | null
  /** Absolute, from the beginning of the data. */
  readonly maxAge: number | null
}

/** A session's own limits; `undefined`: none. */
type OwnLimits = Pick<SessionRecord, 'ttl' | 'maxAge'>

/** The expiry of a busy session is written after this part of its ttl has passed, not at each request. */
const slideStep = 1 / 10

/** The effective lifetime: the session's own limits, else the route's, else the plugin's. */
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

/** Browsers keep a cookie for at most 400 days: a session that lives longer is written, and its cookie sent, before that. */
const maxSlideStep = 40 * 86_400_000

/** The last use of a session that does not expire of idleness is written once a day. */
const maxUseStep = 86_400_000

/** True if the stored expiry or last use differs from this use by enough to be worth a write. */
export function isSlideDue ({ expiresAt, usedAt }: SessionRecord, target: number | null, ttl: number | null, now: number): boolean {
  const step = Math.min((ttl ?? 0) * 1000 * slideStep, maxSlideStep)
  if (now - usedAt > (ttl === null ? maxUseStep : step)) return true
  return expiresAt === null || target === null ? expiresAt !== target : Math.abs(target - expiresAt) > step
}
