import { Transform } from 'node:stream'
import { inspect } from 'node:util'
import { Parser } from 'tap-parser'

// What tap says in comments; the rest was said by a test (`t.comment`).
const OWN_COMMENTS = /^# (Subtest|time=|\{|(passed|failed|skip|todo|bailout|test count|expected|Looks like))/
// Of a failure's diagnostics: shown in another way, or of no use to a reader.
const NOT_LISTED = new Set([
  'at', 'stack', 'diff', 'source', 'found', 'wanted', 'cause', 'message',
  'compare', 'test', 'tapCaught', 'stdio', 'cwd', 'externalID', 'command', 'args',
])

/**
 * tap's reporter (`tap.reporter` in package.json): a line per test file, each failure with its difference and its
 * stack, each skip with its reason, and as the very last line `N passed, N failed[, N skipped]`.
 * What counts is the innermost `t.test`, or a file that has none, and each single skip.
 */
export default class Reporter extends Transform {
  #count = { passed: 0, failed: 0, skipped: 0 }
  #failed = new Set()
  #parser = new Parser()

  constructor () {
    super()
    // The runner's stream: its children are the files.
    const { open, said } = watch(this.#parser, [], {
      over: (file) => {
        // What a test logs stands outside of its file's TAP.
        file.said.unshift(...said.splice(0).map((text) => text.trim()))
        this.#printFile(file)
      },
      assert: (result) => { this.#printLoose(result) },
    })
    this.#parser.on('complete', () => {
      for (const text of said) this.#print(text.trimEnd())
      for (const file of open.values()) this.#printFile({ ...file, result: { ok: file.ok, name: file.path[0] } })
    })
    this.#parser.on('bailout', (reason) => { this.#print(`BAIL OUT ${reason}`) })
  }

  /** @override */
  _transform (chunk, _encoding, done) {
    this.#parser.write(chunk.toString())
    done()
  }

  /** @override */
  _flush (done) {
    this.#parser.end()
    const { passed, failed, skipped } = this.#count
    this.#print(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
    done()
  }

  #print (text) {
    this.push(`${text}\n`)
  }

  /** A file of which only the verdict arrived: one that took too long while others ran beside it. */
  #printLoose (result) {
    const name = nameOf(result)
    if (this.#failed.has(name)) return
    this.#printFile({ path: [name], result, tests: [], asserts: [], said: [], reason: undefined })
  }

  #printFile (file) {
    const count = { passed: 0, failed: 0, skipped: 0 }
    tally(file, count)
    for (const key of Object.keys(count)) this.#count[key] += count[key]
    if (count.failed > 0) this.#failed.add(file.path[0])
    const counted = Object.entries(count).filter(([, n]) => n > 0).map(([key, n]) => `${n} ${key}`).join(', ')
    const seconds = ((file.result.time ?? 0) / 1000).toFixed(1)
    this.#print(`${count.failed > 0 ? 'FAIL' : 'ok  '} ${file.path[0]} (${counted}, ${seconds} s)`)
    for (const text of details(file)) this.#print(indent(text, '     '))
  }
}

/**
 * Collects a test's tree: `{ path, result, tests, asserts, said, reason, ok }`, where `result` is its own test point.
 * @param on `over` is called with each test directly below when it is over, `assert` with each other test point
 * @returns the tests directly below that are not over, by name, and what was said beside them
 */
function watch (parser, path, on) {
  const open = new Map()
  const said = []
  parser.on('child', (child) => {
    const test = {
      path: [...path, child.name], result: undefined, tests: [], asserts: [], said: [], reason: undefined, ok: false,
    }
    test.said = watch(child, test.path, {
      over: (inner) => { test.tests.push(inner) },
      assert: (result) => { test.asserts.push(result) },
    }).said
    child.on('complete', ({ ok, plan }) => {
      test.ok = ok
      if (plan?.skipAll) test.reason = plan.comment || 'skipped'
    })
    open.set(child.name, test)
  })
  parser.on('assert', (result) => {
    const test = open.get(nameOf(result)) ?? (result.closingTestPoint ? open.values().next().value : undefined)
    if (test === undefined) return on.assert(result)
    open.delete(test.path.at(-1))
    test.result = result
    on.over(test)
  })
  parser.on('comment', (text) => { if (!OWN_COMMENTS.test(text)) said.push(text) })
  parser.on('extra', (text) => { said.push(text) })
  return { open, said }
}

/** The name of the test that a test point closes; that of a timeout stands in its diagnostics. */
function nameOf (result) {
  return result.diag?.expired ?? result.name
}

/** Whether an assertion failed in earnest: neither skipped nor still to do. */
function hasFailed (result) {
  return !result.ok && !result.skip && !result.todo
}

/** What a test has of its own to show as failures, besides those of the tests inside. */
function failures (test) {
  const own = test.asserts.filter(hasFailed)
  const explained = own.length > 0 || test.tests.some((inner) => hasFailed(inner.result))
  // E.g. a timeout, a wrong plan or an exit code: the test point of the test itself is all there is.
  return hasFailed(test.result) && !explained ? [test.result] : own
}

function skipReason (result) {
  const reason = result.skip || result.todo
  return reason === true ? 'no reason given' : reason
}

/** What was skipped in a test, as `[name, reason]`: the test itself, tests directly below, assertions. */
function skips (test) {
  const whole = skipReason(test.result) || test.reason
  // Of a file that crashed tap says that it was skipped for want of tests.
  if (whole && test.asserts.length === 0) return hasFailed(test.result) ? [] : [['', whole]]
  return test.asserts.filter(skipReason).map((result) => [result.name, skipReason(result)])
}

function tally (test, count) {
  for (const inner of test.tests) tally(inner, count)
  const skipped = skips(test).length
  count.skipped += skipped
  if (failures(test).length > 0) count.failed++
  else if (test.tests.length === 0 && (skipped === 0 || test.asserts.length > skipped)) count.passed++
}

function * details (test) {
  for (const text of test.said) yield text.trimEnd()
  for (const inner of test.tests) yield * details(inner)
  const title = test.path.slice(1).join(' > ')
  const failed = failures(test)
  for (const result of failed) {
    const name = result.name === test.path.at(-1) ? '' : result.name
    yield `FAILED ${[title, name].filter(Boolean).join(': ') || 'the file itself'}${describe(result.diag)}`
  }
  for (const [name, reason] of skips(test)) {
    yield `skipped ${[title, name, reason].filter(Boolean).join(': ')}`
  }
}

/** tap's diagnostics of a failure: where, the difference, whatever else there is, the stack, the cause. */
function describe (diag) {
  if (!diag) return ''
  const { at, source, diff, stack, cause, found, wanted } = diag
  const parts = []
  if (at?.fileName) parts.push(`at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`)
  if (source) parts.push(source.trimEnd())
  if (diff) parts.push(diff.trimEnd())
  else if ('wanted' in diag) parts.push(`found:  ${inspect(found)}\nwanted: ${inspect(wanted)}`)
  const rest = Object.entries(diag).filter(([key]) => !NOT_LISTED.has(key))
  for (const [key, value] of rest) parts.push(`${key}: ${typeof value === 'string' ? value.trimEnd() : inspect(value)}`)
  if (stack) parts.push(`stack:\n${indent(stack.trimEnd(), '  ')}`)
  if (cause?.message) parts.push(`cause: ${cause.message}${describe({ ...cause, source: undefined })}`)
  return `\n${indent(parts.join('\n'), '  ')}`
}

function indent (text, by) {
  return text.replace(/^(?=.)/gm, by)
}
