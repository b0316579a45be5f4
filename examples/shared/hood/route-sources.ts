import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Source } from './entry.js'

const route = /^([ \t]*)\w+\.(get|post|put|patch|delete)(?:<.*>)?\('(\/[^']*)'/gm
const definition = /^( *)(?:export )?(?:async )?(?:function )?(?!if|for|while|switch|catch|constructor)(\w+) \(.*\{$/gm

/**
 * Finds where the routes of an example are defined, in its own files.
 * @param main the URL of the file that has the routes: `import.meta.url`
 * @param others those of files whose functions are shown with a route that calls them
 * @returns the route and what it calls, by method and pattern: `GET /api/basket`
 */
export function routeSources (main: URL | string, others: readonly URL[]): Map<string, Source[]> {
  const functions = new Map(others.flatMap(functionsOf))
  const { name, text } = read(main)
  const sources = new Map<string, Source[]>()
  for (const { 0: { length }, 1: indent = '', 2: method = '', 3: pattern = '', index } of text.matchAll(route)) {
    const own = sourceAt(name, text, index, endOfCall(text, index + length), indent)
    const called = new Set([...own.text.matchAll(/\b(\w+)\(/g)].map(([, callee]) => functions.get(callee as string)))
    sources.set(`${method.toUpperCase()} ${pattern}`, [own, ...[...called].filter((source) => source !== undefined)])
  }
  return sources
}

/** The functions and methods of a file, by name. */
function functionsOf (file: URL): Array<[string, Source]> {
  const { name, text } = read(file)
  return [...text.matchAll(definition)].map(({ 0: { length }, 1: indent = '', 2: called = '', index }) => {
    const end = text.indexOf(`\n${indent}}`, index + length)
    return [called, sourceAt(name, text, index, end + indent.length + 2, indent)]
  })
}

function read (file: URL | string): { name: string, text: string } {
  const path = fileURLToPath(file)
  return { name: `${basename(dirname(path))}/${basename(path)}`, text: readFileSync(path, 'utf8') }
}

/** A part of a file, with the comment before it. */
function sourceAt (file: string, text: string, index: number, end: number, indent: string): Source {
  const start = index - commentBefore(text.slice(0, index)).length
  const lines = text.slice(start, end).split('\n')
  return {
    file,
    line: text.slice(0, start).split('\n').length,
    text: lines.map((line) => line.startsWith(indent) ? line.slice(indent.length) : line).join('\n'),
  }
}

/** The comment lines that end a text. */
function commentBefore (text: string): string {
  const lines = text.split('\n')
  const code = lines.findLastIndex((line, i) => i < lines.length - 1 && !/^\s*(?:\/\/|\/\*\*|\*)/.test(line))
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
