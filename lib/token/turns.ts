import type { SessionStore } from '../stores/store.js'
import { nothing } from '../util/maybe-promise.js'
import { within } from '../util/within.js'

/** Milliseconds that a save waits for its turn. Of a store that hangs each would wait for the deadlines of all before it. */
const patience = 1000

/** The saves with expectations that are under way, by store and id. */
const turns = new WeakMap<SessionStore, Map<string, Promise<unknown>>>()

/**
 * Runs a save that expects values, with all of its tries, once those of this process before it are done: of a hundred at
 * once all but one would conflict, and so again each time.
 */
export function inTurn (store: SessionStore, id: string, saveNow: () => Promise<void> | undefined): Promise<void> | undefined {
  const waiting = turns.get(store)?.get(id)
  const saved = waiting === undefined ? saveNow() : within(patience, waiting, nothing).then(saveNow)
  if (saved === undefined) return undefined
  const ofStore = turns.get(store) ?? new Map<string, Promise<unknown>>()
  turns.set(store, ofStore)
  const turn = saved.then(nothing, nothing)
  ofStore.set(id, turn)
  turn.then(() => { if (ofStore.get(id) === turn) ofStore.delete(id) })
  return saved
}
