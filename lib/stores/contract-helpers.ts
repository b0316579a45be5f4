import { StoreLacksError } from '../errors.js'
import type { CompleteStore, ListingStore, RestorableStore, SubjectStore, WatchableStore } from './optional-interfaces.js'
import type { SessionChange, SessionRecord, SessionStore } from './store.js'
import type { LeasingStore, TrackableStore } from './track.js'

/** The methods that every store has. */
export const storeMethods = ['load', 'create', 'commit', 'renew', 'regenerate', 'end', 'close'] as const satisfies ReadonlyArray<keyof SessionStore>

/** A complete record: missing parts are those of a plain session. */
export function newRecord (given: Pick<SessionRecord, 'fields' | 'createdAt' | 'expiresAt'> & Partial<SessionRecord>): SessionRecord {
  const { fields, createdAt, expiresAt, ttl, deleteSession = true, dataSince = createdAt, dataVersion, usedAt = createdAt, name, label, generation, maxAge, subject } = given
  return { fields, createdAt, expiresAt, ttl, deleteSession, dataSince, dataVersion, usedAt, name, label, generation, maxAge, subject }
}

/** A complete change: missing parts change nothing. */
export function newChange (given: Partial<SessionChange>): SessionChange {
  return {
    expect: new Map(),
    clear: false,
    set: new Map(),
    remove: [],
    increment: new Map(),
    expiresAt: undefined,
    usedAt: undefined,
    ttl: undefined,
    dataSince: undefined,
    label: undefined,
    subject: undefined,
    atMost: undefined,
    generation: undefined,
    expectSubject: undefined,
    expectVersion: undefined,
    dataVersion: undefined,
    ...given,
  }
}

/**
 * Returns the slot of an id, one of 256. A session keeps its slot when it is renewed, so that a clustered store that keeps a
 * slot on one server can renew in one atomic step. Authors of such stores put it into their keys.
 *
 * @example
 * ```ts
 * import { slotOf } from 'fastify-request-session'
 *
 * const keyOf = (id: string): string => `session:{${slotOf(id)}}${id}`
 * console.log(keyOf('kYx0')) // session:{k1}kYx0
 * ```
 */
export function slotOf (id: string): string {
  return id.charAt(0) + (id.charCodeAt(1) & 3)
}

const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** All slots. */
export function allSlots (): string[] {
  return [...idAlphabet].flatMap((char) => [0, 1, 2, 3].map((rest) => `${char}${rest}`))
}

/** The last millisecond that a `Date` can hold. */
export const lastTime = 8.64e15

/** Milliseconds for which a replaced id leads to its successor: longer than almost any request. */
export const successorLife = 60_000

/** The short name of an optional interface of a store, as the conformance suite uses it. */
export type OptionalInterface = 'list' | 'subjects' | 'restore' | 'watch' | 'track' | 'lease'

/** The optional interfaces of a store. */
export interface OptionalInterfaces extends Record<OptionalInterface, SessionStore> {
  list: ListingStore
  subjects: SubjectStore
  restore: RestorableStore
  watch: WatchableStore
  track: TrackableStore
  lease: LeasingStore
}

/** The methods of each interface, and its description in an error. */
const interfaces = {
  list: { what: 'list its sessions (ListingStore)', methods: ['ids', 'describe'] },
  subjects: { what: 'index sessions by subject (SubjectStore)', methods: ['idsOf'] },
  restore: { what: 'restore sessions (RestorableStore)', methods: ['replace'] },
  watch: { what: 'watch sessions (WatchableStore)', methods: ['watch'] },
  track: { what: 'tell which sessions change (TrackableStore)', methods: ['track'] },
  lease: { what: 'let one process do a piece of work (LeasingStore)', methods: ['lease', 'finish'] },
} as const satisfies Record<OptionalInterface, unknown>

/**
 * Narrows a store to one of its optional interfaces.
 *
 * @throws StoreLacksError (`FST_SESSION_STORE_LACKS`) that names the call and the methods that the store lacks
 */
export function requireInterface<I extends OptionalInterface> (name: I, store: SessionStore, call: string): OptionalInterfaces[I] {
  const { what, methods } = interfaces[name]
  const lacking = methods.filter((method) => !(method in store))
  if (lacking.length > 0) throw new StoreLacksError(call, what, lacking.join(', '))
  return store as OptionalInterfaces[I]
}

/**
 * Adds to a layer the methods of the optional interfaces of the inner store, and no others.
 * @param own the layer's own methods, which replace those of the inner store
 */
export function addOptionalMethods<L extends SessionStore> (layer: L, inner: SessionStore, own: Partial<CompleteStore>): L {
  for (const method of Object.values(interfaces).flatMap(({ methods }) => methods as ReadonlyArray<keyof CompleteStore>)) {
    const passed = (inner as Partial<CompleteStore>)[method]
    if (typeof passed === 'function') Object.defineProperty(layer, method, { value: own[method] ?? passed.bind(inner) })
  }
  return layer
}

const keyspaces = new WeakMap<SessionStore, string>()
let lastKeyspace = 0

/** The place of a store's sessions, for errors: the store's `keyspace`, else a number per store. */
export function keyspaceOf (store: SessionStore): string {
  const known = store.keyspace ?? keyspaces.get(store)
  if (known !== undefined) return known
  const keyspace = `store, number ${++lastKeyspace} of this process`
  keyspaces.set(store, keyspace)
  return keyspace
}
