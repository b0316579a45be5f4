import { checkOptions, describeType, rules, type Rule } from '../../util/option-rules.js'
import { OptionError, RecordError } from '../../errors.js'
import { requireInterface } from '../../stores/require-interface.js'
import type { SessionStore, SessionSummary } from '../../stores/store.js'
import { infoOf, lookUp, type SessionInfo } from './info.js'
import { checkName } from '../names.js'
import type { SessionHome } from '../session-state.js'
import { lifeOf, TokenSession } from '../session.js'
import { ask } from '../ask-store.js'
import { idOf } from '../tokens.js'

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

const anything: Rule = { allowed: 'a text', test: () => true }
const listingRules: Record<keyof ListingOptions, Rule> = { subject: anything, name: anything, onDamaged: rules.function }
const endRules: Record<keyof EndFilter, Rule> = {
  subject: anything,
  except: { allowed: 'a session or its token', test: (value) => typeof value === 'string' || value instanceof TokenSession },
  onProgress: rules.function,
}

/** Sessions between two words of progress. */
const progressEvery = 1000

export function listSessions (home: SessionHome, options: ListingOptions): AsyncGenerator<SessionInfo, undefined> {
  const { subject, name, onDamaged } = checkFilter('list()', options, listingRules)
  if (name !== undefined) checkName('list(): name', name)
  requireInterface('list', home.store, 'list()')
  return list(home, idsOf(home, subject, 'list()'), (summary) =>
    (subject === undefined || summary.subject === subject) && (name === undefined || summary.name === name), onDamaged)
}

export async function endSessions ({ store }: SessionHome, filter: EndFilter): Promise<number> {
  const { subject, except, onProgress } = checkFilter('endAll()', filter, endRules)
  const kept = except === undefined ? [] : except instanceof TokenSession ? lifeOf(except).ids : [idOf(except)]
  let count = 0
  for await (const page of idsOf({ store }, subject, 'endAll()')) {
    const ended = await Promise.all(page.map((id) => !kept.includes(id) && ask(() => store.end(id), (ended) => ended)))
    count += ended.filter(Boolean).length
    onProgress?.(count)
  }
  return count
}

export async function totalsOf (home: SessionHome, options: TotalsOptions): Promise<SessionTotals> {
  const { onProgress } = checkOptions<TotalsOptions>('infoAll()', options, { onProgress: rules.function })
  const totals = { sessions: 0, keys: 0, expiring: 0, shared: 0, damaged: 0 }
  for await (const { keys, expiresAt, shared } of listSessions(home, { onDamaged: () => { totals.damaged++ } })) {
    totals.sessions++
    totals.keys += keys
    if (expiresAt !== null) totals.expiring++
    if (shared) totals.shared++
    if (totals.sessions % progressEvery === 0) onProgress?.({ ...totals })
  }
  return totals
}

async function * list (
  { store, lifetime }: SessionHome, pages: AsyncIterable<readonly string[]>, isMeant: (summary: SessionSummary) => boolean, onDamaged?: (id: string) => void
): AsyncGenerator<SessionInfo, undefined> {
  let untold = 0
  const tell = onDamaged ?? (() => { untold++ })
  for await (const page of pages) {
    const summaries = await Promise.all(page.map((id) => lookUpUnlessDamaged(store, id, tell)))
    for (const [i, summary] of summaries.entries()) {
      if (summary !== undefined && isMeant(summary)) yield infoOf(page[i] as string, summary, lifetime)
    }
  }
  if (untold > 0) process.emitWarning(`list(): ${untold} session(s) cannot be read, and were left out`, 'FastifyRequestSessionWarning')
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

function idsOf ({ store }: Pick<SessionHome, 'store'>, subject: string | undefined, call: string): AsyncIterable<readonly string[]> {
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
