import { NotANumberError, OutcomeUnknownError, SessionGoneError, SessionRenewedError, StoreUnavailableError, SubjectLimitError, UpdateConflictError } from '../errors.js'
import { newRecord } from '../stores/contract-helpers.js'
import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from '../stores/store.js'
import { isPromise, nothing, type MaybePromise } from '../util/maybe-promise.js'
import { show } from '../util/option-rules.js'
import { callStore, failStore, storeFailure } from './call-store.js'
import { noChange, type Draft, type Sent } from './draft.js'
import { endSurplus, limitOfSave, refusedBeyond, type Limit } from './limit.js'
import { find } from './look.js'
import { isWork } from './operations.js'
import { signals, type SessionState } from './session-state.js'
import type { Identity, SessionSettings } from './settings.js'
import { tellOfOldToken } from './pitfalls.js'
import { idOf, renewedToken } from './tokens.js'
import { inTurn } from './turns.js'
import { refuseLarge, sizeOf } from './values.js'

/** Conflicts after which a commit gives up. */
const maxTries = 1000
/** Maximum bytes in UTF-8 of a character of a string. */
const bytesPerCharacter = 3
/** Give up after so many further id collisions: that is a fault, not chance. */
const maxTokens = 2

/** Saves, synchronously if the store does. Saves of one session run one after the other, so nothing is sent twice. */
export function save (state: SessionState): Promise<void> | undefined {
  if (state.saving !== undefined) {
    const again = (): Promise<void> | undefined => save(state)
    return state.saving.then(again, again)
  }
  if (state.degradedBy !== undefined) {
    if (state.isWorkLost) throw state.degradedBy
    return undefined
  }
  if (state.lost !== undefined && state.phase !== 'ended') throw state.lost
  state.isSaved = false
  const limit = state.settings.maxSessions == null ? undefined : limitOfSave(state)
  const stored = state.identity === undefined ? saveNew(state) : saveStored(state, state.identity)
  const saved = limit === undefined ? stored : saveLimited(state, stored, limit)
  if (saved === undefined) {
    state.isSaved = true
    return undefined
  }
  state.saving = saved.then(() => {
    state.saving = undefined
    state.isSaved = true
  }, (error: unknown) => {
    state.saving = undefined
    if (error instanceof OutcomeUnknownError) state.lost = error
    throw error
  })
  return state.saving
}

async function saveLimited (state: SessionState, stored: Promise<void> | undefined, limit: Limit): Promise<void> {
  await stored
  if (state.record?.subject === limit.subject) await callStore(() => endSurplus(state.settings.store, limit), nothing)
}

/** Drops the changes and reads the session again. */
export async function reload (state: SessionState): Promise<void> {
  await state.saving?.catch(nothing)
  const record = await readAnew(state, () => !state.isOver)
  if (state.isOver) state.refuseWrites() // told meanwhile
  state.opened(state.stored, record)
}

/** Others were first: the draft takes what they have written, and applies its waiting operations to that. */
export function rebase (state: SessionState, draft: Draft, current: ReadonlyMap<string, string | undefined>): Promise<void> | undefined {
  return draft.rebase(current, () => readAnew(state, () => state.draft === draft))
}

/**
 * Reads the stored session anew, and follows its renewals. `undefined`: there is none, or (regenerated, ended or told of its end meanwhile) it is
 * not wanted any more.
 * @throws SessionGoneError (`FST_SESSION_GONE`), SessionRenewedError (`FST_SESSION_RENEWED`)
 */
async function readAnew (state: SessionState, isWanted: () => boolean): Promise<SessionRecord | undefined> {
  const { stored, settings: { store } } = state
  if (stored === undefined) return undefined
  const found = await find(store, stored.id, (renewal) => { if (isWanted()) followRenewal(state, renewal) })
  if (!isWanted()) return undefined
  if (found === undefined || found.record.generation !== state.record?.generation || (state.settings.pinsSubject && found.record.subject !== state.record?.subject)) throw new SessionGoneError(state.context.route)
  return found.record
}

