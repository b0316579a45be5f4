import { randomBytes } from 'node:crypto'
import { RecordError } from '../../errors.js'
import { maxSeconds } from '../../util/option-rules.js'
import { lastTime } from '../contract-helpers.js'
import type { SessionChange, SessionRecord, Successor } from '../store.js'
import { luaClock, type Int } from './script.js'

/*
 * A session is a hash. Its field '' (no data key is empty) is the description: the version and the parts below, with a
 * space between them. `@` and the version of the data follow the version, if the data have one. The other fields of the hash
 * are the session's data. A session that outlives its data has the data in a second hash, so that Redis expires it alone.
 *
 * Times are milliseconds since the epoch. `-` stands for never and `=` for "the route's or the plugin's". Texts are
 * percent-encoded, so that they have no spaces; an empty text stands for `undefined`.
 *
 * A replaced id has a hash with a successor in the place of the description: the kind of replacement, and its id.
 */

const version = '1'

/**
 * The parts of a description in their order, and the pattern of each: a regular expression that is a Lua pattern too once
 * its backslashes are percent signs.
 */
const patterns = {
  createdAt: '\\d+',
  expiresAt: '[-\\d]\\d*',
  ttl: '[-=\\d]\\d*',
  maxAge: '[-=\\d]\\d*',
  /** 1: the session outlives its data. 0: it does not. The id of its feed follows, if it is watched. */
  flags: '[01]\\S*',
  /** `=`: with the session. */
  dataSince: '[=\\d]\\d*',
  /** `=`: with the session. */
  usedAt: '[=\\d]\\d*',
  name: '\\S*',
  label: '\\S*',
  generation: '\\S*',
  subject: '\\S*',
  /** The session's entry in the index of its subject, and the time of the session's own server until which it is kept. */
  entryTag: '\\S*',
  entryLastsUntil: '\\S*',
  /** The last commits that a client may send again: a time in seconds, then of each its nonce and the sums that it was answered. */
  recent: '\\S*',
}

type Part = keyof typeof patterns

const parts = Object.keys(patterns) as Part[]
const descriptionPattern = new RegExp(`^${version}(?:@(?<dataVersion>\\d+))? ${parts.map((part) => `(?<${part}>${patterns[part]})`).join(' ')}$`)
const luaPattern = `^${version}(@?\\d*) ${parts.map((part) => `(${patterns[part]})`).join(' ')}$`.replaceAll('\\', '%')

/** The local variables of Lua that hold a description: `@` and the version of the data or '', and its parts, but the flags as a boolean and the id of the feed or `false`. */
export const luaParts = 'dataVersion, ' + parts.join(', ').replace('flags', 'outlivesData, feed')

/** The code of the error of a script that needs the keys of the data. */
export const lacksData = 'LACKSDATA'

/**
 * The Lua functions by which all scripts read and write descriptions. A table instead of variables would make a commit slower.
 * `dated`: the time of an index entry, which came as how long it lasts, by the clock of this server. `isWriteOf`: the stored
 * description was written by the same call, which was sent twice.
 */
export const luaFormat = `${luaClock}
local function parse (description)
  local dataVersion, ${parts.join(', ')} = string.match(description, '${luaPattern}')
  if not createdAt or string.find(dataVersion, '^%d') then return nil end
  local outlivesData, feed = string.sub(flags, 1, 1) == '1', #flags > 1 and string.sub(flags, 2)
  return ${luaParts}
end
local function format (${luaParts})
  local flags = (outlivesData and '1' or '0') .. (feed or '')
  return table.concat({ '${version}' .. dataVersion, ${parts.join(', ')} }, ' ')
end
local lacksData = redis.error_reply('${lacksData} the session outlives its data')
local function timeAfter (lasts)
  return lasts == '-' and '-' or string.format('%.0f', milliseconds() + lasts)
end
local function dated (description)
  return (string.gsub(description, ' %+(%S+) (%S*)$', function (lasts, recent) return ' ' .. timeAfter(lasts) .. ' ' .. recent end))
end
local function isWriteOf (stored, description)
  return string.match(stored or '', '%S+$') == string.match(description, '%S+$')
end
`

