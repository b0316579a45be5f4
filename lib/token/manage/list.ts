import { report } from '../../core/events.js'
import { OptionError } from '../../errors.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { SessionSummary } from '../../stores/optional-interfaces.js'
import type { SessionStore } from '../../stores/store.js'
import { checkOptions, describeType, rules, type Rule } from '../../util/option-rules.js'
import { callStore } from '../call-store.js'
import { find, summaryOf, unlessDamaged } from '../look.js'
import { endSession } from '../persistence.js'
import { checkName } from '../values.js'
import { checkedLater } from '../options.js'
import type { SessionSettings } from '../settings.js'
import { TokenSession } from '../session.js'
import { idOf } from '../tokens.js'

/**
 * A session's description, without its data and its token.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionInfo } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const { token } = await users.create({ subject: 'ada' })
 * const info: SessionInfo | undefined = await users.info(token)
 * console.log(info?.subject, info?.timeLeft)
 * ```
 */
export interface SessionInfo {
  /** The key in the store: a hash of the token. The session can be described and ended by it, but not opened. */
  readonly id: string
  readonly name: string | undefined
  /** True if any process can open the session by its name. */
  readonly shared: boolean
  /** The owner, such as a user's id. */
  readonly subject: string | undefined
  /** A text that describes the session to its user. */
  readonly label: string | undefined
  readonly createdAt: Date
  /** The last use, accurate to a tenth of the idle time, or to a day without an idle time. */
  readonly lastUsedAt: Date
  /** The expiry, unless the session is used before; `null`: never. */
  readonly expiresAt: Date | null
  /** Seconds until the expiry, rounded up; `null`: it never expires. */
  readonly timeLeft: number | null
  /** Its own idle time in seconds; `null`: no limit; `undefined`: the route's or the provider's applies. */
  readonly ttl: number | null | undefined
  /** Its own total time in seconds; `null` and `undefined` as for `ttl`. */
  readonly maxAge: number | null | undefined
  /** The number of keys. */
  readonly keys: number
  /** `false`: an expired session loses its data and stays. */
  readonly deleteSession: boolean
}

