import type { SessionChange, SessionRecord, SessionStore } from '../../lib/index.js'
import { newChange, newRecord } from '../../lib/stores/contract-helpers.js'

/** A plain session without data that was made now and never expires, but for what is given. */
export function record (given: Partial<SessionRecord> = {}): SessionRecord {
  return newRecord({ fields: new Map(), createdAt: Date.now(), expiresAt: null, ...given })
}

/** A commit that changes nothing, but for what is given. */
export function change (given: Partial<SessionChange> = {}): SessionChange {
  return newChange(given)
}

/** The record of an id that was not given up. */
export async function recordOf (store: SessionStore, id: string): Promise<SessionRecord | undefined> {
  const found = await store.load(id)
  if (found !== undefined && 'successor' in found) throw new Error(`this session was ${found.how}`)
  return found
}