const processNonce = randomBytes(6).toString('base64url')
let nonces = 0

/** A unique text per write: a client that has lost the connection may send a write twice. */
export function newNonce (): string {
  return processNonce + (++nonces).toString(36)
}

/** Seconds for which a session's commits are remembered after the last one: longer than a client repeats one. */
const rememberedFor = 60
/** The remembered bytes, up to the end of the entry that exceeds them. Patterns would walk over each byte. */
const maxRecent = 1000

/** The Lua functions that find the answer to an applied commit, and remember a new one. */
export const luaRecent = `
local function answerAgain (recent, nonce)
  local _, found = string.find(recent, nonce .. '=', 1, true)
  if not found then return nil end
  local answer = { 'committed' }
  for sum in string.gmatch(string.match(recent, '^[^;]*', found + 1), '[^,]+') do answer[#answer + 1] = sum end
  return answer
end
local function remember (recent, nonce, answer)
  local now = redis.call('TIME')[1]
  local colon = string.find(recent, ':', 1, true)
  local rest = colon and now - string.sub(recent, 1, colon - 1) <= ${rememberedFor} and string.sub(recent, colon + 1) or ''
  if #rest > ${maxRecent} then rest = string.sub(rest, 1, (string.find(rest, ';', ${maxRecent}, true))) end
  return now .. ':' .. nonce .. '=' .. table.concat(answer, ',', 2) .. ';' .. rest
end
`

const successorPattern = /^(renewed|regenerated) (\S+)$/

/** The Lua function that reads a successor in the place of a description. */
export const luaSuccessor = `
local function successorIn (description)
  return string.match(description, '^(%l+) (%S+)$')
end
`

export function formatSuccessor ({ how, successor }: Successor): string {
  return `${how} ${successor}`
}

/** An entry in the index of a subject, as named in the session's description. */
export interface IndexEntry {
  /** The subject, encoded. */
  readonly subject: string
  /** Unique among all past and future entries of the index. */
  readonly tag: string
  /** Minimum milliseconds for which the index keeps the entry, from its session's next write; `-`: without limit. */
  readonly lasts: string
}

/** The part of an index entry by which it is removed. */
export type EntryName = Pick<IndexEntry, 'subject' | 'tag'>

/** @param nonce distinguishes a session from another that is created under the same id */
export function formatDescription (record: SessionRecord, entry: IndexEntry | undefined, nonce: string): string {
  const texts: Record<Part, string | number> = {
    createdAt: record.createdAt,
    expiresAt: formatTime(record.expiresAt),
    ttl: formatSeconds(record.ttl),
    maxAge: formatSeconds(record.maxAge),
    flags: record.deleteSession ? 0 : 1,
    dataSince: record.dataSince === record.createdAt ? '=' : record.dataSince,
    usedAt: record.usedAt === record.createdAt ? '=' : record.usedAt,
    name: encodeText(record.name),
    label: encodeText(record.label),
    generation: encodeText(record.generation),
    subject: entry?.subject ?? '',
    entryTag: entry?.tag ?? '',
    entryLastsUntil: entry === undefined ? '' : `+${entry.lasts}`,
    recent: `0:${nonce}=;`,
  }
  return `${version}${formatDataVersion(record.dataVersion)} ${parts.map((part) => texts[part]).join(' ')}`
}

/** A record as it was read from Redis. */
export interface StoredRecord extends SessionRecord {
  /** Its description up to the commits that are remembered. */
  described: string
}

/**
 * Reads a whole hash; `undefined` if there is none.
 * @throws RecordError (`FST_SESSION_RECORD`)
 */
export function parseHash (hash: Record<string, string>): StoredRecord | Successor | undefined {
  const fields = new Map<string, string>()
  let description: string | undefined
  for (const key in hash) {
    if (key === '') description = hash[key]
    else fields.set(key, hash[key] as string)
  }
  if (description !== undefined) {
    const [, how, successor] = successorPattern.exec(description) ?? []
    if (successor !== undefined) return { how: how as Successor['how'], successor }
    const record = parseDescription(description, fields) as StoredRecord
    record.described = description.slice(0, description.lastIndexOf(' ') + 1)
    return record
  }
  if (fields.size > 0) throw new RecordError('its description is missing')
  return undefined
}

