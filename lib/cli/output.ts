import type { Command } from 'commander'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { SessionInfo } from '../token/manage/list.js'
import type { SessionAddress } from '../token/manage/address.js'
import { readRedisAddress, type CommonOptions } from './options.js'
import { exitCodes, type ExitCode, type Terminal } from './terminal.js'

/** Ids of damaged sessions that one message names at most. */
const maxDamagedIds = 5
/** Prefixes that one message names at most. */
const maxPrefixes = 20

/** The parts of a description that a session need not have. */
type Texts = Pick<SessionInfo, 'name' | 'subject' | 'label'>

/** Fields that `list` and `info` print, `null` for what a session has not. One without a `ttl` or `maxAge` of its own has the app's, which is unknown here. */
type PrintedSession = Omit<SessionInfo, keyof Texts> & Record<keyof Texts, string | null>

export function toPrinted (info: SessionInfo): PrintedSession {
  return { ...info, name: info.name ?? null, subject: info.subject ?? null, label: info.label ?? null }
}

/** Writes lines no faster than they are read. A reader that stops early (`| head`) is no error. */
export async function writeLines ({ stdout }: Terminal, lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(withNewlines(lines)), stdout, { end: false })
  } catch (error) {
    if (Object(error).code !== 'EPIPE') throw error
  }
}

/** Writes one object, as JSON or as one line for each of its properties. */
export async function writeObject (terminal: Terminal, object: object, asJson: boolean | undefined): Promise<void> {
  if (asJson) return writeLines(terminal, [toJsonLine(object)])
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  const width = Math.max(...entries.map(([name]) => name.length))
  return writeLines(terminal, entries.map(([name, value]) => `${name.padEnd(width)}  ${formatValue(value)}`))
}

/** Columns of a fixed width: rows are written as they arrive, before the widest value is known. */
const columns: ReadonlyArray<readonly [title: string, width: number, key: keyof PrintedSession]> = [
  ['ID', 43, 'id'], ['CREATED', 24, 'createdAt'], ['LAST USED', 24, 'lastUsedAt'], ['EXPIRES', 24, 'expiresAt'], ['TTL', 10, 'ttl'], ['KEYS', 5, 'keys'], ['SHARED', 6, 'shared'],
  ['SUBJECT', 16, 'subject'], ['LABEL', 20, 'label'], ['NAME', 0, 'name'],
]

export const tableHead = columns.map(([title, width]) => title.padEnd(width)).join('  ')

export function tableRow (session: PrintedSession): string {
  return columns.map(([, width, key]) => formatValue(session[key]).padEnd(width)).join('  ').trimEnd()
}

/** Names a session without showing its token. */
export function describeAddress (address: SessionAddress): string {
  if (typeof address === 'object' && 'id' in address) return `the session ${address.id}`
  if (typeof address === 'object' && 'name' in address) return `the shared session ${JSON.stringify(address.name)}`
  return 'the session of this token'
}

/** Names the Redis and the prefix, without the password that the URL may have. */
export function describeRedis (command: Command, options: CommonOptions): string {
  return `${readRedisAddress(command, options).label} under the prefix ${JSON.stringify(options.prefix)}`
}

/** Names prefixes with the number of their sessions, the largest first. */
export function describePrefixes (counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([prefix, count], [otherPrefix, other]) => other - count || (prefix < otherPrefix ? -1 : 1))
  const named = sorted.slice(0, maxPrefixes).map(([prefix, count]) => `${JSON.stringify(prefix)} (${count})`)
  return `${named.join(', ')}${sorted.length > maxPrefixes ? ', …' : ''}`
}

/** Reports that a session does not exist. */
export function reportNotFound ({ stderr }: Terminal, address: SessionAddress): ExitCode {
  stderr.write(`${toPlainLine(`There is no session: ${describeAddress(address)}`)}\n`)
  return exitCodes.notFound
}

/** Reports skipped damaged sessions, with the first ids, by which they can be ended. */
export function reportDamaged ({ stderr }: Terminal, count: number, ids: readonly string[] = []): ExitCode {
  if (count === 0) return exitCodes.ok
  const which = ids.length === 0 ? '' : `: ${ids.slice(0, maxDamagedIds).join(' ')}${ids.length > maxDamagedIds ? ' …' : ''}`
  stderr.write(`${toPlainLine(`error: FST_SESSION_RECORD: ${count} session(s) cannot be read, and were skipped${which}`)}\n`)
  return exitCodes.failed
}

/** Puts a text on one line and escapes characters that would move a terminal's cursor or reverse its text. */
export function toPlainLine (text: string): string {
  return text.replace(/\s+/g, ' ').replace(/\p{C}/gu, escapeChar)
}

/** Writes JSON on one line, with the same characters escaped. */
export function toJsonLine (value: unknown): string {
  return JSON.stringify(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeChar)
}

function escapeChar (char: string): string {
  return char.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}

function formatValue (value: unknown): string {
  if (value === null) return '-'
  if (value === undefined) return "app's"
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return /^[\w@.:+-]+$/.test(value) && value !== '-' ? value : toJsonLine(value)
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}

async function * withNewlines (lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string, undefined> {
  for await (const line of lines) yield `${line}\n`
}
