import { OptionError, RecordError } from '../../errors.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { ListingStore, SessionStore, SessionSummary } from '../../stores/store.js'
import type { MaybePromise } from '../../util/maybe-promise.js'
import { checkOptions, describeType, rules, type Rule } from '../../util/option-rules.js'
import { callStore } from '../persistence.js'
import { lifetimeOf, type Lifetime } from '../expiry.js'
import { checkName } from '../values.js'
import { checkedLater } from '../options.js'
import type { SessionSettings } from '../session-state.js'
import { TokenSession } from '../session.js'
import { idOf } from '../tokens.js'

/** What a session is: never its data, never its token. */
export interface SessionInfo {
  /** What the store knows it by: a hash of its token. It can be told of and ended by it, not opened. */
  readonly id: string
  readonly name: string | undefined
  /** Whether any process can open it by its name. */
  readonly shared: boolean
  /** Whom it belongs to. */
  readonly subject: string | undefined
  readonly createdAt: Date
  /** When it expires unless it is used before; `null`: never. */
  readonly expiresAt: Date | null
  /** Seconds until then, rounded up. */
  readonly timeLeft: number | null
  /** Seconds that it lives without being used: its own, else the provider's; `null`: for ever. */
  readonly ttl: number | null
  /** Seconds that it lives at the most: its own, else the provider's; `null`: for ever. */
  readonly maxAge: number | null
  /** How many keys it has. */
  readonly keys: number
  /** `false`: when it expires its data is deleted, and the session itself stays. */
  readonly deleteSession: boolean
}

export function infoOf (id: string, summary: SessionSummary, lifetime: Lifetime): SessionInfo {
  const { name, generation, subject, createdAt, expiresAt, deleteSession, size } = summary
  return {
    id,
    name,
    shared: generation !== undefined,
    subject,
    createdAt: new Date(createdAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    timeLeft: expiresAt === null ? null : Math.max(0, Math.ceil((expiresAt - Date.now()) / 1000)),
    ...lifetimeOf(summary, lifetime),
    keys: size,
    deleteSession,
  }
}

/** What a session is, without its data where the store can do that. */
export function lookUp (store: SessionStore | ListingStore, id: string): MaybePromise<SessionSummary | undefined> {
  if ('describe' in store) return callStore(() => store.describe(id), (summary) => summary)
  return callStore(() => store.load(id), (record) => record && { ...record, size: record.fields.size })
}

/** Which sessions are meant; all of them without a word. */
export interface SessionFilter {
  /** Those that belong to somebody. Found by an index, without a look at the others. */
  subject?: string
  /** Those of a name, shared or not. Every session is looked at. */
  name?: string
}

/** What is listed, and who is told of what cannot be. */
export interface ListingOptions extends SessionFilter {
  /**
   * Told the id of each session that cannot be read, because it is damaged or of another version: it is left out, and can
   * be ended by its id. Without it a warning of the process says how many there were.
   */
  onDamaged?: (id: string) => void
}

/** Which sessions are ended; all of them without a word. */
export interface EndFilter {
  /** Those that belong to somebody. */
  subject?: string
  /** All but this one: a session, or its token. "Log out the others". */
  except?: TokenSession | string
  /** Told from time to time how many were ended. */
  onProgress?: (ended: number) => void
}

/** How the totals are made. */
export interface TotalsOptions {
  /** Told from time to time how far it is. */
  onProgress?: ((totals: SessionTotals) => void) | undefined
}

/** Totals over all sessions. */
export interface SessionTotals {
  readonly sessions: number
  /** Keys of all of them together. */
  readonly keys: number
  /** Those that expire. */
  readonly expiring: number
  readonly shared: number
  /** Those that cannot be read, and are in none of the other totals. */
  readonly damaged: number
}

const listingRules: Record<keyof ListingOptions, Rule> = { subject: checkedLater, name: checkedLater, onDamaged: rules.function }
const endRules: Record<keyof EndFilter, Rule> = {
  subject: checkedLater,
  except: { allowed: 'a session or its token', test: (value) => typeof value === 'string' || value instanceof TokenSession },
  onProgress: rules.function,
}

/** Sessions between two words of progress. */
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
  const kept = except === undefined ? [] : except instanceof TokenSession ? TokenSession.idsOf(except) : [idOf(except)]
  let count = 0
  for await (const page of idsOf({ store }, subject, 'endAll()')) {
    const ended = await Promise.all(page.map((id) => !kept.includes(id) && callStore(() => store.end(id), (ended) => ended)))
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
  { store, lifetime }: SessionSettings, pages: AsyncIterable<readonly string[]>, isMeant: (summary: SessionSummary) => boolean, onDamaged?: (id: string) => void
): AsyncGenerator<SessionInfo, undefined> {
  let unreported = 0
  const report = onDamaged ?? (() => { unreported++ })
  for await (const page of pages) {
    const summaries = await Promise.all(page.map((id) => lookUpUnlessDamaged(store, id, report)))
    for (const [i, summary] of summaries.entries()) {
      if (summary !== undefined && isMeant(summary)) yield infoOf(page[i] as string, summary, lifetime)
    }
  }
  if (unreported > 0) process.emitWarning(`list(): ${unreported} session(s) cannot be read, and were left out`, 'FastifyRequestSessionWarning')
}

async function lookUpUnlessDamaged (store: SessionStore, id: string, onDamaged: (id: string) => void): Promise<SessionSummary | undefined> {
  try {
    return await lookUp(store, id)
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    onDamaged(id)
    return undefined
  }
}

function idsOf ({ store }: Pick<SessionSettings, 'store'>, subject: string | undefined, call: string): AsyncIterable<readonly string[]> {
  if (subject === undefined) return requireInterface('list', store, call).ids()
  return requireInterface('subjects', store, call).idsOf(checkName(`${call}: subject`, subject))
}

/** A filter that was meant to narrow must not widen because its value is missing: `{ subject: user.id }` of nobody. */
function checkFilter<F extends object> (call: string, filter: F, allowed: Record<keyof F & string, Rule>): { [K in keyof F]?: Exclude<F[K], undefined> } {
  for (const [key, value] of Object.entries(filter)) {
    if (value === undefined) throw new OptionError(call, `${key} must not be undefined: leave it out to mean all sessions; got ${describeType(filter)}`)
  }
  return checkOptions<F>(call, filter, allowed)
}
