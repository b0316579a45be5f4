import type { Test } from 'tap'
import { Random } from '../random.js'
import { scaled } from '../scale.js'

/** Inputs of each kind: `npm run test:long` tries them all. */
export const inputCount = scaled(1000, 100_000)

/** What would be in an error if it printed what it was given. */
export const secret = 'hunter2-do-not-print'

const prototypes = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Number.prototype, Map.prototype, Promise.prototype]
const namesOf = (): string => prototypes.map((prototype) => Reflect.ownKeys(prototype).map(String).join(' ')).join('\n')

const before = namesOf()

/** Fails the test if a prototype of the language has another property than at first. */
export function checkPrototypes (t: Test): void {
  t.equal(namesOf(), before, 'no prototype was touched')
}

/** The problem of an error that an option has led to; `undefined` if it is one of this package that shows no secret. */
export function problemOf (error: unknown): string | undefined {
  const { code, message, stack } = Object(error) as { code?: unknown, message?: unknown, stack?: unknown }
  if (typeof code !== 'string' || !code.startsWith('FST_SESSION_')) return `an error of another kind: ${String(stack ?? error)}`
  return `${String(message)} ${String(stack)}`.includes(secret) ? `an error shows the secret: ${String(message)}` : undefined
}

/** Runs a call that may throw or reject; the problem of its error, if that is not as it should be. */
export async function problemOfCall (call: () => unknown): Promise<string | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    return problemOf(error)
  }
}

/** Text of the bytes that break parsers most, as Latin-1. */
export function bytes (random: Random, most: number): string {
  const length = random.below(most + 1)
  let text = ''
  for (let i = 0; i < length; i++) text += random.onceIn(3) ? String.fromCharCode(random.below(256)) : random.pick(awkward)
  return text
}

const awkward = [...'=;, "\\%\t-_~aZ09{}[]()<>@:/?\u0000\u007f\u00ff', '%00', '%3D', '%3B', '%zz', '__proto__', 'constructor', '\r', '\n', '\r\n']

/** A text with a few places changed: characters that are dropped, doubled, replaced or put in. */
export function mutated (random: Random, text: string): string {
  let changed = text
  for (let i = random.between(1, 3); i > 0; i--) {
    const at = random.below(changed.length + 1)
    const junk = random.onceIn(2) ? bytes(random, 3) : random.pick(['-', '=', ' ', '9', '99999999999999999999', 'null', '"', '\ud800', ''])
    changed = changed.slice(0, at) + junk + changed.slice(at + random.below(4))
  }
  return changed
}
