import { RecordError } from '../errors.js'
import type { ListingStore, SessionSummary } from '../stores/optional-interfaces.js'
import type { SessionRecord, SessionStore, Successor } from '../stores/store.js'
import { nothing, type MaybePromise } from '../util/maybe-promise.js'
import { callStore } from './call-store.js'

/** Reads a session with which no new request comes: to a store that drops the least used ones it is no use. */
export function look (store: SessionStore, id: string): MaybePromise<SessionRecord | Successor | undefined> {
  return callStore(() => store.load(id, true))
}

/**
 * Reads the session of an id, or the one that it leads to; `undefined` if that is gone.
 * @param follow is told of each id that was given up, and throws to go no further
 */
export async function find (store: SessionStore, id: string, follow: (to: Successor) => void = nothing): Promise<{ readonly id: string, readonly record: SessionRecord } | undefined> {
  const found = await look(store, id)
  if (found === undefined) return undefined
  if (!('successor' in found)) return { id, record: found }
  follow(found)
  return find(store, found.successor, follow)
}

/** Describes a session; loads its data only if the store cannot do without. */
export function summaryOf (store: SessionStore | ListingStore, id: string): MaybePromise<SessionSummary | undefined> {
  if ('describe' in store) return callStore(() => store.describe(id))
  return callStore(() => store.load(id, true), (found) => {
    if (found === undefined || 'successor' in found) return undefined
    return { ...found, size: found.fields.size, timeLeft: found.expiresAt === null ? null : Math.max(0, found.expiresAt - Date.now()) }
  })
}

/**
 * Gives the answer about a session; `undefined` for a damaged one, which is none: it cannot be used.
 * @param damaged is called for a damaged one
 */
export async function unlessDamaged<T> (ask: () => MaybePromise<T>, damaged: () => void = nothing): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    damaged()
    return undefined
  }
}