/** @throws SessionRenewedError (`FST_SESSION_RENEWED`) if the successor is another session */
export function followRenewal (state: SessionState, to: Successor): void {
  refuseRegenerated(state, to)
  state.supersede(to.successor)
}

function refuseRegenerated ({ context: { route } }: SessionState, { how }: Successor): void {
  if (how === 'regenerated') throw new SessionRenewedError(route)
}

/**
 * Writes a new session. `undefined` if the ids of all tried tokens are taken.
 *
 * @param terms the route or call; the maximum sessions of the subject; the session that it replaces
 * @param token the first token to try
 * @param more further tokens to try
 * @throws SubjectLimitError (`FST_SESSION_SUBJECT_LIMIT`)
 */
export function createUnderToken (
  { store, tokens }: Pick<SessionSettings, 'store' | 'tokens'>, record: SessionRecord, terms: CreationTerms, token = tokens.create(), more = maxTokens
): MaybePromise<Identity | undefined> {
  const { route, atMost, replaced } = terms
  const identity = { token, id: idOf(token) }
  const next = (): string => replaced === undefined ? tokens.create() : renewedToken(tokens, replaced.token)
  return callStore(() => replaced === undefined ? store.create(identity.id, record, atMost) : store.regenerate(replaced.id, identity.id, record, atMost), (created) => {
    if (created === 'limit') throw new SubjectLimitError(route, atMost as number)
    return created ? identity : more > 0 ? createUnderToken({ store, tokens }, record, terms, next(), more - 1) : undefined
  })
}

interface CreationTerms {
  readonly route: string
  readonly atMost: number | undefined
  readonly replaced?: Identity | undefined
}

/** Ends a session, or its successor. `false` if there was none, or none of the subject. */
export function endSession (store: SessionStore, id: string, only?: Parameters<SessionStore['end']>[1]): MaybePromise<boolean> {
  return callStore(() => store.end(id, only), (answer) => typeof answer === 'boolean' ? answer : endSession(store, answer.successor, { subject: only?.subject }))
}

function saveNew (state: SessionState): Promise<void> | undefined {
  if (state.phase === 'ended') {
    ended(state)
    return undefined
  }
  const { settings, draft, replaced, nextSubject, nextLabel, subject, label, ttl } = state
  const fields = draft.texts()
  refuseLarge(settings, state.context.route, fields)
  if (draft.isInitial && (subject ?? label ?? replaced ?? state.record) === undefined) return undefined
  if (isUnheard(state)) return undefined
  const atMost = refusedBeyond(settings, subject)
  const sent = draft.toSend()
  const now = Date.now()
  const { deleteSession } = settings
  state.isReadOnly = false
  // Another request was first to renew the session: this one continues as a sibling with the same data.
  const record = newRecord({ createdAt: now, deleteSession, ...state.record, fields, dataVersion: settings.data === undefined ? state.record?.dataVersion : settings.data.version || undefined, expiresAt: state.expiryAfterUse(now), usedAt: now, ttl, label, subject })
  const created = (identity: Identity | undefined): void => {
    if (identity === undefined) throw new StoreUnavailableError('the id of a new session is taken')
    if (state.draft !== draft && state.phase === 'live') { // regenerated meanwhile
      state.replaced = identity
      state.nextToken = renewedToken(settings.tokens, identity.token)
      return
    }
    state.nextToken = undefined
    draft.created(sent, fields)
    state.identity = identity
    state.record = record
    state.sendToken(identity.token, record.expiresAt)
    subjectSaved(state, nextSubject)
    labelSaved(state, nextLabel)
    state.mustSlide = state.isTtlChanged = false
    state.replaced = undefined
    signals.get(state)?.stored()
  }
  try {
    const identity = createUnderToken(settings, record, { route: state.context.route, atMost, replaced }, state.token, state.isAnnounced ? 0 : maxTokens)
    if (isPromise(identity)) return identity.then(created).catch((error: unknown) => failSave(state, sent, error))
    created(identity)
    return undefined
  } catch (error) {
    return failSave(state, sent, error)
  }
}

