/** In place of a type whose values a session cannot hold: the compiler shows it. */
export type NotJson = 'JSON does not keep values of this type: store a string, a number or a plain object instead'

/**
 * The constraint for a session's data, `Data extends JsonData<Data>`: its values come back from JSON as they were set. A `Date`, a
 * `Map`, a bigint, a symbol, a function and what has methods do not. `unknown` and `any` are checked when they are set.
 * Needed only for functions that are generic in the data of a session.
 *
 * @example
 * ```ts
 * import { memoryStore, tokenSessions, type JsonData } from 'fastify-request-session'
 *
 * export function inMemory<Data extends JsonData<Data>> () {
 *   return tokenSessions<Data>({ store: memoryStore() })
 * }
 * ```
 */
export type JsonData<Data> = object & { [K in keyof Data]: Json<Data[K]> }

/** The type itself where JSON keeps its values; else a type that it does not extend. */
type Json<T> = unknown extends T ? T
  : T extends string | number | boolean | null | undefined ? T
    : T extends bigint | symbol | ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown) ? NotJson
      : T extends { toJSON (...args: never[]): unknown } | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> ? NotJson
        : T extends readonly unknown[] ? JsonList<T>
          : { [K in keyof T]: Json<T[K]> }

/**
 * A list whose elements JSON keeps. An element that is `undefined` would become `null`, but an optional one of a tuple may be missing.
 * An index signature, not a mapped type: TypeScript evaluates mapped lists at once, and would not end for a list of itself.
 */
type JsonList<T extends readonly unknown[]> = unknown extends T[number] ? T
  : [number, undefined] extends [T['length'], T[number]] ? NotJson
      : { readonly [index: number]: Json<T[number]> }
