import { inspect } from 'node:util'
import { OptionError } from '../errors.js'

/** The values that one option takes: a test, and its description in errors. */
export interface Rule {
  readonly allowed: string
  readonly test: (value: unknown) => boolean
  /** True if errors may show a refused value. Otherwise they only name its type: it may be a secret. */
  readonly harmless?: boolean
}

/** The largest number of seconds that an option takes: 68 years, the range of a signed 32-bit counter. */
export const maxSeconds = 2_147_483_647

const isWhole = (value: unknown, min: number, max: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max

/** An object with fields that can be read by name, and no array. */
export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The rules that options share. */
export const rules = {
  seconds: {
    allowed: `a whole number of seconds from 1 to ${maxSeconds}, or null for never`,
    test: (value) => value === null || isWhole(value, 1, maxSeconds),
    harmless: true,
  },
  boolean: { allowed: 'true or false', test: (value) => typeof value === 'boolean', harmless: true },
  function: { allowed: 'a function', test: (value) => typeof value === 'function' },
  text: { allowed: 'a non-empty string', test: (value) => typeof value === 'string' && value !== '' },
} satisfies Record<string, Rule>

export function oneOf (...values: unknown[]): Rule {
  return { allowed: values.map((value) => inspect(value)).join(' or '), test: (value) => values.includes(value), harmless: true }
}

export function wholeNumber (unit: string, min: number, max = Number.MAX_SAFE_INTEGER): Rule {
  return { allowed: `a whole number of ${unit} from ${min} to ${max}`, test: (value) => isWhole(value, min, max), harmless: true }
}

/** An object with these methods: a provider needs no more of a driver. */
export function withMethods (what: string, ...methods: string[]): Rule {
  return {
    allowed: `${what} (an object with ${methods.join(', ')})`,
    test: (value) => typeof value === 'object' && value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
  }
}

/** The longest text that an error shows. */
const maxShown = 60

/** A value that is no secret, for an error: a key, a name, a value of a harmless option. Long texts and objects are described. */
export function show (value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  return typeof value === 'string' && value.length <= maxShown ? inspect(value) : describeType(value)
}

/** The type of a value, for an error that must not show the value: `a string of 12 characters`, `an instance of Redis`, `NaN`. */
export function describeType (value: unknown): string {
  switch (typeof value) {
    case 'string': return value === '' ? 'an empty string' : `a string of ${value.length} character${value.length === 1 ? '' : 's'}`
    case 'number': return Number.isFinite(value) ? 'a number' : String(value)
    case 'object': return value === null ? 'null' : describeObject(value)
    case 'boolean': case 'undefined': return String(value)
    default: return `a ${typeof value}`
  }
}

function describeObject (value: object): string {
  if (isPlainObject(value)) return 'an object'
  const name = classOf(value)
  if (Array.isArray(value) && name === 'Array') return `an Array of ${value.length}`
  return name === undefined ? 'an object with a prototype of its own' : `an instance of ${name}`
}

function classOf (value: object): string | undefined {
  const prototype = Object.getPrototypeOf(value) as object | null
  const constructor: unknown = prototype === null ? undefined : Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name.slice(0, maxShown) : undefined
}

/** True for `{}`, for an object without a prototype, for objects of other realms (`node:vm`), and for those of parsers of queries and cookies. */
export function isPlainObject (value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && (Object.hasOwn(prototype, 'isPrototypeOf') || Reflect.ownKeys(prototype).length === 0)
}

/** Options without those that are undefined. */
export type Checked<O> = { [K in keyof O]?: Exclude<O[K], undefined> }

/**
 * Checks the options that a user gave against their rules and returns a copy without those that are undefined.
 * The user's object is never written to.
 *
 * @param where the owner of the options, for the error: `tokenSessions()`, `GET /people`
 * @param others names of options that others take at the same place, for the error
 * @param hintFor a sentence for the error about an unknown option that belongs elsewhere
 * @throws OptionError (`FST_SESSION_OPTION`) that names the option and the values that it takes
 */
export function checkOptions<O extends object> (
  where: string, options: unknown, allowed: Record<keyof O & string, Rule>, others: readonly string[] = [], hintFor: (name: string) => string = () => ''
): Checked<O> {
  if (options === undefined) return {}
  if (!isOptions(options)) throw new OptionError(where, `options must be an object; got ${describeType(options)}`)
  const checked: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(allowed, name) ? allowed[name as keyof O & string] : undefined
    if (rule === undefined) throw new OptionError(where, `unknown option ${show(name)}; allowed: ${[...Object.keys(allowed), ...others].join(', ')}${hintFor(name)}`)
    if (value === undefined) continue
    if (!rule.test(value)) throw new OptionError(where, `option ${name} must be ${rule.allowed}; got ${rule.harmless ? show(value) : describeType(value)}`)
    checked[name] = value
  }
  return checked as Checked<O>
}

/** False for a Map, a promise and the like: their contents are not options. */
function isOptions (value: unknown): value is object {
  return isPlainObject(value) || (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0)
}
