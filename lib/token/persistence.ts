import { NotANumberError, OutcomeUnknownError, SessionGoneError, StoreUnavailableError, UpdateConflictError } from '../errors.js'
import { newRecord } from '../stores/new-record.js'
import type { CommitResult, SessionChange, SessionRecord } from '../stores/store.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import { show } from '../util/option-rules.js'
import { callStore } from './call-store.js'
import { noChange, type Sent } from './draft.js'
import type { Identity, SessionSettings, SessionState } from './session-state.js'
import { idOf } from './tokens.js'

/** An update gives up after so many conflicts. */
const maxTries = 1000
/** Give up after so many further id collisions: that is a fault, not chance. */
const maxTokens = 2

/** Saves; answers at once if the store does. Saves of one session run one after the other, so that nothing is sent twice. */
export function save (state: SessionState): MaybePromise<void> {
  if (state.saving !== undefined) {
    const again = (): MaybePromise<void> => save(state)
    return state.saving.then(again, again)
  }
  if (state.isDegraded) {
    if (state.isDirty) state.warn('the session was changed, and not saved: its store had failed, and the visitor is anonymous.')
    return
  }
  if (state.lost !== undefined && state.phase !== 'ended') throw state.lost
  const saved = state.identity === undefined ? saveNew(state) : saveStored(state, state.identity, 0)
  if (!isPromise(saved)) return saved
  state.saving = saved.then(() => { state.saving = undefined }, (error: unknown) => {
    state.saving = undefined
    if (error instanceof OutcomeUnknownError) state.lost = error
    throw error
  })
  return state.saving
}

/** Drops the changes and reads the session anew. */
export async function reload (state: SessionState): Promise<void> {
  await state.saving?.catch(nothing)
  const { settings: { store }, identity, context } = state
  const record = identity === undefined ? undefined : await callStore(() => store.load(identity.id), (record) => record)
  if (identity !== undefined && (record === undefined || record.generation !== state.record?.generation)) throw new SessionGoneError(context.route)
  state.restart(record)
}

/**
 * Writes a new session. `undefined` if the ids of all tokens that were tried are taken.
 *
 * @param token the first token to try
 * @param more further tokens to try
 */
export function createUnderToken (
  { store, tokens }: Pick<SessionSettings, 'store' | 'tokens'>, record: SessionRecord, token = tokens.create(), more = maxTokens
): MaybePromise<Identity | undefined> {
  const identity = { token, id: idOf(token) }
  return callStore(() => store.create(identity.id, record), (created) =>
    created ? identity : more > 0 ? createUnderToken({ store, tokens }, record, tokens.create(), more - 1) : undefined)
}

function saveNew (state: SessionState): MaybePromise<void> {
  if (state.phase === 'ended') return ended(state)
  const { settings, draft, nextSubject, ttl } = state
  const fields = draft.texts()
  const subject = nextSubject ?? undefined
  if (fields.size === 0 && subject === undefined) return
  if (!state.canSendToken && !state.isAnnounced) {
    state.warn('a new session was changed after the headers were sent, so that the client cannot learn of its token: it was not saved. Call commit() before the headers leave.')
    return
  }
  const sent = draft.toSend()
  const now = Date.now()
  const { deleteSession } = settings
  const record = newRecord({ fields, createdAt: now, expiresAt: state.expiryAfterUse(now), ttl, deleteSession, subject })
  const created = (identity: Identity | undefined): void => {
    if (identity === undefined) throw new StoreUnavailableError('the id of a new session is taken')
    state.nextToken = undefined
    if (sent !== undefined) draft.created(sent, fields)
    state.identity = identity
    state.record = record
    state.sendToken(identity.token, record.expiresAt)
    subjectSaved(state, nextSubject)
    ttlSaved(state, record.ttl)
  }
  try {
    const identity = createUnderToken(settings, record, state.token, state.isAnnounced ? 0 : maxTokens)
    if (isPromise(identity)) return identity.then(created).catch((error: unknown) => failSave(state, sent, error))
    created(identity)
  } catch (error) {
    failSave(state, sent, error)
  }
}

function saveStored (state: SessionState, { id }: Identity, tries: number): MaybePromise<void> {
  const { store } = state.settings
  const generation = state.record?.generation
  if (state.phase === 'ended') return callStore(() => store.end(id, generation), () => ended(state))
  const sent = state.draft.toSend()
  const expiresAt = state.slide(Date.now(), sent !== undefined)
  const { nextToken, nextSubject: subject } = state
  if (sent === undefined && expiresAt === undefined && nextToken === undefined && subject === undefined) return
  const { expect, clear, set, remove, increment } = sent?.change ?? noChange
  const ttl = state.isTtlChanged ? state.ttl : undefined
  const change: SessionChange = { expect, clear, set, remove, increment, expiresAt, ttl, subject, generation }
  const renewed = nextToken === undefined ? undefined : { token: nextToken, id: idOf(nextToken) }
  try {
    const result = callStore(() => renewed === undefined ? store.commit(id, change) : store.renew(id, renewed.id, change),
      (result) => saved(state, result, change, sent, renewed, tries))
    return isPromise(result) ? result.catch((error: unknown) => failSave(state, sent, error)) : result
  } catch (error) {
    failSave(state, sent, error)
  }
}

/** The store has answered a commit. */
function saved (state: SessionState, result: CommitResult, change: SessionChange, sent: Sent | undefined, renewed: Identity | undefined, tries: number): MaybePromise<void> {
  switch (result.status) {
    case 'committed':
      return committed(state, result.increments, change, sent, renewed)
    case 'missing':
      // That matters only if there was something to save.
      if (sent === undefined && renewed === undefined && change.ttl === undefined && change.subject === undefined) return
      throw new SessionGoneError(state.context.route)
    case 'not-a-number':
      throw new NotANumberError(show(result.key), 'another request has put something else there than a whole number.')
    case 'conflict':
      if (tries === maxTries) throw new UpdateConflictError([...result.current.keys()].map(show).join(', '), tries)
      if (sent !== undefined) state.draft.notSent(sent)
      state.draft.rebase(result.current)
      return saveStored(state, state.identity as Identity, tries + 1)
  }
}

function committed (state: SessionState, increments: readonly number[], change: SessionChange, sent: Sent | undefined, renewed: Identity | undefined): void {
  const record = state.record as SessionRecord
  const identity = renewed ?? state.identity as Identity
  if (sent !== undefined) state.draft.sent(sent, increments)
  if (change.expiresAt !== undefined) record.expiresAt = change.expiresAt
  if (change.ttl !== undefined) record.ttl = change.ttl
  if (change.subject !== undefined) subjectSaved(state, change.subject)
  state.identity = identity
  if (renewed !== undefined || change.expiresAt !== undefined) state.sendToken(identity.token, record.expiresAt)
  if (state.nextToken === renewed?.token) state.nextToken = undefined
  ttlSaved(state, change.ttl)
}

/** A subject that was set while this was being saved stays to be saved, and so does a ttl. */
function subjectSaved (state: SessionState, subject: string | null | undefined): void {
  (state.record as SessionRecord).subject = subject ?? undefined
  if (state.nextSubject === subject) state.nextSubject = undefined
}

function ttlSaved (state: SessionState, ttl: number | null | undefined): void {
  state.mustSlide = false
  if (state.ttl === ttl) state.isTtlChanged = false
}

function ended (state: SessionState): void {
  state.identity = undefined
  state.clearToken()
}

function failSave (state: SessionState, sent: Sent | undefined, error: unknown): never {
  if (sent !== undefined) state.draft.notSent(sent)
  throw error
}
