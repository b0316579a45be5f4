import type { Readable } from 'node:stream'
import { TextDecoder } from 'node:util'

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
