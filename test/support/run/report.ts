import { inspect } from 'node:util'
import { Parser, type FinalResults, type Result } from 'tap-parser'

/** How a test's process ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** In milliseconds. */
  readonly time: number
}

/** What a test point says. */
interface Verdict {
  readonly ok: boolean
  readonly name: string
  readonly skip?: boolean | string
  readonly todo?: boolean | string
  readonly diag: Record<string, unknown> | null
}

/** A file, or a `t.test`, with what is inside. */
interface Test {
  readonly path: readonly string[]
  readonly verdict: Verdict
  readonly tests: readonly Test[]
  readonly asserts: readonly Verdict[]
  readonly said: readonly string[]
  /** Why all of it was skipped. */
  readonly skipped: string | undefined
}

/** What tap says in comments; the rest was said by a test (`t.comment`). */
const ownComments = /^# (Subtest|time=|\{|(passed|failed|skip|todo|bailout|test count|expected|Looks like))/

/** Of a failure's diagnostics: shown in another way, or of no use to a reader. */
const notListed = new Set(['at', 'stack', 'diff', 'source', 'found', 'wanted', 'cause', 'message', 'compare', 'test', 'tapCaught', 'stdio', 'cwd'])

/**
 * Prints a line per test file, each failure with its difference and its stack, each skip with its reason, and as the very last line
 * `N passed, N failed[, N skipped]`. What counts is the innermost `t.test`, or a file that has none, and each single skip.
 */
export class Report {
  readonly #print: (text: string) => void
  readonly #count = { passed: 0, failed: 0, skipped: 0 }

  constructor (print: (text: string) => void) {
    this.#print = print
  }

  get hasFailed (): boolean {
    return this.#count.failed > 0
  }

  /** Adds a test file that has come to its end, with its TAP. */
  add (file: string, tap: string, { code, signal, time }: Ending): void {
    const parser = new Parser()
    const complete = read(parser, [file])
    parser.end(tap)
    const test = complete({ ok: parser.ok && code === 0, name: file, diag: { exitCode: code } }, signal === null ? [] : [{ ok: false, name: file, diag: { signal } }])
    const count = { passed: 0, failed: 0, skipped: 0 }
    tally(test, count)
    for (const key of ['passed', 'failed', 'skipped'] as const) this.#count[key] += count[key]
    const counted = Object.entries(count).filter(([, n]) => n > 0).map(([key, n]) => `${n} ${key}`).join(', ')
    this.#print(`${count.failed > 0 ? 'FAIL' : 'ok  '} ${file} (${counted}, ${(time / 1000).toFixed(1)} s)`)
    for (const text of details(test)) this.#print(indent(text, '     '))
  }

  end (): void {
    const { passed, failed, skipped } = this.#count
    this.#print(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  }
}

/** Makes a test of what a parser was given: with its verdict, and with more failures. */
type Complete = (verdict: Verdict, more?: readonly Verdict[]) => Test

/** Reads what a parser is given. */
function read (parser: Parser, path: readonly string[]): Complete {
  const [tests, asserts, said]: [Test[], Verdict[], string[]] = [[], [], []]
  const open = new Map<string, Complete>()
  let skipped: string | undefined
  parser.on('child', (child: Parser) => { open.set(child.name, read(child, [...path, child.name])) })
  parser.on('assert', (result: Result) => {
    // The test point of a test that took too long has another name.
    const name = (result.diag as { expired?: string } | null)?.expired ?? result.name
    const complete = open.get(name)
    open.delete(name)
    if (complete === undefined) asserts.push(result)
    else tests.push(complete(result))
  })
  parser.on('comment', (text: string) => { if (!ownComments.test(text)) said.push(text) })
  parser.on('extra', (text: string) => { said.push(text) })
  parser.on('complete', ({ plan }: FinalResults) => {
    if (plan.skipAll) skipped = plan.comment || 'skipped'
    for (const [name, complete] of open) tests.push(complete({ ok: false, name, diag: { message: 'has not come to its end' } }))
  })
  return (verdict, more = []) => ({ path, verdict, tests, asserts: [...asserts, ...more], said, skipped })
}

/** Whether it failed in earnest: neither skipped nor still to do. */
function hasFailed ({ ok, skip, todo }: Verdict): boolean {
  return !ok && !skip && !todo
}

/** What a test has of its own to show as failures, besides those of the tests inside. */
function failures ({ verdict, tests, asserts }: Test): readonly Verdict[] {
  const own = asserts.filter(hasFailed)
  const explained = own.length > 0 || tests.some((inner) => hasFailed(inner.verdict))
  // E.g. a timeout, a wrong plan or an exit code: the test point of the test itself is all there is.
  return hasFailed(verdict) && !explained ? [verdict] : own
}

function reasonToSkip ({ skip, todo }: Verdict): string | undefined {
  const reason = skip || todo
  return reason === true ? 'no reason given' : reason || undefined
}

/** What was skipped in a test, as `[name, reason]`: the test itself, tests directly below, assertions. */
function skips ({ verdict, asserts, skipped }: Test): Array<[name: string, reason: string]> {
  const whole = reasonToSkip(verdict) ?? skipped
  // Of a file that crashed tap says that it was skipped for want of tests.
  if (whole !== undefined && asserts.length === 0) return hasFailed(verdict) ? [] : [['', whole]]
  return asserts.flatMap((assert) => {
    const reason = reasonToSkip(assert)
    return reason === undefined ? [] : [[assert.name, reason]]
  })
}

function tally (test: Test, count: { passed: number, failed: number, skipped: number }): void {
  for (const inner of test.tests) tally(inner, count)
  const skipped = skips(test).length
  count.skipped += skipped
  if (failures(test).length > 0) count.failed++
  else if (test.tests.length === 0 && (skipped === 0 || test.asserts.length > skipped)) count.passed++
}

function * details (test: Test): Generator<string> {
  for (const text of test.said) yield text.trimEnd()
  for (const inner of test.tests) yield * details(inner)
  const title = test.path.slice(1).join(' > ')
  for (const { name, diag } of failures(test)) {
    const what = [title, name === test.path.at(-1) ? '' : name].filter(Boolean).join(': ')
    yield `FAILED ${what || 'the file itself'}${describe(diag)}`
  }
  for (const [name, reason] of skips(test)) yield `skipped ${[title, name, reason].filter(Boolean).join(': ')}`
}

/** tap's diagnostics of a failure: where, the difference, whatever else there is, the stack, the cause. */
function describe (diag: Record<string, any> | null): string {
  if (diag === null) return ''
  const { at, source, diff, stack, cause, found, wanted, message } = diag
  const parts: string[] = []
  if (message !== undefined && diff === undefined) parts.push(String(message).trimEnd())
  if (at?.fileName) parts.push(`at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`)
  if (source) parts.push(source.trimEnd())
  if (diff) parts.push(diff.trimEnd())
  else if ('wanted' in diag) parts.push(`found:  ${inspect(found)}\nwanted: ${inspect(wanted)}`)
  for (const [key, value] of Object.entries(diag)) {
    if (!notListed.has(key)) parts.push(`${key}: ${typeof value === 'string' ? value.trimEnd() : inspect(value)}`)
  }
  if (stack) parts.push(`stack:\n${indent(stack.trimEnd(), '  ')}`)
  if (cause?.message) parts.push(`cause: ${cause.message}${describe({ ...cause, source: undefined, message: undefined })}`)
  return parts.length > 0 ? `\n${indent(parts.join('\n'), '  ')}` : ''
}

function indent (text: string, by: string): string {
  return text.replace(/^(?=.)/gm, by)
}
