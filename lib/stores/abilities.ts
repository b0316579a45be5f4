import { StoreLacksError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { SessionRecord, SessionStore } from './store.js'

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
  describe (id: string): MaybePromise<SessionSummary | undefined>
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
  replace (id: string, record: SessionRecord): MaybePromise<void>
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
  stop (): MaybePromise<void>
}

/** A store that tells what becomes of a session, whatever process does it. That it has expired the watcher sees by itself. */
export interface WatchableStore extends SessionStore {
  /** Watches a session, from the answer on. `undefined` if there is none. The listener must not throw. */
  watch (id: string, listener: (event: StoreEvent) => void): MaybePromise<StoreWatch | undefined>
}

/** What the management of sessions can ask of a store at the most: `memoryStore()` and `redisStore()` have all of it. */
export type CompleteStore = ListingStore & SubjectStore & RestorableStore & WatchableStore

export type Ability = keyof Abilities

/** What each ability is called in an error, and the methods that it takes. */
const abilities = {
  list: { what: 'list its sessions (ListingStore)', methods: ['ids', 'describe'] },
  subjects: { what: 'index sessions by subject (SubjectStore)', methods: ['idsOf'] },
  restore: { what: 'restore sessions (RestorableStore)', methods: ['replace'] },
  watch: { what: 'watch sessions (WatchableStore)', methods: ['watch'] },
} as const

interface Abilities {
  list: ListingStore
  subjects: SubjectStore
  restore: RestorableStore
  watch: WatchableStore
}

/**
 * The store as one that has an ability.
 * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`) that names the call and what the store lacks
 */
export function ableTo<A extends Ability> (ability: A, store: SessionStore, call: string): Abilities[A] {
  const { what, methods } = abilities[ability]
  const lacking = methods.filter((method) => !(method in store))
  if (lacking.length > 0) throw new StoreLacksError(call, what, lacking.join(', '))
  return store as Abilities[A]
}
