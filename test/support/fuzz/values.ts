import { bytes, secret } from './laws.js'
import type { Random } from '../random.js'

/** Values that no option takes, or that break who does not look. Made anew: a callee might write to them. */
const junk: ReadonlyArray<() => unknown> = [
  () => undefined, () => null, () => true, () => false, () => 0, () => -0, () => -1, () => 1.5, () => NaN, () => Infinity, () => 1, () => 60, () => 2 ** 31, () => 2 ** 53, () => 10n,
  () => '', () => '1', () => 'x'.repeat(300), () => '\ud800', () => '__proto__', () => 'constructor', () => ({}), () => [], () => [undefined], () => [{}],
  () => JSON.parse('{"__proto__":{"polluted":true}}') as unknown, () => JSON.parse('{"constructor":{"prototype":{"polluted":true}}}') as unknown,
  () => Object.create(null) as unknown, () => Object.freeze({ ttl: 1 }), () => new Map([['ttl', 1]]), () => new Set([1]), () => new Date(), () => new Date(NaN), () => /x/,
  () => Symbol('s'), () => () => {}, () => async () => {}, () => Promise.resolve({}), () => new Uint8Array(3), () => Buffer.alloc(64), () => new Error('x'),
]

/** Values that have something in them that an error must not print. */
const secrets: ReadonlyArray<() => unknown> = [
  () => secret, () => [secret], () => ({ password: secret }), () => new Map([[secret, secret]]), () => `redis://:${secret}@localhost`, () => Buffer.from(secret),
  () => ({ scheme: '', credentials: secret }), () => [[secret]], () => new Error(secret), () => Object.assign(() => {}, { secret }), () => Symbol(secret),
]

export function anyValue (random: Random): unknown {
  return random.onceIn(20) ? bytes(random, 20) : random.pick(junk)()
}

/** Options of a function by their names: values that each takes. */
export type Known = Readonly<Record<string, readonly unknown[]>>

/** Options whose values are often none, and beside them some that nobody knows. */
export function anyOptions (random: Random, known: Known, sensitive: readonly string[]): unknown {
  if (random.onceIn(25)) return anyValue(random)
  const options: Record<string, unknown> = random.onceIn(20) ? Object.create(null) as Record<string, unknown> : {}
  for (const [name, good] of Object.entries(known)) {
    if (!random.onceIn(3)) continue
    const value = random.onceIn(2) ? random.pick(good) : sensitive.includes(name) && random.onceIn(2) ? random.pick(secrets)() : anyValue(random)
    options[name] = value
  }
  if (random.onceIn(8)) {
    const name = random.pick(['__proto__', 'constructor', 'toString', 'secrets', 'password', 'Ttl', 'x'.repeat(100), '\ud800'])
    Object.defineProperty(options, name, { value: random.pick(secrets)(), enumerable: true, configurable: true, writable: true })
  }
  return random.onceIn(10) ? Object.freeze(options) : options
}
