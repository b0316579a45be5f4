import { NameError, SessionExistsError } from '../../errors.js'
import { newRecord, requireInterface } from '../../stores/contract-helpers.js'
import type { SessionRecord } from '../../stores/store.js'
import { nothing } from '../../util/maybe-promise.js'
import { checkOptions, show } from '../../util/option-rules.js'
import { expiryAfterUse, lifetimeOf } from '../expiry.js'
import { checkName, checkKey, checkValue, refuseLarge } from '../values.js'
import { newSessionRules, type NewSession } from '../options.js'
import { endSurplus, limitOf, refusedBeyond } from '../limit.js'
import { callStore } from '../call-store.js'
import { createUnderToken } from '../persistence.js'
import type { Identity, SessionSettings } from '../settings.js'
import { idOf, newGeneration } from '../tokens.js'
import { summaryOf } from '../look.js'

/** A session that was just created. */
interface Created {
  readonly identity: Identity
  readonly record: SessionRecord
}

/**
 * Checks the options of `create()` and writes the session.
 *
 * @param tokensOf the tokens of a shared session's name, the first under the newest secret
 */
export async function createSession (
  settings: SessionSettings, options: NewSession, tokensOf: (name: string) => readonly [string, ...string[]]
): Promise<Created> {
  const call = 'create()'
  const checked = checkOptions<NewSession>(call, options, newSessionRules)
  const { name, shared = false, subject, label } = checked
  if (name !== undefined) checkName(`${call}: name`, name)
  if (shared && name === undefined) throw new NameError(`${call}: name`, 'a shared session needs one.')
  if (label !== undefined) checkName(`${call}: label`, label)
  if (subject !== undefined) {
    checkName(`${call}: subject`, subject)
    requireInterface('subjects', settings.store, `${call} with a subject`)
  }
  const atMost = refusedBeyond(settings, subject)
  const limit = atMost === undefined ? limitOf(settings, subject) : undefined
  const record = recordOf(settings, checked, call)
  refuseLarge(settings, call, record.fields)
  const identity = shared ? await createShared(settings, name as string, record, atMost, tokensOf) : await createUnderToken(settings, record, { route: call, atMost })
  if (identity === undefined) throw new SessionExistsError(show(name))
  if (limit !== undefined) await callStore(() => endSurplus(settings.store, limit), nothing)
  return { identity, record }
}

function recordOf ({ lifetime, deleteSession, data: rules }: SessionSettings, options: NewSession, call: string): SessionRecord {
  const { name, shared, ttl, maxAge, subject, label, data = {} } = options
  const given = new Map<string, string>()
  for (const [key, value] of Object.entries(data)) {
    checkKey(key)
    if (value !== undefined) given.set(key, JSON.stringify(checkValue(key, value)))
  }
  const now = Date.now()
  return newRecord({
    fields: rules === undefined ? given : rules.created(given, call),
    createdAt: now,
    expiresAt: expiryAfterUse(now, now, lifetimeOf({ ttl, maxAge }, lifetime)),
    ttl,
    maxAge,
    deleteSession: options.deleteSession ?? deleteSession,
    name,
    generation: shared ? newGeneration() : undefined,
    subject,
    label,
    dataVersion: rules?.version || undefined,
  })
}

/** A name has one session, under any secret: a session under an older secret occupies the name until it ends. */
async function createShared (
  settings: SessionSettings, name: string, record: SessionRecord, atMost: number | undefined, tokensOf: (name: string) => readonly [string, ...string[]]
): Promise<Identity | undefined> {
  const [newest, ...older] = tokensOf(name)
  for (const token of older) if (await summaryOf(settings.store, idOf(token)) !== undefined) return undefined
  return createUnderToken(settings, record, { route: 'create()', atMost }, newest, 0)
}
