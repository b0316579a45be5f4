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

/** Listings after which a login gives up: each of them has met a session that was used at that moment. */
const maxTries = 100

/**
 * The limit that counts for a session's subject; `undefined`: there is none.
 * @throws OptionError (`FST_SESSION_OPTION`) if the app's function gives no number of sessions; its own error
 */
export function limitOf ({ maxSessions }: Pick<SessionSettings, 'maxSessions'>, subject: string | undefined): Limit | undefined {
  if (subject === undefined || maxSessions == null) return undefined
  const most: unknown = typeof maxSessions === 'function' ? atOnce(maxSessions(subject)) : maxSessions
  if (most === null) return undefined
  if (sessionCount.test(most)) return { subject, most: most as number }
  throw new OptionError('tokenSessions()', `maxSessions(subject) must return ${sessionCount.allowed}, or null; got ${show(most)}`)
}

/** The most sessions beyond which the store refuses a login of the subject; `undefined`: it refuses none. It throws as `limitOf` does. */
export function refusedBeyond (settings: Pick<SessionSettings, 'maxSessions' | 'onLimit'>, subject: string | undefined): number | undefined {
  return settings.onLimit === 'refuse' ? limitOf(settings, subject)?.most : undefined
}

/** The limit of a subject that a save may give one session more than it may keep. It throws as `limitOf` does. */
export function limitOfSave ({ identity, nextSubject, nextToken, subject, settings }: SessionState): Limit | undefined {
  if (settings.onLimit === 'refuse') return undefined
  return identity === undefined || (nextSubject ?? nextToken) !== undefined ? limitOf(settings, subject) : undefined
}

/**
 * Ends the least recently used sessions of a subject that has too many. All processes rank them alike, and each that has written one looks
 * after it has: the last one to look sees all. A session that is used meanwhile is not ended, and all are looked at again.
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