/**
 * Makes a record from a description and the session's data.
 * @throws RecordError (`FST_SESSION_RECORD`)
 */
export function parseDescription (description: string, fields: Map<string, string>): SessionRecord {
  const texts = descriptionPattern.exec(description)?.groups as Record<Part, string> & { readonly dataVersion?: string } | undefined
  if (texts === undefined) throw new RecordError(problemOf(description))
  return {
    fields,
    createdAt: parseNumber(texts.createdAt, lastTime) ?? 0,
    expiresAt: parseNumber(texts.expiresAt, lastTime) ?? null,
    ttl: parseNumber(texts.ttl, maxSeconds),
    maxAge: parseNumber(texts.maxAge, maxSeconds),
    deleteSession: texts.flags.startsWith('0'),
    dataVersion: parseNumber(texts.dataVersion ?? '=', Number.MAX_SAFE_INTEGER) ?? undefined,
    dataSince: parseNumber(texts.dataSince === '=' ? texts.createdAt : texts.dataSince, lastTime) ?? 0,
    usedAt: parseNumber(texts.usedAt === '=' ? texts.createdAt : texts.usedAt, lastTime) ?? 0,
    name: texts.name === '' ? undefined : decodeText(texts.name),
    label: texts.label === '' ? undefined : decodeText(texts.label),
    generation: texts.generation === '' ? undefined : decodeText(texts.generation),
    subject: texts.subject === '' ? undefined : decodeText(texts.subject),
  }
}

/** The start of a description after a use. */
export function describedAfterUse (described: string, { expiresAt, usedAt }: Pick<SessionChange, 'expiresAt' | 'usedAt'>): string {
  const texts = described.split(' ')
  if (expiresAt !== undefined) texts[placeOf('expiresAt')] = formatTime(expiresAt)
  if (usedAt !== undefined) texts[placeOf('usedAt')] = String(usedAt)
  return texts.join(' ')
}

/** The version comes before the parts. */
function placeOf (part: Part): number {
  return parts.indexOf(part) + 1
}

/** The tag of a session's index entry: '' for none, `undefined` for a damaged description. */
export function entryTagOf (description: string): string | undefined {
  return descriptionPattern.exec(description)?.groups?.['entryTag']
}

/** The subject of a session, encoded: '' for none, `undefined` for a damaged description. */
export function subjectIn (description: string): string | undefined {
  return descriptionPattern.exec(description)?.groups?.['subject']
}

/** The id of a session's feed: '' for one that is not watched. */
export function feedOf (description: string): string {
  return descriptionPattern.exec(description)?.groups?.['flags']?.slice(1) ?? ''
}

function problemOf (description: string): string {
  const found = /^\d+(?= )/.exec(description)?.[0]
  return found === undefined || found === version ? 'its description is damaged' : `it is of version ${found}, and this is version ${version}`
}

/** @param version 0 or `undefined`: none */
export function formatDataVersion (version: number | undefined): string {
  return version ? `@${version}` : ''
}

export function formatTime (time: number | null): string {
  return time === null ? '-' : String(time)
}

/** Reads the milliseconds that a key has left; `null`: it does not expire, or is gone. */
export function parseTimeLeft (left: Int | undefined): number | null {
  return Number(left) < 0 ? null : Number(left)
}

/** The milliseconds until a time: Redis gets a difference, so its clock may differ from ours. */
export function formatTimeLeft (expiresAt: number): string {
  return String(Math.max(1, expiresAt - Date.now()))
}

export function formatSeconds (seconds: number | null | undefined): string {
  return seconds === undefined ? '=' : seconds === null ? '-' : String(seconds)
}

/** `undefined` and `null` for `=` and `-`, where the pattern allows them. */
function parseNumber (text: string, most: number): number | null | undefined {
  if (text === '=') return undefined
  if (text === '-') return null
  const number = Number(text)
  if (number >= 0 && number <= most) return number
  throw new RecordError('its description is damaged')
}

export function encodeText (text: string | undefined): string {
  return text === undefined ? '' : encodeURIComponent(text)
}

function decodeText (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new RecordError('its description is damaged', { cause })
  }
}
