import { OptionError, StoreUnavailableError } from '../errors.js'
import { requireInterface } from '../stores/contract-helpers.js'
import type { SessionStore } from '../stores/store.js'
import { atOnce } from '../util/maybe-promise.js'
import { show } from '../util/option-rules.js'
import { summaryOf, unlessDamaged } from './look.js'
import { sessionCount } from './options.js'
import type { SessionState } from './session-state.js'
import type { SessionSettings } from './settings.js'

/** The limit of one subject, before its login. */
export interface Limit {
  readonly subject: string
  readonly most: number
}

/** Listings after which a login gives up: each of them has found a session in use. */
const maxTries = 100

/**
 * The effective limit of a session's subject; `undefined`: none.
 * @throws OptionError (`FST_SESSION_OPTION`) if the app's function does not return a number of sessions; the function's own error
 */
export function limitOf ({ maxSessions }: Pick<SessionSettings, 'maxSessions'>, subject: string | undefined): Limit | undefined {
  if (subject === undefined || maxSessions == null) return undefined
  const most: unknown = typeof maxSessions === 'function' ? atOnce(maxSessions(subject)) : maxSessions
  if (most === null) return undefined
  if (sessionCount.test(most)) return { subject, most: most as number }
  throw new OptionError('tokenSessions()', `maxSessions(subject) must return ${sessionCount.allowed}, or null; got ${show(most)}`)
}

/** The number of sessions beyond which the store refuses a login of the subject; `undefined`: it refuses none. Throws as `limitOf` does. */
export function refusedBeyond (settings: Pick<SessionSettings, 'maxSessions' | 'onLimit'>, subject: string | undefined): number | undefined {
  return settings.onLimit === 'refuse' ? limitOf(settings, subject)?.most : undefined
}

/** The limit of a subject that a save may exceed by one session. Throws as `limitOf` does. */
export function limitOfSave ({ identity, nextSubject, nextToken, subject, settings }: SessionState): Limit | undefined {
  if (settings.onLimit === 'refuse') return undefined
  return identity === undefined || (nextSubject ?? nextToken) !== undefined ? limitOf(settings, subject) : undefined
}

/**
 * Ends the least recently used sessions of a subject beyond its limit. All processes rank them alike, and each reads them after its own
 * write, so the last reader sees all. A session that is used meanwhile is not ended, and all are read again.
 */
export async function endSurplus (store: SessionStore, { subject, most }: Limit): Promise<void> {
  for (let tries = 0; tries < maxTries; tries++) {
    const surplus = (await sessionsOf(store, subject)).sort((a, b) => b.usedAt - a.usedAt || (a.id < b.id ? -1 : 1)).slice(most)
    const ended = await Promise.all(surplus.map(({ id, usedAt }) => store.end(id, { subject, usedAt, reason: 'limit' })))
    if (ended.every((answer) => answer === true)) return
  }
  throw new StoreUnavailableError('the sessions of a subject change all the time')
}

async function sessionsOf (store: SessionStore, subject: string): Promise<Array<{ id: string, usedAt: number }>> {
  const found: Array<{ id: string, usedAt: number }> = []
  for await (const page of requireInterface('subjects', store, 'maxSessions').idsOf(subject)) {
    const described = await Promise.all(page.map((id) => unlessDamaged(() => summaryOf(store, id))))
    for (const [i, session] of described.entries()) if (session?.subject === subject) found.push({ id: page[i] as string, usedAt: session.usedAt })
  }
  return found
}
