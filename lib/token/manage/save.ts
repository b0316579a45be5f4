import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { lstat, readlink, rename, rm, stat } from 'node:fs/promises'
import { dirname, isAbsolute, sep } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { checkOptions, oneOf, rules, type Rule } from '../../util/option-rules.js'
import { OptionError, RecordError } from '../../errors.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import { headerLine, sessionLine, trailerLine } from './save-file.js'
import type { SessionSettings } from '../settings.js'
import { look } from '../look.js'
import { idOf } from '../tokens.js'

/**
 * Options of `save()`.
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream'
 * import { tokenSessions, type SaveOptions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const options: SaveOptions = { onDamage: 'skip', signal: AbortSignal.timeout(60_000) }
 * await users.save(new PassThrough(), options)
 * ```
 */
export interface SaveOptions {
  /** The sessions of these tokens. @default all sessions */
  tokens?: Iterable<string> | undefined
  /** The action for an unreadable session: `'fail'` stops the save, `'skip'` counts the session and continues. @default 'fail' */
  onDamage?: 'fail' | 'skip' | undefined
  /** Called from time to time with the counts so far. */
  onProgress?: ((progress: SaveResult) => void) | undefined
  /** Stops the save with an AbortError; no partial file remains. */
  signal?: AbortSignal | undefined
}

/**
 * Counts of the saved sessions.
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream'
 * import { tokenSessions, type SaveResult } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const result: SaveResult = await users.save(new PassThrough())
 * console.log(`${result.sessions} saved, ${result.damaged} left out`)
 * ```
 */
export interface SaveResult {
  readonly sessions: number
  /** Sessions that could not be read. */
  readonly damaged: number
}

const saveRules: Record<keyof SaveOptions, Rule> = {
  tokens: { allowed: 'a list of tokens', test: (value) => typeof value === 'object' && value !== null && Symbol.iterator in value },
  onDamage: oneOf('fail', 'skip'),
  onProgress: rules.function,
  signal: { allowed: 'an AbortSignal', test: (value) => value instanceof AbortSignal },
}

/** Sessions that are read in parallel. */
const atOnce = 256

/** The suffix of an incomplete file. Each save has a file of its own. */
const partial = '.partial'

export async function saveSessions (settings: SessionSettings, target: Writable | string | URL, options: SaveOptions): Promise<SaveResult> {
  const checked = checkOptions<SaveOptions>('save()', options, saveRules)
  const pages = checked.tokens === undefined ? requireInterface('list', settings.store, 'save()').ids() : pagesOf(settings, checked.tokens)
  const result = { sessions: 0, damaged: 0 }
  const source = Readable.from(lines(settings, pages, checked.onDamage ?? 'fail', result, checked.onProgress), { highWaterMark: 1 })
  const stop = checked.signal === undefined ? {} : { signal: checked.signal }
  if (target instanceof Writable) {
    await pipeline(source, target, { end: false, ...stop })
  } else if (typeof target === 'string' || target instanceof URL) {
    await toFile(source, target instanceof URL ? fileURLToPath(target) : target, stop)
  } else {
    throw new OptionError('save()', 'the target must be a path or a writable stream')
  }
  return result
}

/**
 * Writes the file for its owner alone (mode 600). An existing file of this name stays until the new one is complete. A link is followed, and
 * a device or a FIFO is written to: only a regular file can be replaced.
 */
async function toFile (source: Readable, path: string, stop: { signal?: AbortSignal }): Promise<void> {
  const present = await unlessMissing(stat(path))
  if (present !== undefined && !present.isFile()) return toDevice(source, path, stop)
  const target = await followLinks(path)
  const unfinished = `${target}.${randomBytes(6).toString('hex')}${partial}`
  const file = createWriteStream(unfinished, { flags: 'wx', mode: 0o600, flush: true })
  try {
    await pipeline(source, file, stop)
    await rename(unfinished, target)
  } catch (error) {
    // Wait for the close: a file that is still being opened would appear after its removal.
    if (!file.closed) await new Promise<void>((resolve) => { file.once('close', () => resolve()) })
    await rm(unfinished, { force: true })
    throw error
  }
}

/** Writes to a device or a FIFO. A FIFO is opened once it has a reader. */
async function toDevice (source: Readable, path: string, stop: { signal?: AbortSignal }): Promise<void> {
  const device = createWriteStream(path)
  try {
    await once(device, 'open', stop)
  } catch (error) {
    device.destroy()
    throw error
  }
  await pipeline(source, device, stop)
}

/** Resolves the links of a path; the last one may lead to a file that does not exist yet. */
async function followLinks (path: string): Promise<string> {
  const present = await unlessMissing(lstat(path))
  if (!present?.isSymbolicLink()) return path
  const link = await readlink(path)
  return followLinks(isAbsolute(link) ? link : dirname(path) + sep + link) // not `join`: `a/..` is another folder where `a` is a link
}

async function unlessMissing<T> (result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (Object(error).code === 'ENOENT') return undefined
    throw error
  }
}

async function * lines (
  settings: SessionSettings, pages: AsyncIterable<readonly string[]> | Iterable<readonly string[]>, onDamage: 'fail' | 'skip',
  result: { sessions: number, damaged: number }, onProgress: SaveOptions['onProgress']
): AsyncGenerator<string, undefined> {
  yield headerLine()
  for await (const page of pages) {
    for (let i = 0; i < page.length; i += atOnce) {
      const read = await Promise.all(page.slice(i, i + atOnce).map((id) => lineOf(settings, id, onDamage)))
      const there = read.filter((line) => typeof line === 'string')
      result.sessions += there.length
      result.damaged += read.filter((line) => line === null).length
      if (there.length > 0) yield there.join('')
      onProgress?.({ ...result })
    }
  }
  yield trailerLine(result.sessions)
}

/** `undefined`: there is no such session any more. `null`: it is damaged. */
async function lineOf ({ store }: SessionSettings, id: string, onDamage: 'fail' | 'skip'): Promise<string | undefined | null> {
  try {
    const found = await look(store, id)
    return found === undefined || 'successor' in found ? undefined : sessionLine(id, found)
  } catch (error) {
    if (onDamage === 'skip' && error instanceof RecordError) return null
    throw error
  }
}

function * pagesOf ({ tokens: kind }: SessionSettings, tokens: Iterable<string>): Generator<string[], undefined> {
  const ids = new Set([...tokens].filter((token) => typeof token === 'string' && kind.valid(token)).map(idOf))
  yield [...ids]
}