export function infoOf (id: string, summary: SessionSummary): SessionInfo {
  const { name, label, generation, subject, createdAt, usedAt, expiresAt, ttl, maxAge, deleteSession, size, timeLeft } = summary
  return {
    id,
    name,
    shared: generation !== undefined,
    subject,
    label,
    createdAt: new Date(createdAt),
    lastUsedAt: new Date(usedAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    timeLeft: timeLeft === null ? null : Math.ceil(timeLeft / 1000),
    ttl,
    maxAge,
    keys: size,
    deleteSession,
  }
}

/**
 * The tokens, of the given ones, that have a session.
 *
 * @example
 * ```ts
 * import { tokenSessions, type ExistingSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const { token } = await users.create()
 * const existing: ExistingSessions = await users.exists([token, 'no token'])
 * console.log(existing.count) // 1
 * ```
 */
export interface ExistingSessions {
  readonly count: number
  readonly tokens: readonly string[]
}

/** Sessions that are read in parallel. */
const atOnce = 256

/** The tokens that have a session. */
export async function existingTokens ({ store, tokens: kind }: SessionSettings, tokens: readonly string[]): Promise<string[]> {
  const existing: string[] = []
  for (let i = 0; i < tokens.length; i += atOnce) {
    const some = tokens.slice(i, i + atOnce)
    const found = await Promise.all(some.map((token) => kind.valid(token) ? summaryOf(store, idOf(token)) : undefined))
    existing.push(...some.filter((_, n) => found[n] !== undefined))
  }
  return existing
}

/**
 * Selects sessions; an empty filter selects all.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionFilter } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const filter: SessionFilter = { subject: 'ada' }
 * for await (const { id, createdAt } of users.list(filter)) console.log(id, createdAt)
 * ```
 */
export interface SessionFilter {
  /** Only sessions of this owner. They are found by an index. */
  subject?: string
  /** Only sessions of this name, shared or not. Every session is read for it. */
  name?: string
}

/**
 * Options of `list()`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type ListingOptions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const options: ListingOptions = { onDamaged: (id) => console.warn(`${id} is damaged`) }
 * for await (const { id } of users.list(options)) console.log(id)
 * ```
 */
export interface ListingOptions extends SessionFilter {
  /**
   * Called with the id of each session that is damaged or of another version. Such a session is skipped; it can be
   * ended by its id. Without this function a process warning has their number.
   */
  onDamaged?: (id: string) => void
}

/**
 * Selects the sessions that `endAll()` ends; an empty filter selects all.
 *
 * @example
 * ```ts
 * import { tokenSessions, type EndFilter } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const current = await users.create({ subject: 'ada' })
 * const others: EndFilter = { subject: 'ada', except: current }
 * console.log(await users.endAll(others))
 * ```
 */
export interface EndFilter {
  /** Only sessions of this owner. */
  subject?: string
  /** A session, or its token, that is kept: "log out the others". */
  except?: Pick<TokenSession, 'id' | 'token' | 'end'> | string
  /** Called from time to time with the number of ended sessions. */
  onProgress?: (ended: number) => void
}

/**
 * Options of `infoAll()`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type TotalsOptions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const options: TotalsOptions = { onProgress: ({ sessions }) => console.log(`${sessions} so far`) }
 * console.log(await users.infoAll(options))
 * ```
 */
export interface TotalsOptions {
  /** Called from time to time with the totals so far. */
  onProgress?: ((totals: SessionTotals) => void) | undefined
}

/**
 * Totals over all sessions.
 *
 * @example
 * ```ts
 * import { tokenSessions, type SessionTotals } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const totals: SessionTotals = await users.infoAll()
 * console.log(`${totals.sessions} sessions, ${totals.damaged} damaged`)
 * ```
 */
export interface SessionTotals {
  readonly sessions: number
  /** The number of keys in all sessions together. */
  readonly keys: number
  /** The number of sessions that expire. */
  readonly expiring: number
  readonly shared: number
  /** The number of unreadable sessions. They are in none of the other totals. */
  readonly damaged: number
}

const listingRules: Record<keyof ListingOptions, Rule> = { subject: checkedLater, name: checkedLater, onDamaged: rules.function }
const endRules: Record<keyof EndFilter, Rule> = {
  subject: checkedLater,
  except: { allowed: 'a session or its token', test: (value) => typeof value === 'string' || value instanceof TokenSession },
  onProgress: rules.function,
}

/** Sessions between two calls of `onProgress`. */
const progressEvery = 1000

export function listSessions (settings: SessionSettings, options: ListingOptions): AsyncGenerator<SessionInfo, undefined> {
  const { subject, name, onDamaged } = checkFilter('list()', options, listingRules)
  if (name !== undefined) checkName('list(): name', name)
  requireInterface('list', settings.store, 'list()')
  return list(settings, idsOf(settings, subject, 'list()'), (summary) =>
    (subject === undefined || summary.subject === subject) && (name === undefined || summary.name === name), onDamaged)
}

export async function endSessions ({ store }: SessionSettings, filter: EndFilter): Promise<number> {
  const { subject, except, onProgress } = checkFilter('endAll()', filter, endRules)
  const kept = new Set(except === undefined ? [] : except instanceof TokenSession ? TokenSession.stateOf(except).ids : [idOf(except as string)])
  const followKept = async (): Promise<void> => {
    for (const id of [...kept]) await find(store, id, ({ successor }) => { kept.add(successor) })
  }
  /** A session that was renewed since it was listed is ended under its new id; a session that has another subject by now stays. */
  async function end (id: string): Promise<boolean> {
    if (kept.has(id)) return false
    const answer = await callStore(() => store.end(id, { subject }))
    if (typeof answer === 'object') return end(answer.successor)
    // The subject of a damaged session is only known from the index.
    return answer || (subject !== undefined && await isDamaged(store, id) && endSession(store, id))
  }
  let count = 0
  for await (const page of idsOf({ store }, subject, 'endAll()')) {
    await followKept() // a page with a new id of the kept session was read after its renewal
    const ended = await Promise.all(page.map(end))
    count += ended.filter(Boolean).length
    onProgress?.(count)
  }
  return count
}

export async function totalsOf (settings: SessionSettings, options: TotalsOptions): Promise<SessionTotals> {
  const { onProgress } = checkOptions<TotalsOptions>('infoAll()', options, { onProgress: rules.function })
  const totals = { sessions: 0, keys: 0, expiring: 0, shared: 0, damaged: 0 }
  for await (const { keys, expiresAt, shared } of listSessions(settings, { onDamaged: () => { totals.damaged++ } })) {
    totals.sessions++
    totals.keys += keys
    if (expiresAt !== null) totals.expiring++
    if (shared) totals.shared++
    if (totals.sessions % progressEvery === 0) onProgress?.({ ...totals })
  }
  return totals
}

async function * list (
  { store }: SessionSettings, pages: AsyncIterable<readonly string[]>, isMeant: (summary: SessionSummary) => boolean, onDamaged?: (id: string) => void
): AsyncGenerator<SessionInfo, undefined> {
  let unreported = 0
  const tell = onDamaged ?? (() => { unreported++ })
  for await (const page of pages) {
    const summaries = await Promise.all(page.map((id) => unlessDamaged(() => summaryOf(store, id), () => tell(id))))
    for (const [i, summary] of summaries.entries()) {
      if (summary !== undefined && isMeant(summary)) yield infoOf(page[i] as string, summary)
    }
  }
  if (unreported > 0) report(undefined, 'warn', {}, `list(): ${unreported} session(s) cannot be read, and were skipped`)
}

async function isDamaged (store: SessionStore, id: string): Promise<boolean> {
  let damaged = false
  await unlessDamaged(() => summaryOf(store, id), () => { damaged = true })
  return damaged
}

export function idsOf ({ store }: Pick<SessionSettings, 'store'>, subject: string | undefined, call: string): AsyncIterable<readonly string[]> {
  if (subject === undefined) return requireInterface('list', store, call).ids()
  return requireInterface('subjects', store, call).idsOf(checkName(`${call}: subject`, subject))
}

/** Refuses `undefined` in a filter: `{ subject: user.id }` without a user would select all sessions. */
export function checkFilter<F extends object> (call: string, filter: F, allowed: Record<keyof F & string, Rule>): { [K in keyof F]?: Exclude<F[K], undefined> } {
  const checked = checkOptions<F>(call, filter, allowed)
  for (const [key, value] of Object.entries(filter)) {
    if (value === undefined) throw new OptionError(call, `${key} must not be undefined: omit it for all sessions; got ${describeType(filter)}`)
  }
  return checked
}
