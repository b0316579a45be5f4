import type { SessionRecord } from '../stores/store.js'

/** How long sessions live, in seconds; `null`: for ever. */
export interface Lifetime {
  /** Idle: each use begins it anew. */
  readonly ttl: number | null
  /** Absolute, from the creation on. */
  readonly maxAge: number | null
}

/** When a session that is used now expires, in milliseconds since the epoch; `null`: never. */
export function deadline (now: number, createdAt: number, { ttl, maxAge }: Lifetime): number | null {
  const idle = ttl === null ? Infinity : now + ttl * 1000
  const absolute = maxAge === null ? Infinity : createdAt + maxAge * 1000
  const first = Math.min(idle, absolute)
  return first === Infinity ? null : first
}

/** Whether a session is older than it may become here: it may have been made where there is more time. */
export function isTooOld ({ createdAt, maxAge, deleteSession }: SessionRecord, lifetime: Lifetime): boolean {
  const most = maxAge === undefined ? lifetime.maxAge : maxAge
  return deleteSession && most !== null && createdAt + most * 1000 <= Date.now()
}

/**
 * Whether the stored expiry is far enough from where this use puts it to be written: by a tenth of the ttl, so
 * that a busy session is not written at each request.
 */
export function isWorthWriting (stored: number | null, target: number | null, ttl: number | null): boolean {
  if (stored === null || target === null) return stored !== target
  return Math.abs(target - stored) > (ttl ?? 0) * 100
}
