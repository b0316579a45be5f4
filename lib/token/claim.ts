import { SessionGoneError } from '../errors.js'
import { newChange } from '../stores/contract-helpers.js'
import { nothing } from '../util/maybe-promise.js'
import { callStore } from './call-store.js'
import { followRenewal, rebase, save } from './persistence.js'
import type { SessionState } from './session-state.js'
import { parseValue } from './values.js'

/**
 * Reads a key and deletes it in one atomic step of the store: of several callers one gets the value.
 * @throws SessionGoneError (`FST_SESSION_GONE`)
 */
export async function claim (state: SessionState, key: string): Promise<unknown> {
  if (state.draft.beforeClaim(key) || state.identity === undefined) await save(state)
  await state.saving?.catch(nothing)
  const { settings: { store }, draft } = state
  if (state.degradedBy !== undefined) throw state.degradedBy
  if (state.identity === undefined) return undefined
  for (let text = draft.storedText(key); text !== undefined;) {
    const change = newChange({ expect: new Map([[key, text]]), remove: [key], generation: state.record?.generation, expectSubject: state.settings.pinsSubject ? state.record?.subject : undefined, expectVersion: draft.expectedVersion })
    const { identity } = state
    if (state.isOver) state.refuseWrites() // told meanwhile
    if (identity === undefined) throw new SessionGoneError(state.context.route)
    parseValue(key, text) // a damaged value stays
    state.isReadOnly = false
    const result = await callStore(() => store.commit(identity.id, change))
    if (result.status === 'moved') {
      if (state.identity !== undefined) followRenewal(state, result)
      continue
    }
    if (result.status === 'missing') throw new SessionGoneError(state.context.route)
    if (result.status === 'committed') return draft.claimed(key, text)
    if (result.status !== 'conflict') break
    await rebase(state, draft, result.current)
    text = draft.storedText(key)
  }
  draft.claimed(key, undefined)
  return undefined
}
