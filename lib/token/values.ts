import { describeType, isPlainObject, show } from '../util/option-rules.js'
import { KeyError, NameError, PropertyError, RecordError, SessionTooLargeError, ValueError } from '../errors.js'

/** The deepest nesting of a value. */
const maxDepth = 200

const notKept = ', which JSON does not keep: store plain objects and arrays.'

/** A part of a value that JSON does not preserve: its path, and the reason. */
interface Problem {
  path: string
  readonly text: string
}

/** @throws KeyError (`FST_SESSION_KEY`) */
export function checkKey (key: unknown): asserts key is string {
  if (!isKey(key)) throw new KeyError(describeType(key))
}

/** True for a non-empty text without a lone surrogate: UTF-8 has none, so a store would return another character. */
export function isKey (key: unknown): key is string {
  return typeof key === 'string' && key !== '' && key.isWellFormed()
}

/**
 * Returns the value, if its JSON text yields an equal value for later requests. Two exceptions:
 * a property that is `undefined` is left out, and -0 becomes 0.
 * @throws ValueError (`FST_SESSION_VALUE`) that says where in the value the problem is
 */
export function checkValue<T> (key: string, value: T): T {
  if (isAtom(value)) return value
  const problem = findProblem(value, [], maxDepth)
  if (problem === undefined) return value
  throw new ValueError(show(key), `${problem.path === '' ? 'it' : problem.path} ${problem.text}`)
}

/** True if JSON preserves the whole value. Depth does not count here: a text of any depth may have been stored by others. */
export function isKept (value: unknown): boolean {
  return findProblem(value, [], Infinity) === undefined
}

/** True for a value that `set()` takes. */
export function isStorable (value: unknown): boolean {
  return findProblem(value, [], maxDepth) === undefined
}

/** True for a plain object with nothing but values under strings: all that `Object.entries` sees is all that it has. */
export function isStorableObject (value: unknown): boolean {
  return isPlainObject(value) && findInShape(value, Object.keys(value)) === undefined
}

function isAtom (value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || value === null || (typeof value === 'number' && Number.isFinite(value))
}

function findProblem (value: unknown, parents: object[], maxDepth: number): Problem | undefined {
  if (isAtom(value)) return undefined
  if (typeof value !== 'object' || value === null) return problem(`is ${describeType(value)}, which JSON does not keep.`)
  if (parents.includes(value)) return problem('refers back to an object that it is in.')
  if (parents.length === maxDepth) return problem(`is nested more than ${maxDepth} levels deep.`)
  parents.push(value)
  const found = Array.isArray(value) ? findInArray(value, parents, maxDepth) : findInObject(value as Record<string, unknown>, parents, maxDepth)
  parents.pop()
  return found
}

function findInArray (array: unknown[], parents: object[], maxDepth: number): Problem | undefined {
  if (!hasArrayPrototype(array)) return problem(`is ${describeType(array)}${notKept}`)
  for (let i = 0; i < array.length; i++) {
    const found = findProblem(array[i], parents, maxDepth)
    if (found !== undefined) return within(`[${i}]`, found)
  }
  if (Object.keys(array).length !== array.length || Object.getOwnPropertySymbols(array).length > 0) {
    return problem('is an array with properties or holes, which JSON does not keep.')
  }
  return undefined
}

function findInObject (object: Record<string, unknown>, parents: object[], maxDepth: number): Problem | undefined {
  const names = Object.keys(object)
  const shape = findInShape(object, names)
  if (shape !== undefined) return shape
  for (const name of names) {
    const value = object[name]
    if (value === undefined) continue
    const found = findProblem(value, parents, maxDepth)
    if (found !== undefined) return within(stepOf(name), found)
  }
  return undefined
}

function findInShape (object: object, names: string[]): Problem | undefined {
  if (!isPlainObject(object)) return problem(`is ${describeType(object)}${notKept}`)
  if (Object.getOwnPropertyNames(object).length !== names.length) return problem('has a hidden (non-enumerable) property, which JSON does not keep.')
  if (Object.getOwnPropertySymbols(object).length > 0) return problem('has a symbol as a key, which JSON does not keep.')
  for (const name of names) {
    if (lookupGetter.call(object, name) !== undefined) return within(stepOf(name), problem('is computed by a getter, which JSON does not keep.'))
  }
  return undefined
}

/** Allocates nothing, unlike `Object.getOwnPropertyDescriptor`. */
const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as (this: object, name: string) => unknown

/** True also for an array of another realm (`node:vm`): there as here `Array.prototype` is an array itself. */
function hasArrayPrototype (array: unknown[]): boolean {
  const prototype: unknown = Object.getPrototypeOf(array)
  return prototype === Array.prototype || Array.isArray(prototype)
}

function problem (text: string): Problem {
  return { path: '', text }
}

/** A property's name in a path: a plain one as it is, another one in brackets. It may come from a client. */
export function stepOf (name: string): string {
  return /^[\w$]{1,60}$/.test(name) ? name : `[${show(name)}]`
}

function within (step: string, found: Problem): Problem {
  const { path } = found
  found.path = path === '' || path.startsWith('[') ? step + path : `${step}.${path}`
  return found
}

/**
 * Returns the JSON text of a value; `undefined` for an absent one.
 * @throws ValueError (`FST_SESSION_VALUE`) for an object that JSON does not keep
 */
export function textOf (key: string, value: unknown): string | undefined {
  // Only a value that can be changed in place may have become one that JSON does not preserve.
  return JSON.stringify(typeof value === 'object' ? checkValue(key, value) : value)
}

/** @throws RecordError (`FST_SESSION_RECORD`), without the parser's error: that quotes the value, which must not reach logs */
export function parseValue (key: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RecordError(`the value of ${show(key)} is not JSON`)
  }
}

/** The longest name or subject, in characters (UTF-16 units). */
const maxLength = 256

/**
 * Returns a name or a subject as it is.
 * @throws NameError (`FST_SESSION_NAME`) unless it is a well-formed text of 1 to 256 characters
 */
export function checkName (what: string, name: unknown): string {
  if (isName(name)) return name
  throw new NameError(what, `it must be a well-formed text of 1 to ${maxLength} characters; got ${describeType(name)}.`)
}

export function isName (name: unknown): name is string {
  return typeof name === 'string' && name !== '' && name.length <= maxLength && name.isWellFormed()
}

/** The bytes of all keys and texts, in UTF-8. */
export function sizeOf (texts: Iterable<readonly [key: string, text: string]>): number {
  let size = 0
  for (const [key, text] of texts) size += Buffer.byteLength(key) + Buffer.byteLength(text)
  return size
}

/** @throws SessionTooLargeError (`FST_SESSION_TOO_LARGE`) */
export function refuseLarge ({ maxSize }: { readonly maxSize: number }, route: string, fields: ReadonlyMap<string, string>): void {
  const size = sizeOf(fields)
  if (size > maxSize) throw new SessionTooLargeError(route, size, maxSize)
}

/**
 * A last prototype that refuses assigned properties, with an error that names `set()`: it only handles members that a session lacks.
 * Symbols are of tracers and the like, which no user takes for data.
 */
export function refusingProperties<P extends object> (prototype: P): P {
  return new Proxy(prototype, {
    set (target, name, value, receiver) {
      if (typeof name === 'symbol') return Reflect.set(target, name, value, receiver)
      throw new PropertyError(show(name))
    },
  })
}
