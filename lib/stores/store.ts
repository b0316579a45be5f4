import type { MaybePromise } from '../maybe-promise.js'

/**
 * Where token sessions live. A store sees ids (hashes of tokens), never tokens; JSON texts, never live objects;
 * times in milliseconds since the epoch. It knows nothing of requests.
 *
 * Methods may answer at once or with a promise. They throw only when the store itself fails: an id that is
 * missing, expired or was never known is an answer, not an error. `fastify-request-session/conformance` tests all
 * that is written here.
 */
export interface SessionStore {
  /**
   * Reads a session. `undefined` if there is none, or it has expired.
   * Reading alone never prolongs a session's life.
   * @throws RecordError (`FST_SESSION_RECORD`) for a record that is damaged or of another version; it stays as it is
   */
  load (id: string): MaybePromise<SessionRecord | undefined>

  /**
   * Writes a session that must not exist yet. `false`, and nothing is written, if the id is taken.
   */
  create (id: string, record: SessionRecord): MaybePromise<boolean>

  /**
   * Applies a change in one atomic step, or nothing of it: parallel commits to one session never lose each
   * other's keys, and a session that has ended or expired meanwhile is not brought back.
   */
  commit (id: string, change: SessionChange): MaybePromise<CommitResult>

  /**
   * Gives a session a new id and applies a change, both in the same atomic step; the old id is unknown from then
   * on. Both ids have the same `slotOf`, so that a clustered store can keep them in one place.
   */
  renew (id: string, newId: string, change: SessionChange): MaybePromise<CommitResult>

  /**
   * Deletes a session and its data. `false` if there was none.
   * @param incarnation if given: what the session must have been created with, else it is another one
   */
  end (id: string, incarnation?: string): MaybePromise<boolean>

  /**
   * Whether `create` would drop another session to make place: `restore` stops then. `undefined`: it never does, as far as
   * the store knows.
   */
  readonly full?: boolean

  /** Frees what the store itself holds (timers), when the app closes. A client that it was given stays open. */
  close (): MaybePromise<void>
}

/**
 * The slot of an id, one of 256: a session keeps its slot when it is renewed, so that a clustered store that keeps
 * a slot on one server can renew in one atomic step.
 */
export function slotOf (id: string): string {
  return id.charAt(0) + (id.charCodeAt(1) & 3)
}

/** A session as a store keeps it. The reader may keep and change the map: it is the reader's own. */
export interface SessionRecord {
  /** The data: keys to JSON texts. Any non-empty string may be a key, `__proto__` included. */
  fields: Map<string, string>
  /** Milliseconds since the epoch. */
  createdAt: number
  /** Milliseconds since the epoch; `null`: never. */
  expiresAt: number | null
  /** The idle time in seconds that the session has of its own; `null`: never; `undefined`: the route's or the plugin's counts. */
  ttl: number | null | undefined
  /**
   * `false`: when it expires, the session is deleted. `true`: its data is deleted, and the session stays. Without
   * data, by expiry or by removal, such a session has no expiry (`expiresAt` is `null`): the change that brings new
   * data sets one, or there is none.
   */
  keep: boolean
  /** What the session was named at its creation. */
  name: string | undefined
  /**
   * Of a shared session, whose id follows from its name and may come again: random, tells it from those that had the
   * name before it. `undefined`: not shared.
   */
  incarnation: string | undefined
  /** The most seconds that the session lives, of its own; `null`: no limit; `undefined`: the route's or the plugin's counts. */
  maxAge: number | null | undefined
  /** Whom the session belongs to: a user's id, say. */
  subject: string | undefined
}

/**
 * What one commit does, in this order: nothing at all unless `expect` holds, then `clear`, `remove`, `set`,
 * `increment`. No key is in more than one of `set`, `remove` and `increment`.
 */
export interface SessionChange {
  /** Keys and the JSON texts that they must still have; `undefined`: the key must be absent. */
  expect: ReadonlyMap<string, string | undefined>
  /** Removes all data first, also keys that others have added meanwhile. */
  clear: boolean
  set: ReadonlyMap<string, string>
  remove: readonly string[]
  /** Keys and whole numbers to add; an absent key counts as 0. */
  increment: ReadonlyMap<string, number>
  /** The new expiry, in milliseconds since the epoch; `null`: never; `undefined`: as it is. */
  expiresAt: number | null | undefined
  /** The session's own idle time from now on, in seconds; `null`: never; `undefined`: as it is. */
  ttl: number | null | undefined
  /** Whom the session belongs to from now on; `null`: nobody; `undefined`: as it is. */
  subject: string | null | undefined
  /** What the session must have been created with, else it is another one and this one is `missing`; `undefined`: whatever. */
  incarnation: string | undefined
}

export type CommitResult =
  /** Done. `increments`: the sums, in the order of `change.increment`. */
  | { readonly status: 'committed', readonly increments: readonly number[] }
  /** There is no such session: never was, ended, renewed or expired. Nothing was written. */
  | { readonly status: 'missing' }
  /** `expect` does not hold. Nothing was written. `current`: what its keys have now. */
  | { readonly status: 'conflict', readonly current: ReadonlyMap<string, string | undefined> }
  /** The value of `key` is not a whole number, or the sum would not be one between ±(2^53 − 1). Nothing was written. */
  | { readonly status: 'not-a-number', readonly key: string }