/** True if no client can receive the token that this save would create: then nothing of it is kept. A hint is dropped silently. */
function isUnheard (state: SessionState): boolean {
  if (state.context.canSendHeaders || state.isAnnounced) return false
  if (state.record === undefined && !state.isDirty) return true
  state.isUnheard = true
  state.warn('the client cannot receive the session\'s new token, because it has left, the headers were sent, or the reply was hijacked: nothing was saved. ' +
    'Call commit() before the headers leave.')
  return true
}

/** @param tries conflicts so far; `undefined` before the save has its turn */
function saveStored (state: SessionState, { id }: Identity, tries?: number): Promise<void> | undefined {
  const { store, pinsSubject } = state.settings
  const generation = state.record?.generation
  const expectSubject = pinsSubject ? state.record?.subject : undefined
  if (state.phase === 'ended') return callStore(() => endSession(store, id, { generation, subject: expectSubject }), () => ended(state)) as Promise<void> | undefined
  if (state.nextToken !== undefined && isUnheard(state)) return undefined
  const atMost = state.nextSubject == null ? undefined : refusedBeyond(state.settings, state.nextSubject)
  const sent = state.draft.toSend()
  try {
    if (sent !== undefined && sent.length * bytesPerCharacter > state.settings.maxSize) refuseGrowth(state, sent)
  } catch (error) {
    return failSave(state, sent, error)
  }
  const now = Date.now()
  const expiresAt = state.slide(now, sent !== undefined)
  if (sent !== undefined && sent.change.expect.size > 0 && tries === undefined) {
    state.draft.notSent(sent)
    return inTurn(store, id, () => saveStored(state, state.identity as Identity, 0))
  }
  const { nextToken, nextSubject: subject, nextLabel: label } = state
  if (sent === undefined && expiresAt === undefined && nextToken === undefined && subject === undefined && label === undefined) {
    if (state.record?.expiresAt === null) state.sendToken((state.identity as Identity).token, null)
    return undefined
  }
  state.isReadOnly = false
  const { expect, clear, set, remove, increment, expectVersion, dataVersion } = sent?.change ?? noChange
  const ttl = state.isTtlChanged ? state.ttl : undefined
  const dataSince = state.record?.deleteSession === false && sent !== undefined ? now : undefined
  const usedAt = expiresAt === undefined && subject === undefined ? undefined : now
  const change: SessionChange = { expect, clear, set, remove, increment, expiresAt, usedAt, ttl, dataSince, label, subject, atMost, generation, expectSubject, expectVersion, dataVersion, from: state.record }
  const renewed = nextToken === undefined ? undefined : { token: nextToken, id: idOf(nextToken) }
  let result: CommitResult | Promise<CommitResult>
  try {
    result = renewed === undefined ? store.commit(id, change) : store.renew(id, renewed.id, change)
  } catch (error) {
    return failSave(state, sent, storeFailure(error))
  }
  try {
    const done = 'then' in result ? result.then((result) => saved(state, result, change, sent, renewed, tries), failStore) : saved(state, result, change, sent, renewed, tries)
    return done?.catch((error: unknown) => failSave(state, sent, error))
  } catch (error) {
    return failSave(state, sent, error)
  }
}

/**
 * Refuses a commit that would make a session larger than `maxSize`. A session that is already too large may shrink.
 * @throws SessionTooLargeError (`FST_SESSION_TOO_LARGE`)
 */
function refuseGrowth (state: SessionState, { base, change: { set, remove, increment } }: Sent): void {
  const before = sizeOf(base)
  const sums = [...increment].map(([key, by]) => [key, String(Number(base.get(key) ?? 0) + by)] as const)
  if (before + sizeOf(set) + sizeOf(sums) <= state.settings.maxSize) return
  const fields = new Map([...base, ...set, ...sums])
  for (const key of remove) fields.delete(key)
  if (sizeOf(fields) > before) refuseLarge(state.settings, state.context.route, fields)
}

