import type { SessionRecord, SessionStore } from './store.js'

/**
 * A session's record without its data.
 *
 * @example
 * ```ts
 * import type { SessionSummary } from 'fastify-request-session'
 *
 * export const line = ({ name, size }: SessionSummary): string => `${name ?? 'no name'}, ${size} keys`
 * ```
 */
export interface SessionSummary extends Omit<SessionRecord, 'fields'> {
  /** The number of keys. */
  readonly size: number
  /** Milliseconds until the expiry, by the store's own clock; `null`: never. */
  readonly timeLeft: number | null
}

/**
 * A store that can list its sessions.
 *
 * @example
 * ```ts
 * import { memoryStore, type ListingStore } from 'fastify-request-session'
 *
 * const store: ListingStore = memoryStore()
 * for await (const page of store.ids()) for (const id of page) console.log(id, (await store.describe(id))?.size)
 * ```
 */
export interface ListingStore extends SessionStore {
  /**
   * Lists the ids of all sessions, in pages. A session that exists throughout is listed exactly once; a session that begins or
   * ends meanwhile may be listed or not, so `describe` or `load` decides.
   */
  ids (): AsyncIterable<readonly string[]>

  /**
   * Reads a session without its data; `undefined` if there is none or it has expired.
   * @throws RecordError (`FST_SESSION_RECORD`) as `load` does
   */
  describe (id: string): SessionSummary | undefined | Promise<SessionSummary | undefined>
}

/**
 * A store that can list the sessions of one subject without reading all the others.
 *
 * @example
 * ```ts
 * import { memoryStore, type SubjectStore } from 'fastify-request-session'
 *
 * const store: SubjectStore = memoryStore()
 * for await (const page of store.idsOf('ada')) for (const id of page) await store.end(id)
 * ```
 */
export interface SubjectStore extends SessionStore {
  /**
   * Lists the ids of the subject's sessions, in pages, as `ids` does. A session is listed once its commit has been answered, until
   * it has ended, expired or changed its subject.
   */
  idsOf (subject: string): AsyncIterable<readonly string[]>
}

/**
 * A store that can restore a session unchanged.
 *
 * @example
 * ```ts
 * import { memoryStore, type RestorableStore } from 'fastify-request-session'
 *
 * const store: RestorableStore = memoryStore()
 * const record = await memoryStore().load('an id')
 * if (record !== undefined && 'fields' in record) await store.replace('an id', record)
 * ```
 */
export interface RestorableStore extends SessionStore {
  /** Writes a session, replacing an existing one with this id, in one atomic step. */
  replace (id: string, record: SessionRecord): void | Promise<void>
}

/**
 * An event of a watched session.
 *
 * @example
 * ```ts
 * import type { StoreEvent } from 'fastify-request-session'
 *
 * const isOver = (event: StoreEvent): boolean => event.type === 'ended' && !event.renewed
 * console.log(isOver({ type: 'ended', renewed: true }))
 * ```
 */
export type StoreEvent =
  /**
   * Committed, or replaced. `keys`: the written and removed ones, none for a use alone. `timeLeft`: milliseconds until the
   * expiry, from now; `null`: never; `undefined`: unchanged.
   */
  | { readonly type: 'changed', readonly keys: readonly string[], readonly timeLeft: number | null | undefined }
  /** Ended (with a `reason`, if one was given), or `renewed`: it got another token. It is the last event, unless `look` still finds the session: then it was false. */
  | { readonly type: 'ended', readonly renewed: boolean, readonly reason?: 'limit' }
  /** The connection was lost and is back: events in between are missing. */
  | { readonly type: 'interrupted' }

/**
 * The watching of one session.
 *
 * @example
 * ```ts
 * import { memoryStore, type StoreWatch } from 'fastify-request-session'
 *
 * const watch: StoreWatch | undefined = await memoryStore().watch('an id', ({ type }) => { console.log(type) })
 * await watch?.stop()
 * ```
 */
export interface StoreWatch {
  /** Describes the watched session; `undefined` if it is gone, or was ended and created again. A replaced session is the same. */
  look (): SessionSummary | undefined | Promise<SessionSummary | undefined>

  /** Stops watching: no event follows. */
  stop (): void | Promise<void>
}

/**
 * A store that reports the changes of a session by any process, except its expiry.
 *
 * @example
 * ```ts
 * import { memoryStore, type WatchableStore } from 'fastify-request-session'
 *
 * const store: WatchableStore = memoryStore()
 * const watch = await store.watch('an id', (event) => { console.log(event) })
 * if (watch === undefined) console.log('no such session')
 * ```
 */
export interface WatchableStore extends SessionStore {
  /** Watches a session, from the answer on; a `look` tells whether it still exists. `undefined`: there is none. The listener must not throw. */
  watch (id: string, listener: (event: StoreEvent) => void): StoreWatch | undefined | Promise<StoreWatch | undefined>
}

/**
 * A store with all these interfaces, such as `memoryStore()` and `redisStore()`: all calls of the manager work on it.
 *
 * @example
 * ```ts
 * import { tokenSessions, type CompleteStore } from 'fastify-request-session'
 *
 * export const listAll = (store: CompleteStore) => tokenSessions({ store }).list()
 * ```
 */
export type CompleteStore = ListingStore & SubjectStore & RestorableStore & WatchableStore
