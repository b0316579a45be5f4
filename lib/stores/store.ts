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
  load (id: string): SessionRecord | undefined | Promise<SessionRecord | undefined>

  /**
   * Writes a session that must not exist yet. `false`, and nothing is written, if the id is taken.
   */
  create (id: string, record: SessionRecord): boolean | Promise<boolean>

  /**
   * Applies a change in one atomic step, or nothing of it: parallel commits to one session never lose each
   * other's keys, and a session that has ended or expired meanwhile is not brought back.
   */
  commit (id: string, change: SessionChange): CommitResult | Promise<CommitResult>

  /**
   * Gives a session a new id and applies a change, both in the same atomic step; the old id is unknown from then
   * on. Both ids have the same `slotOf`, so that a clustered store can keep them in one place.
   */
  renew (id: string, newId: string, change: SessionChange): CommitResult | Promise<CommitResult>

  /**
   * Deletes a session and its data. `false` if there was none.
   * @param generation if given: what the session must have been created with, else it is another one
   */
  end (id: string, generation?: string): boolean | Promise<boolean>

  /**
   * Whether `create` would drop another session to make place: `restore` stops then. `undefined`: it never does, as far as
   * the store knows.
   */
  readonly full?: boolean

  /** Frees what the store itself holds (timers), when the app closes. A client that it was given stays open. */
  close (): void | Promise<void>
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
   * `true`: an expired session is deleted. `false`: only its data is deleted, and the session stays. Without data,
   * by expiry or by removal, such a session has no expiry (`expiresAt` is `null`) until a change with new data sets one.
   */
  deleteSession: boolean
  /** What the session was named at its creation. */
  name: string | undefined
  /**
   * Of a shared session, whose id follows from its name and may come again: random, tells it from those that had the
   * name before it. `undefined`: not shared.
   */
  generation: string | undefined
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
  generation: string | undefined
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

/** What is known of a session without its data. */
export interface SessionSummary extends Omit<SessionRecord, 'fields'> {
  /** How many keys it has. */
  readonly size: number
}

/** A store that can name its sessions. */
export interface ListingStore extends SessionStore {
  /**
   * The ids of all sessions, in pages. A session that lives throughout is named exactly once; one that begins or ends
   * meanwhile may or may not be named, so that `describe` or `load` has the last word.
   */
  ids (): AsyncIterable<readonly string[]>

  /**
   * What a session is, but for its data. `undefined` if there is none, or it has expired.
   * @throws RecordError (`FST_SESSION_RECORD`) as `load` does
   */
  describe (id: string): SessionSummary | undefined | Promise<SessionSummary | undefined>
}

/** A store that can name the sessions of one subject without looking at all the others. */
export interface SubjectStore extends SessionStore {
  /**
   * The ids of the subject's sessions, in pages, as `ids` gives them. What is committed is named from then on; what
   * has ended, expired or changed its subject is not named any more.
   */
  idsOf (subject: string): AsyncIterable<readonly string[]>
}

/** A store that can put a session back as it was. */
export interface RestorableStore extends SessionStore {
  /** Writes a session, in the place of one with this id if there is one, in one atomic step. */
  replace (id: string, record: SessionRecord): void | Promise<void>
}

/** What a watched session's store tells. */
export type StoreEvent =
  /**
   * Committed. `keys`: those that were written or removed, none for a mere use. `expiresAt`: the expiry from now on, in
   * milliseconds since the epoch; `null`: never.
   */
  | { readonly type: 'changed', readonly keys: readonly string[], readonly expiresAt: number | null }
  /** Ended, or (`renewed`) given another token. Nothing more will be told. */
  | { readonly type: 'ended', readonly renewed: boolean }
  /** What happened in the meantime is unknown: the connection was lost and is there again. */
  | { readonly type: 'interrupted' }

/** One session being watched. */
export interface StoreWatch {
  /** After it nothing more is told. */
  stop (): void | Promise<void>
}

/** A store that tells what becomes of a session, whatever process does it. That it has expired the watcher sees by itself. */
export interface WatchableStore extends SessionStore {
  /** Watches a session, from the answer on. `undefined` if there is none. The listener must not throw. */
  watch (id: string, listener: (event: StoreEvent) => void): StoreWatch | undefined | Promise<StoreWatch | undefined>
}

/** What the management of sessions can ask of a store at the most: `memoryStore()` and `redisStore()` have all of it. */
export type CompleteStore = ListingStore & SubjectStore & RestorableStore & WatchableStore
