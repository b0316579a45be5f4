import type { Readable } from 'node:stream'
import { TextDecoder } from 'node:util'
import { isObject, rules, show } from '../../util/option-rules.js'
import { RecordError } from '../../errors.js'
import { lastTime, newRecord } from '../../stores/contract-helpers.js'
import type { SessionRecord } from '../../stores/store.js'
import { isKey, isName, isStorable, parseValue } from '../values.js'
import { isId, newGeneration } from '../tokens.js'

/*
 * A file of saved sessions is lines of JSON (UTF-8, each ended by a line feed). The first is a header, the last
 * shows that the file is complete:
 *   {"format":"fastify-request-session","version":1,"savedAt":"2026-01-31T12:00:00.000Z"}
 *   {"id":…,"createdAt":…,"expiresAt":…,"ttl":…,"maxAge":…,"keep":…,"dataSince":…,"version":…,"usedAt":…,"name":…,"label":…,"shared":…,"subject":…,"data":{…}}
 *   {"end":true,"sessions":1}
 * Times are milliseconds since the epoch, lifetimes are seconds, null is never; absent parts are omitted. Ids are
 * hashes of tokens: such a file contains no valid token.
 */
const format = 'fastify-request-session'
const version = 1

/** A session as one line holds it. */
export interface SavedSession {
  readonly id: string
  readonly record: SessionRecord
}

export function headerLine (): string {
  return `${JSON.stringify({ format, version, savedAt: new Date().toISOString() })}\n`
}

export function trailerLine (sessions: number): string {
  return `${JSON.stringify({ end: true, sessions })}\n`
}

/** @throws RecordError (`FST_SESSION_RECORD`) for a session that `parseSession` would refuse: one that no session can become */
export function sessionLine (id: string, record: SessionRecord): string {
  const { fields, createdAt, expiresAt, ttl, maxAge, deleteSession, dataSince, dataVersion, usedAt, name, label, generation, subject } = record
  if (!isSound({ ...record, id, shared: generation !== undefined })) throw new RecordError('it has an id, a time or a name that no session can have')
  const head = JSON.stringify({
    id,
    createdAt,
    expiresAt,
    ttl,
    maxAge,
    keep: !deleteSession || undefined,
    dataSince: dataSince === createdAt ? undefined : dataSince,
    version: dataVersion,
    usedAt: usedAt === createdAt ? undefined : usedAt,
    name,
    label,
    shared: generation !== undefined || undefined,
    subject,
  })
  const data = [...fields].map(([key, text]) => `${JSON.stringify(key)}:${jsonLine(key, text)}`)
  const line = `${head.slice(0, -1)},"data":{${data.join(',')}}}\n`
  if (Buffer.byteLength(line) > maxLength) throw new RecordError(`it has more than ${maxLength} bytes`)
  return line
}

/** The text on one line: another writer may have stored it on several. */
function jsonLine (key: string, text: string): string {
  const value = parseValue(key, text)
  if (!isKey(key) || !isStorable(value)) throw new RecordError(`the value of ${show(key)} cannot be the value of a session`)
  return /[\n\r]/.test(text) ? JSON.stringify(value) : text
}

/** The problem of a first line; `undefined` if it is a header of this version. */
export function headerProblem (line: unknown): string | undefined {
  if (!isObject(line) || line['format'] !== format) return 'it is no file of saved sessions'
  return line['version'] === version ? undefined : `it is of version ${show(line['version'])}, and this is version ${version}`
}

/** The number of sessions that a trailer states; `undefined` if the line is no trailer. */
export function trailerCount (line: unknown): number | undefined {
  return isObject(line) && line['end'] === true && Number.isSafeInteger(line['sessions']) ? line['sessions'] as number : undefined
}

/** The session of a line; `undefined` if it is damaged. */
export function parseSession (line: unknown): SavedSession | undefined {
  if (!isObject(line)) return undefined
  const { id, createdAt, expiresAt, ttl, maxAge, keep = false, dataSince = createdAt, version: dataVersion, usedAt = createdAt, name, label, shared = false, subject, data, ...rest } = line
  const head = { id, createdAt, expiresAt, ttl, maxAge, dataSince, dataVersion, usedAt, name, label, shared, subject }
  if (!isSound(head) || typeof keep !== 'boolean' || !isObject(data) || Object.keys(rest).length > 0) return undefined
  const fields = new Map<string, string>()
  for (const [key, value] of Object.entries(data)) {
    if (!isKey(key) || !isStorable(value)) return undefined
    fields.set(key, JSON.stringify(value))
  }
  const record = newRecord({ ...head, fields, deleteSession: !keep, generation: head.shared ? newGeneration() : undefined })
  return { id: head.id, record }
}

/** The description of a session, but for its data. */
type Head = Omit<SessionRecord, 'fields' | 'deleteSession' | 'generation'> & { readonly id: string, readonly shared: boolean }

/** True for a possible description of a session. Only these are written and read. */
function isSound (head: Record<keyof Head, unknown>): head is Head {
  const { id, createdAt, expiresAt, ttl, maxAge, dataSince, dataVersion, usedAt, name, label, shared, subject } = head
  return typeof id === 'string' && isId(id) && isTime(createdAt) && (expiresAt === null || isTime(expiresAt)) && isTime(dataSince) && isTime(usedAt) && (dataVersion === undefined || isVersion(dataVersion)) &&
    isLife(ttl) && isLife(maxAge) && (name === undefined || isName(name)) && typeof shared === 'boolean' && (!shared || name !== undefined) &&
    (label === undefined || isName(label)) && (subject === undefined || isName(subject))
}

function isTime (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= lastTime
}

function isVersion (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function isLife (value: unknown): boolean {
  return value === undefined || rules.seconds.test(value)
}

/** One line of a file of JSON lines. */
export interface Line {
  /** The first is 1. */
  readonly number: number
  /** `undefined` if it is not JSON. */
  readonly value: unknown
}

/** The longest line, in bytes. */
const maxLength = 64 * 2 ** 20
const lineFeed = 0x0a

/** Reads lines of JSON, in pages as they come; a last one without its line feed counts too. Needs no more memory than the longest line. */
export async function * readLines (input: Readable): AsyncGenerator<Line[], undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts: Buffer[] = []
  let length = 0
  let number = 0
  const line = (): Line => {
    const value = length > maxLength ? undefined : parse(decoder, parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts))
    parts = []
    length = 0
    return { number: ++number, value }
  }
  const add = (part: Buffer): void => {
    length += part.length
    if (length <= maxLength) parts.push(part)
    else parts = []
  }
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    const page: Line[] = []
    let from = 0
    for (let to = bytes.indexOf(lineFeed); to >= 0; to = bytes.indexOf(lineFeed, from)) {
      add(bytes.subarray(from, to))
      page.push(line())
      from = to + 1
    }
    if (from < bytes.length) add(bytes.subarray(from))
    if (page.length > 0) yield page
  }
  if (length > 0) yield [line()]
}

function parse (decoder: TextDecoder, bytes: Buffer): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
}
