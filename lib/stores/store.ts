/**
 * The contract of a store of token sessions. A store sees ids (hashes of tokens), never tokens; JSON texts, never live
 * objects; times in milliseconds since the epoch. It knows nothing of requests.
 *
 * Methods may return values or promises. They throw only when the store itself fails: a missing, expired or unknown id is an
 * answer, not an error. `storeConformance()` of `fastify-request-session/conformance` tests this contract.
 *
 * @example
 * ```ts
 * import { memoryStore, tokenSessions, type SessionStore } from 'fastify-request-session'
 *
 * const inner = memoryStore()
 * const store: SessionStore = {
 *   load: (id) => inner.load(id), create: (...args) => inner.create(...args), commit: (id, change) => inner.commit(id, change),
 *   renew: (id, newId, change) => inner.renew(id, newId, change), regenerate: (...args) => inner.regenerate(...args),
 *   end: (id, only) => { console.log('a session ends'); return inner.end(id, only) },
 *   close: () => inner.close(),
 * }
 * await tokenSessions({ store }).close()
 * ```
 */
export interface SessionStore {
  /**
   * Reads a session; `undefined` if there is none or it has expired. Reading never extends it. For an id that
   * `renew` or `regenerate` has replaced, the result is its successor, for a minute.
   * @param look true for a read by no new request: the request that has the session reads it again, or all sessions are saved.
   *   A store that evicts the least used sessions does not count it as a use
   * @throws RecordError (`FST_SESSION_RECORD`) for a record that is damaged or of another version; it stays as it is
   */
  load (id: string, look?: boolean): SessionRecord | Successor | undefined | Promise<SessionRecord | Successor | undefined>

  /**
   * Writes a session that must not exist yet. `false`, and nothing is written, if the id is taken.
   * @param atMost only for a `SubjectStore`: the maximum sessions of the subject, this one included. `'limit'`, and nothing is written, beyond
   *   it. Parallel calls never exceed the maximum together
   */
  create (id: string, record: SessionRecord, atMost?: number): boolean | 'limit' | Promise<boolean | 'limit'>

  /** Applies a change in one atomic step, or nothing of it: parallel commits do not lose each other's keys, and no ended or expired session comes back. */
  commit (id: string, change: SessionChange): CommitResult | Promise<CommitResult>

  /**
   * Gives a session a new id and applies a change, both in the same atomic step. From then on the old id has no session, and
   * leads to the new one for a minute. Both ids have the same `slotOf`, so that a clustered store can keep them on one server.
   */
  renew (id: string, newId: string, change: SessionChange): CommitResult | Promise<CommitResult>

  /**
   * Deletes the session of an id, if it has one, and writes another under a new id, in one atomic step. The old id leads to
   * the new one for a minute, unless it leads to another already. `false`, and nothing is written, if the new id is taken. Both ids have the same `slotOf`.
   * @param atMost as of `create`; an old session that has the subject gives its place to the new one, however many there are
   */
  regenerate (id: string, newId: string, record: SessionRecord, atMost?: number): boolean | 'limit' | Promise<boolean | 'limit'>

  /**
   * Deletes a session and its data. `false` if there was none. For an id that was replaced less than a minute ago the
   * result is its successor, and nothing is deleted.
   * @param only the session's generation, subject and last use, which are compared in the same atomic step: if they differ, the session stays, and
   *   the result is `false`; and the `reason` for watchers
   */
  end (id: string, only?: Partial<Pick<SessionRecord, 'generation' | 'subject' | 'usedAt'>> & { reason?: 'limit' }): boolean | Successor | Promise<boolean | Successor>

  /** True while `create` would evict another session: `restore` stops then. `undefined`: never, or unknown. */
  readonly full?: boolean

  /** The place of the sessions, for errors: two stores of one keyspace hold the same sessions. `undefined`: no other store has them. */
  readonly keyspace?: string

  /** Called when the plugin is registered: checks the server, and may keep the log. Rejects to stop the boot, but not if the server is unreachable. */
  checkAtBoot? (log: Pick<Console, 'info' | 'warn' | 'error'>): void | Promise<void>

  /** The store's own counts since it was made, by name: the `store` of `sessionStats()`. A layer adds its own to those of its inner store. */
  counts? (): Readonly<Record<string, number>>

  /** Frees the store's own resources, such as timers, when the app closes. A given client stays open. */
  close (): void | Promise<void>
}

/**
 * The session that has replaced another. A request that had loaded the other one continues with it; a client that presents the
 * old token gets no access.
 *
 * @example
 * ```ts
 * import type { Successor } from 'fastify-request-session'
 *
 * export const explain = ({ successor, how }: Successor): string => `${how} as ${successor}`
 * ```
 */
export interface Successor {
  /** Its id: a hash, not a token. */
  readonly successor: string
  /** `'renewed'`: the same session under a new token. `'regenerated'`: a new session. */
  readonly how: 'renewed' | 'regenerated'
}

/**
 * A session as a store keeps it. The reader may keep and change the map: it is a copy.
 *
 * @example
 * ```ts
 * import { memoryStore, type SessionRecord } from 'fastify-request-session'
 *
 * const now = Date.now()
 * const record: SessionRecord = {
 *   fields: new Map([['user', '"ada"']]), createdAt: now, expiresAt: now + 1_800_000, ttl: undefined, maxAge: undefined,
 *   deleteSession: true, dataSince: now, dataVersion: undefined, usedAt: now, name: undefined, label: undefined, generation: undefined, subject: undefined,
 * }
 * await memoryStore().create('an id', record)
 * ```
 */
