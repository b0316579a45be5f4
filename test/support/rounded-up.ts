import type { SessionInfo } from '../../lib/index.js'

/** Rounds the seconds that a session has left up to the next ten: on a server they pass also while a test's `Date` stands still. */
export function roundedUp (info: SessionInfo | undefined): SessionInfo | undefined {
  if (info === undefined || info.timeLeft === null) return info
  return { ...info, timeLeft: Math.ceil(info.timeLeft / 10) * 10 }
}
