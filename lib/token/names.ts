import { NameError } from '../errors.js'
import { describeType } from '../util/option-rules.js'
import { isWellFormed } from './values.js'

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
  return typeof name === 'string' && name !== '' && name.length <= maxLength && isWellFormed(name)
}