export interface SessionRecord {
  /** The data: keys to JSON texts. Any non-empty string may be a key, `__proto__` included. */
  fields: Map<string, string>
  /** Milliseconds since the epoch. */
  createdAt: number
  /** Milliseconds since the epoch; `null`: never. */
  expiresAt: number | null
  /** The session's own idle time in seconds; `null`: never; `undefined`: the route's or the plugin's applies. */
  ttl: number | null | undefined
  /** `false`: an expired session stays, without its data. While it has no data it has no expiry: `expiresAt` is `null` until a change with new data sets it. */
  deleteSession: boolean
  /** The beginning of the data, for `maxAge`: the session's, or, if it outlives its data, the first change after it had none. Milliseconds since the epoch. */
  dataSince: number
  /** The app's version of the data: a whole number from 1; `undefined`: version 0. */
  dataVersion: number | undefined
  /** The last use that was written, in milliseconds since the epoch. */
  usedAt: number
  /** The name that the session was created with. */
  name: string | undefined
  /** A text that describes the session to its user. */
  label: string | undefined
  /**
   * A random text that distinguishes a shared session from others of its name: its id is derived from the name, so they have the same
   * id. `undefined`: not shared.
   */
  generation: string | undefined
  /** The session's own total time in seconds; `null`: no limit; `undefined`: the route's or the plugin's applies. */
  maxAge: number | null | undefined
  /** The user, or other owner, that the session belongs to: a user's id for example. */
  subject: string | undefined
}

/**
 * The work of one commit, in this order: nothing unless `expect` holds, then `clear`, `remove`, `set`,
 * `increment`. No key is in more than one of `set`, `remove` and `increment`.
 *
 * @example
 * ```ts
 * import { memoryStore, type SessionChange } from 'fastify-request-session'
 *
 * const change: SessionChange = {
 *   expect: new Map([['state', '"new"']]), clear: false, set: new Map([['state', '"paid"']]), remove: ['basket'],
 *   increment: new Map([['orders', 1]]), expiresAt: undefined, usedAt: undefined, ttl: undefined, dataSince: undefined,
 *   label: undefined, subject: undefined, atMost: undefined, generation: undefined, expectSubject: undefined, expectVersion: undefined, dataVersion: undefined,
 * }
 * const result = await memoryStore().commit('an id', change)
 * console.log(result.status) // 'missing'
 * ```
 */
export interface SessionChange {
  /** Keys and the JSON texts that they must still have; `undefined`: the key must be absent. */
  expect: ReadonlyMap<string, string | undefined>
  /** Removes all data first, including keys that others have added meanwhile. */
  clear: boolean
  set: ReadonlyMap<string, string>
  remove: readonly string[]
  /** Keys and whole numbers to add; an absent key counts as 0. */
  increment: ReadonlyMap<string, number>
  /** The new expiry, in milliseconds since the epoch; `null`: never; `undefined`: as it is. */
  expiresAt: number | null | undefined
  /** The record's new `usedAt`; `undefined`: as it is. */
  usedAt: number | undefined
  /** The session's new idle time of its own, in seconds; `null`: never; `undefined`: as it is. */
  ttl: number | null | undefined
  /** The record's new `dataSince`, if the session outlives its data and has none before this change, or `clear` removes it; `undefined`: as it is. */
  dataSince: number | undefined
  /** The new label; `null`: none; `undefined`: as it is. */
  label: string | null | undefined
  /** The new subject; `null`: none; `undefined`: as it is. */
  subject: string | null | undefined
  /** For a new subject of the session, as of `create`: the result is `limit` beyond it. `undefined`: no limit. */
  atMost: number | undefined
  /** The generation that the session must have, else the result is `missing`; `undefined`: any. */
  generation: string | undefined
  /** The subject that the session must have, else the result is `missing`; `undefined`: any. */
  expectSubject: string | undefined
  /** The version that the data must have, 0 for none, else the result is `conflict`; `undefined`: any. */
  expectVersion: number | undefined
  /**
   * The data's new version, 0 for none; `undefined`: as it is. With a new one `expect` names all keys: if the data have others, the result is
   * `conflict` too, unless `clear` removes them.
   */
  dataVersion: number | undefined
  /** The record that the change is based on, as the store returned it: a hint that may save work. */
  from?: SessionRecord | undefined
}

/**
 * The result of a commit.
 *
 * @example
 * ```ts
 * import type { CommitResult } from 'fastify-request-session'
 *
 * const explain = (result: CommitResult): string => result.status === 'not-a-number' ? `${result.key} is no number` : result.status
 * console.log(explain({ status: 'not-a-number', key: 'user' }))
 * ```
 */
export type CommitResult =
  /** Done. `increments`: the sums, in the order of `change.increment`. */
  | { readonly status: 'committed', readonly increments: readonly number[] }
  /** There is no such session: it never existed, has ended or has expired. Nothing was written. */
  | { readonly status: 'missing' }
  /** The id was replaced less than a minute ago. Nothing was written. */
  | { readonly status: 'moved' } & Successor
  /** The subject already has `atMost` sessions. Nothing was written. */
  | { readonly status: 'limit' }
  /** `expect` or `expectVersion` does not hold. Nothing was written. `current`: the present texts of its keys. */
  | { readonly status: 'conflict', readonly current: ReadonlyMap<string, string | undefined> }
  /** The value of `key` is not a whole number, or the sum is not between ±(2^53 − 1). Nothing was written. */
  | { readonly status: 'not-a-number', readonly key: string }
