import { NoTokenError, OptionError, SessionGoneError, SessionRenewedError } from '../../errors.js'
import { describeType } from '../../util/option-rules.js'
import { find, unlessDamaged } from '../look.js'
import { save } from '../persistence.js'
import { checkedLater, type SessionData } from '../options.js'
import { TokenSession } from '../session.js'
import { SessionState } from '../session-state.js'
import type { SessionContext, SessionSettings } from '../settings.js'
import { releaseSignal } from '../signal.js'
import { isFilter, subjectOf, type Addresses, type SessionAddress } from './address.js'
import { checkFilter, idsOf } from './list.js'

/**
 * Selects the sessions that `update()` changes.
 *
 * @example
 * ```ts
 * import { tokenSessions, type UpdateFilter } from 'fastify-request-session'
 *
 * const users = tokenSessions<{ roles: string[] }>()
 * const filter: UpdateFilter = { subject: 'ada' }
 * await users.update(filter, (session) => { session.update('roles', (roles = []) => roles.filter((role) => role !== 'admin')) })
 * ```
 */
export interface UpdateFilter {
  /** All sessions of this owner. They are found by an index. */
  subject: string
}

/** Changes one session, outside of its own requests. It gets no token: the store has only its hash. */
type Update<Data extends object> = (session: TokenSession<Data>) => unknown

/** The session of an `update()`: identified by its id, and not in use. */
class UpdateState extends SessionState {
  override get token (): string {
    throw new NoTokenError('session.token')
  }

  override renew (): void {
    throw new NoTokenError('renew()')
  }

  override regenerate (): void {
    throw new NoTokenError('regenerate()')
  }

  /** Only `touch()` and `expire()` extend it, and changes of data that the session outlives: their expiry may be over meanwhile. */
  override slide (now: number, changesData: boolean): number | null | undefined {
    const begins = changesData && this.record?.deleteSession === false
    return this.mustSlide || this.isTtlChanged || begins ? super.slide(now, changesData) : undefined
  }
}

const context: SessionContext = Object.freeze({ route: 'update()', request: undefined, reply: undefined, log: undefined, canSendHeaders: false, isConditional: true })

/** Changes the session of an address, or all of a subject: each in one atomic step. @returns the number of changed sessions */
export async function updateSessions<Data extends object = SessionData> (
  given: SessionSettings, addresses: Addresses, target: SessionAddress | UpdateFilter, fn: Update<Data>
): Promise<number> {
  if (typeof fn !== 'function') throw new OptionError('update()', `the second argument must be a function of a session; got ${describeType(fn)}`)
  const settings: SessionSettings = { ...given, onStoreError: 'fail' }
  const done = new Set<string>()
  if (isFilter(target)) {
    const { subject } = checkFilter<UpdateFilter>('update()', target, { subject: checkedLater })
    return updateAll(idsOf(settings, subject, 'update()'), (id) => updateOne(settings, id, subject, fn, done, true))
  }
  const subject = subjectOf(target, 'update()')
  const changed = await Promise.all(addresses.idsAt(target, 'update()').map((id) => updateOne(settings, id, subject, fn, done)))
  return changed.filter(Boolean).length
}

/** If one session fails, the others are changed nevertheless: a right is taken away wherever possible. */
async function updateAll (pages: AsyncIterable<readonly string[]>, update: (id: string) => Promise<boolean>): Promise<number> {
  let count = 0
  const failures: unknown[] = []
  for await (const page of pages) {
    for (const result of await Promise.allSettled(page.map(update))) {
      if (result.status === 'rejected') failures.push(result.reason)
      else if (result.value) count++
    }
  }
  if (failures.length > 0) throw failures[0]
  return count
}

/**
 * @param subject the subject that the session must have; `undefined`: any
 * @param done the ids of the sessions that `fn` has got, old and new: a renewed session may be listed under two
 */
async function updateOne<Data extends object> (
  settings: SessionSettings, id: string, subject: string | undefined, fn: Update<Data>, done: Set<string>, skipDamaged = false
): Promise<boolean> {
  const read = (): ReturnType<typeof find> => find(settings.store, id)
  const found = await (skipDamaged ? unlessDamaged(read) : read())
  if (found === undefined || done.has(found.id) || (subject !== undefined && found.record.subject !== subject)) return false
  done.add(found.id)
  const state = new UpdateState({ ...settings, pinsSubject: subject !== undefined }, context).opened({ token: '', id: found.id }, found.record)
  try {
    await fn(new TokenSession<Data>(state))
    const isChanged = await commit(state)
    if (isChanged !== undefined) return isChanged
  } finally {
    if (state.identity !== undefined) done.add(state.identity.id)
    state.phase = 'closed'
    releaseSignal(state)
  }
  return updateOne(settings, found.id, subject, fn, done, skipDamaged)
}

/** @returns true if the session was changed; `undefined` if another has replaced it, by a login for example, and must be changed too */
async function commit (state: SessionState): Promise<boolean | undefined> {
  try {
    await save(state)
    return !state.isReadOnly
  } catch (error) {
    if (error instanceof SessionGoneError) return false
    if (error instanceof SessionRenewedError) return undefined
    throw error
  }
}