/** Handles the store's answer to a commit. */
function saved (state: SessionState, result: CommitResult, change: SessionChange, sent: Sent | undefined, renewed: Identity | undefined, tries = 0): Promise<void> | undefined {
  if (state.identity === undefined) { // regenerated meanwhile
    if (result.status === 'committed' && renewed !== undefined) state.replaced = renewed
    return undefined
  }
  const isUse = sent === undefined && renewed === undefined && change.ttl === undefined && change.subject === undefined && change.label === undefined
  switch (result.status) {
    case 'committed': {
      const record = state.record as SessionRecord
      if (change.dataSince !== undefined && sent?.begins) record.dataSince = change.dataSince
      if (sent !== undefined) state.draft.sent(sent, result.increments)
      if (change.expiresAt !== undefined) record.expiresAt = change.expiresAt
      if (change.usedAt !== undefined) record.usedAt = change.usedAt
      if (change.ttl !== undefined) record.ttl = change.ttl
      if (change.subject !== undefined) subjectSaved(state, change.subject)
      if (change.label !== undefined) labelSaved(state, change.label)
      if (renewed !== undefined) state.identity = renewed
      if (renewed !== undefined || change.expiresAt !== undefined || record.expiresAt === null) state.sendToken(state.identity.token, record.expiresAt)
      if (state.nextToken === renewed?.token) state.nextToken = undefined
      state.mustSlide = false
      if (state.ttl === change.ttl) state.isTtlChanged = false
      return undefined
    }
    case 'missing':
      // A missing session is an error only if there was a change to save.
      if (isUse) return undefined
      throw new SessionGoneError(state.context.route)
    case 'moved':
      if (isUse) return undefined
      if (sent !== undefined) state.draft.notSent(sent)
      if (renewed !== undefined) return saveSibling(state, result)
      followRenewal(state, result)
      return saveStored(state, state.identity, tries)
    case 'limit':
      throw new SubjectLimitError(state.context.route, change.atMost as number)
    case 'not-a-number':
      throw new NotANumberError(show(result.key), 'another request has stored a value that is not a whole number.')
    case 'conflict': {
      if (tries === maxTries) throw new UpdateConflictError([...result.current.keys()].map(show).join(', '), tries)
      if (sent !== undefined) state.draft.notSent(sent)
      const again = (): Promise<void> | undefined => state.identity === undefined ? undefined : saveStored(state, state.identity, tries + 1)
      const rebased = rebase(state, state.draft, result.current)
      return rebased === undefined ? again() : rebased.then(again)
    }
  }
}

/**
 * Another request was first to renew the session: this one continues as a sibling of the successor, if that still exists.
 * @throws SessionGoneError (`FST_SESSION_GONE`), SessionRenewedError (`FST_SESSION_RENEWED`)
 */
async function saveSibling (state: SessionState, to: Successor): Promise<void> {
  refuseRegenerated(state, to)
  const found = await find(state.settings.store, to.successor, (to) => refuseRegenerated(state, to))
  if (state.identity === undefined || state.phase === 'ended') return // regenerated or ended meanwhile: the next save does that
  if (found === undefined) throw new SessionGoneError(state.context.route)
  state.identity = undefined
  await saveNew(state)
}

/** A subject that was set during the save still waits for the next one. */
function subjectSaved (state: SessionState, subject: string | null | undefined): void {
  const record = state.record as SessionRecord
  if (typeof subject === 'string' && subject !== record.subject && state.isPresented && state.nextToken === undefined) tellOfOldToken(state)
  record.subject = subject ?? undefined
  if (state.nextSubject === subject) state.nextSubject = undefined
}

function labelSaved (state: SessionState, label: string | null | undefined): void {
  (state.record as SessionRecord).label = label ?? undefined
  if (state.nextLabel === label) state.nextLabel = undefined
}

function ended (state: SessionState): void {
  state.isReadOnly = false
  state.identity = undefined
  state.clearToken()
}

/** Returns all operations of the commit to the waiting ones. Throws unless they are hints: the request's own work is not lost with those. None is left where it was saved. */
function failSave (state: SessionState, sent: Sent | undefined, error: unknown): undefined {
  if (sent === undefined) throw error
  state.draft.notSent(sent)
  if (state.isDirty || sent.change.clear || sent.slots.some(([, { operations }]) => operations.length === 0 || operations.some(isWork))) throw error
  state.context.log?.info({ err: error, route: state.context.route }, 'a hint for later requests could not be kept in the session')
}
