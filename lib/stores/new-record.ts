import type { SessionRecord } from './store.js'

/** A whole record: what is not given is as for a plain session. */
export function newRecord (given: Pick<SessionRecord, 'fields' | 'createdAt' | 'expiresAt'> & Partial<SessionRecord>): SessionRecord {
  const { fields, createdAt, expiresAt, ttl, deleteSession = true, name, generation, maxAge, subject } = given
  return { fields, createdAt, expiresAt, ttl, deleteSession, name, generation, maxAge, subject }
}
