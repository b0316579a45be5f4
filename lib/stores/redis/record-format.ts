import { RecordError } from '../../errors.js'
import type { SessionRecord } from '../store.js'

/** Where a session stands in the index of its subject. */
export interface IndexEntry {
  /** Makes this entry one that never was before and will never be again. */
  readonly tag: string
  /** Until when the entry lasts at the least, in milliseconds since the epoch, or `-`: for ever. */
  readonly limit: string
  /** The subject, encoded. */
  readonly subject: string
}

/*
 * The description is
 *   version createdAt expiresAt ttl maxAge flags name generation subject tag limit
 * with times in milliseconds since the epoch, `-` for never and `=` for "the route's or the plugin's". The flags are
 * a digit: 1 for a session that outlives its data, 2 for one that is watched. Texts are percent-encoded, so that the
 * only spaces are those between the parts; what there is not is empty.
 */
const pattern = /^1 (\d+) (-|\d+) (=|-|\d+) (=|-|\d+) ([0-3]) (\S*) (\S*) (\S*) (\S*) (\S*)$/

export function formatDescription (record: SessionRecord, index: IndexEntry | undefined): string {
  const { createdAt, expiresAt, ttl, maxAge, deleteSession, name, generation } = record
  const names = `${encodeText(name)} ${encodeText(generation)} ${index?.subject ?? ''} ${index?.tag ?? ''} ${index?.limit ?? ''}`
  return `1 ${createdAt} ${expiresAt ?? '-'} ${formatSeconds(ttl)} ${formatSeconds(maxAge)} ${deleteSession ? 0 : 1} ${names}`
}

/**
 * The record that a description and its data make.
 * @throws RecordError (`FST_SESSION_RECORD`)
 */
export function parseRecord (description: string, fields: Map<string, string>): SessionRecord {
  const parts = pattern.exec(description)
  if (parts === null) throw new RecordError(problemOf(description))
  const [, createdAt, expiresAt, ttl, maxAge, flags, name, generation, subject] = parts
  return {
    fields,
    createdAt: Number(createdAt),
    expiresAt: expiresAt === '-' ? null : Number(expiresAt),
    ttl: parseSeconds(ttl),
    maxAge: parseSeconds(maxAge),
    deleteSession: flags === '0' || flags === '2',
    name: decodeText(name),
    generation: decodeText(generation),
    subject: decodeText(subject),
  }
}

/** The tag that names a session's entry in the index of its subject; '' if it has none. */
export function tagOf (description: string): string | undefined {
  return pattern.exec(description)?.[9]
}

function problemOf (description: string): string {
  const version = /^\d+(?= )/.exec(description)?.[0]
  return version === undefined || version === '1' ? 'its description is damaged' : `it is of version ${version}, and this is version 1`
}

export function formatSeconds (seconds: number | null | undefined): string {
  return seconds === undefined ? '=' : seconds === null ? '-' : String(seconds)
}

function parseSeconds (text: string | undefined): number | null | undefined {
  return text === '=' ? undefined : text === '-' ? null : Number(text)
}

export function encodeText (text: string | undefined): string {
  return text === undefined ? '' : encodeURIComponent(text)
}

function decodeText (text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new RecordError('its description is damaged', { cause })
  }
}
