import { isHint } from '../core/provider.js'
import { atOnce } from '../util/maybe-promise.js'
import { checkValue } from './values.js'

export type Update = (value: unknown) => unknown

/** A change of one key that waits for its commit. The value of a `set` is the slot's. */
export type Operation =
  | { readonly kind: 'set' }
  | { readonly kind: 'increment', by: number }
  | { readonly kind: 'append', readonly values: unknown[] }
  | { readonly kind: 'update', readonly fn: Update }

export const setOperation: Operation = Object.freeze({ kind: 'set' })

/** False for a hint: its loss is no failure. */
export function isWork (operation: Operation): boolean {
  return operation.kind !== 'update' || !isHint(operation.fn)
}

/** Applies an operation to a value of the store. */
export function operate (key: string, operation: Operation, value: unknown): unknown {
  switch (operation.kind) {
    case 'set': return value
    case 'increment': return (value as number | undefined ?? 0) + operation.by
    case 'append': return appended(value, value, operation.values)
    case 'update': return applied(key, operation.fn, value)
  }
}

/**
 * @param own a list that may be changed in place; `undefined` if there is none
 * @param list the present list; an absent one counts as empty
 */
export function appended (own: unknown, list: unknown, added: readonly unknown[]): unknown[] {
  if (!Array.isArray(own)) return [...list as unknown[] | undefined ?? [], ...added]
  for (const value of added) own.push(value)
  return own
}

/** Works on a copy: an update that fails half-way has changed nothing. */
export function applied (key: string, fn: Update, value: unknown): unknown {
  const next = atOnce(fn(typeof value === 'object' && value !== null ? JSON.parse(JSON.stringify(checkValue(key, value))) : value))
  return next === undefined ? undefined : checkValue(key, next)
}
