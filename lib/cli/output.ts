import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { SessionInfo } from '../token/manage/list.js'
import type { Surroundings } from './terminal.js'

/** What is told of a session. How long it lives without being used is not known here, where the app does not say it of each. */
export interface PrintedSession {
  readonly id: string
  readonly name: string | null
  readonly shared: boolean
  readonly subject: string | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly timeLeft: number | null
  readonly keys: number
  readonly deleteSession: boolean
}

export function printed ({ id, name, shared, subject, createdAt, expiresAt, timeLeft, keys, deleteSession }: SessionInfo): PrintedSession {
  return { id, name: name ?? null, shared, subject: subject ?? null, createdAt, expiresAt, timeLeft, keys, deleteSession }
}

/** Writes lines, no faster than they are read. Who reads no more (`| head`) has had enough: that is no error. */
export async function writeLines ({ stdout }: Surroundings, lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(ended(lines)), stdout, { end: false })
  } catch (error) {
    if (Object(error).code !== 'EPIPE') throw error
  }
}

/** One object, as JSON or as a list of what it has. */
export async function writeObject (surroundings: Surroundings, object: object, asJson: boolean | undefined): Promise<void> {
  if (asJson) return writeLines(surroundings, [json(object)])
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  const width = Math.max(...entries.map(([name]) => name.length))
  return writeLines(surroundings, entries.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}`))
}

/** Columns that are as wide as what they hold usually is: lines come as the store tells of sessions. */
const columns: ReadonlyArray<readonly [title: string, width: number, key: keyof PrintedSession]> = [
  ['ID', 43, 'id'], ['CREATED', 24, 'createdAt'], ['EXPIRES', 24, 'expiresAt'], ['KEYS', 5, 'keys'], ['SHARED', 6, 'shared'],
  ['SUBJECT', 16, 'subject'], ['NAME', 0, 'name'],
]

export const tableHead = columns.map(([title, width]) => title.padEnd(width)).join('  ')

export function tableRow (session: PrintedSession): string {
  return columns.map(([, width, key]) => cell(session[key]).padEnd(width)).join('  ').trimEnd()
}

/** A text on one line, without what would move a terminal's cursor or turn its text round. */
export function plain (text: string): string {
  return text.replace(/\s+/g, ' ').replace(/\p{C}/gu, escaped)
}

/** JSON on one line, in which the same holds for its texts. */
export function json (value: unknown): string {
  return JSON.stringify(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped)
}

function escaped (char: string): string {
  return char.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}

function cell (value: unknown): string {
  if (value === null) return '-'
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return /^[\w@.:+-]+$/.test(value) && value !== '-' ? value : json(value)
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}

async function * ended (lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string, undefined> {
  for await (const line of lines) yield `${line}\n`
}
