import type { EventEmitter } from 'node:events'

/**
 * Resolves at the emitter's next `event`. Unlike `once` of node:events it is not rejected by an `error` before it: a
 * database's client emits one for each attempt to reconnect that fails.
 */
export function emitted (emitter: EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => { emitter.once(event, () => { resolve() }) })
}
