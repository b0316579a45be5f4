import { inspect } from 'node:util'
import { OptionError } from '../errors.js'

/** What one option may be: a test, and the words that an error says it with. */
export interface Rule {
  readonly allowed: string
  readonly test: (value: unknown) => boolean
  /** Whether the value is never shown, not even a wrong one. */
  readonly hidden?: true
}

/** The largest number of seconds that an option takes: 68 years, what a signed 32-bit counter holds. */
const maxSeconds = 2_147_483_647

const isWhole = (value: unknown, min: number, max: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max

/** An object whose fields can be read by name. Arrays are none. */
export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The rules that options share. */
export const rules = {
  seconds: {
    allowed: `a whole number of seconds from 1 to ${maxSeconds}, or null for never`,
    test: (value) => value === null || isWhole(value, 1, maxSeconds),
  },
  boolean: { allowed: 'true or false', test: (value) => typeof value === 'boolean' },
  function: { allowed: 'a function', test: (value) => typeof value === 'function' },
  text: { allowed: 'a non-empty string', test: (value) => typeof value === 'string' && value !== '' },
} satisfies Record<string, Rule>

export function oneOf (...values: unknown[]): Rule {
  return { allowed: values.map((value) => inspect(value)).join(' or '), test: (value) => values.includes(value) }
}

export function wholeNumber (unit: string, min: number, max = Number.MAX_SAFE_INTEGER): Rule {
  return { allowed: `a whole number of ${unit} from ${min} to ${max}`, test: (value) => isWhole(value, min, max) }
}

/** An object that has these methods: all that we ask of a driver. */
export function withMethods (what: string, ...methods: string[]): Rule {
  return {
    allowed: `${what} (an object with ${methods.join(', ')})`,
    test: (value) => typeof value === 'object' && value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
  }
}

/** A value as an error shows it: short, on one line, and nothing of what is inside of its objects: a client has passwords there. */
export function show (value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 60, maxArrayLength: 5 })
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

/** Options without those that are undefined. */
export type Checked<O> = { [K in keyof O]?: Exclude<O[K], undefined> }

/**
 * Checks the options that a user gave against their rules and returns a copy without those that are undefined.
 * The user's object is never written to.
 *
 * @param where what the options belong to, for the error: `tokenSessions()`, `GET /people`
 * @throws OptionError (`FST_SESSION_OPTION`) that names the option, the value and what is allowed
 */
export function checkOptions<O extends object> (where: string, options: unknown, allowed: Record<keyof O & string, Rule>): Checked<O> {
  if (options === undefined) return {}
  if (!isObject(options)) throw new OptionError(where, `options must be an object; got ${show(options)}`)
  const checked: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(allowed, name) ? allowed[name as keyof O & string] : undefined
    if (rule === undefined) {
      throw new OptionError(where, `unknown option ${show(name)} (${show(value)}); allowed: ${Object.keys(allowed).join(', ')}`)
    }
    if (value === undefined) continue
    if (!rule.test(value)) throw new OptionError(where, `option ${name} must be ${rule.allowed}${rule.hidden ? '' : `; got ${show(value)}`}`)
    checked[name] = value
  }
  return checked as Checked<O>
}
