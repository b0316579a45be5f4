import { show } from '../util/option-rules.js'
import { KeyError, RecordError, ValueError } from '../errors.js'

/** Values nested deeper than this are refused. */
const maxDepth = 200

/** @throws KeyError (`FST_SESSION_KEY`) */
export function checkKey (key: unknown): asserts key is string {
  if (typeof key !== 'string' || key === '' || !isWellFormed(key)) throw new KeyError(show(key))
}

/** A lone surrogate would come back from a store as another character. */
export function isWellFormed (text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/**
 * Checks that JSON can hold a value as it is. What has a `toJSON` (a Date, say) is what that gives, from now on.
 * @throws ValueError (`FST_SESSION_VALUE`) that says where in the value the problem is
 */
export function checkValue (key: string, value: unknown): unknown {
  if (isAtom(value)) return value
  return walk(key, value, '', []) ? JSON.parse(JSON.stringify(value)) : value
}

function isAtom (value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
}

/** Whether something in the value has a `toJSON`. */
function walk (key: string, value: unknown, path: string, parents: object[]): boolean {
  if (isAtom(value)) return false
  const at = path === '' ? 'it' : path
  if (typeof value !== 'object' || value === null) {
    throw new ValueError(show(key), `${at} is ${typeof value === 'number' ? String(value) : `of type ${typeof value}`}, which JSON cannot hold.`)
  }
  if (parents.includes(value)) throw new ValueError(show(key), `${at} refers back to an object that it is in.`)
  if (parents.length === maxDepth) throw new ValueError(show(key), `it is nested more than ${maxDepth} levels deep.`)
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    const json: unknown = (value as { toJSON: (key: string) => unknown }).toJSON('')
    parents.push(value)
    walk(key, json, path, parents)
    parents.pop()
    return true
  }
  let converted = false
  parents.push(value)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) converted = walk(key, value[i], `${path}[${i}]`, parents) || converted
    parents.pop()
    return converted
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null) {
    throw new ValueError(show(key), `${at} is ${nameOf(value)}, which JSON cannot hold: store plain objects and arrays.`)
  }
  for (const name of Object.keys(value)) {
    converted = walk(key, (value as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`, parents) || converted
  }
  parents.pop()
  return converted
}

function nameOf (value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' ? `a ${constructor.name}` : 'an object with a prototype of its own'
}

/** @throws RecordError (`FST_SESSION_RECORD`) */
export function parseValue (key: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RecordError(`the value of ${show(key)} is not JSON`, { cause })
  }
}
