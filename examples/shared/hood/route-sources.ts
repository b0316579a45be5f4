import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RouteSource } from './entry.js'

const definition = /^([ \t]*)\w+\.(get|post|put|patch|delete)(?:<.*>)?\('(\/[^']*)'/gm

/**
 * Finds where the routes of an example are defined, in its own files.
 * @param files their URLs: `import.meta.url`
 * @returns the sources, by method and pattern: `GET /api/basket`
 */
export function routeSources (files: readonly string[]): Map<string, RouteSource> {
  const sources = new Map<string, RouteSource>()
  for (const url of files) {
    const path = fileURLToPath(url)
    const text = readFileSync(path, 'utf8')
    for (const { 0: { length }, 1: indent = '', 2: method = '', 3: pattern = '', index } of text.matchAll(definition)) {
      const start = index - commentBefore(text.slice(0, index)).length
      const end = endOfCall(text, index + length)
      sources.set(`${method.toUpperCase()} ${pattern}`, {
        file: `${basename(dirname(path))}/${basename(path)}`,
        line: text.slice(0, start).split('\n').length,
        text: text.slice(start, end).split('\n').map((line) => line.startsWith(indent) ? line.slice(indent.length) : line).join('\n'),
      })
    }
  }
  return sources
}

/** The comment lines that end a text. */
function commentBefore (text: string): string {
  const lines = text.split('\n')
  const code = lines.findLastIndex((line, i) => i < lines.length - 1 && !/^\s*(?:\/\/|\/\*\*)/.test(line))
  return lines.slice(code + 1).join('\n')
}

/** Where the call ends whose parenthesis has been opened before `from`. Texts in quotes do not count. */
function endOfCall (text: string, from: number): number {
  let open = 1
  for (const { 0: token, index } of text.slice(from).matchAll(/'(?:\\.|[^'\\\n])*'|\/\/.*|[()]/g)) {
    if (token === '(') open++
    if (token === ')' && --open === 0) return from + index + 1
  }
  return text.length
}
