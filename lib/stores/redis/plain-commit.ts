import type { CommitResult, SessionChange } from '../store.js'
import { luaAccess, luaPlus, script } from './script.js'
import { readResult, type ResultReply } from './commit-script.js'
import { formatTimeLeft, luaRecent, type StoredRecord } from './record-format.js'

/** Maximum arguments that Lua may pass to one command. */
const maxArgs = 1000

/** A session that keeps its data, and is not watched. */
const plainStart = /^\S+ \d+ \S+ \S+ \S+ 0 /
const withoutSubject = / {4}$/

/**
 * Returns the record that a change was made from, if the change is plain: it sets, removes and adds, and slides the expiry of
 * a session without a subject, whose index entry need not last as long.
 */
export function plainRecordOf (change: SessionChange): StoredRecord | undefined {
  const record = change.from as StoredRecord | undefined
  const { expect, clear, set, remove, increment, expiresAt, ttl, dataSince, label, subject, generation, expectSubject, expectVersion, dataVersion } = change
  if (record?.described === undefined || generation !== record.generation || clear || expect.size > 0 || ttl !== undefined || dataSince !== undefined || label !== undefined || subject !== undefined) return undefined
  if (expectSubject !== undefined && expectSubject !== record.subject) return undefined
  if (dataVersion !== undefined || (expectVersion !== undefined && expectVersion !== (record.dataVersion ?? 0))) return undefined
  if (expiresAt === null || (set.size + increment.size) * 2 + remove.length > maxArgs || !plainStart.test(record.described)) return undefined
  return expiresAt === undefined || withoutSubject.test(record.described) ? record : undefined
}

/**
 * ARGV: the description as it was read, then '' and the keys and texts to set, or all of the parts.
 * @param afterUse the description after a use; `undefined`: it stays
 */
function plainArgs (change: SessionChange, { described }: StoredRecord, afterUse: string | undefined, nonce: string | undefined): string[] {
  const { set, remove, increment, expiresAt } = change
  const args = [described]
  if (remove.length === 0 && increment.size === 0 && afterUse === undefined && set.size > 0) {
    args.push('')
  } else {
    args.push(afterUse ?? described, typeof expiresAt === 'number' ? formatTimeLeft(expiresAt) : '', nonce ?? '', String(remove.length), String(increment.size), ...remove)
    for (const [key, by] of increment) args.push(key, String(by))
  }
  for (const [key, text] of set) args.push(key, text)
  return args
}

/**
 * Applies a plain change to a session with an unchanged description, except for the remembered commits.
 * Other sessions are left to `commitScript`: the result is `undefined`.
 */
export const plainCommitScript = script('', `
local old, start = redis.call('HGET', KEYS[1], ''), ARGV[1]
if not old or string.sub(old, 1, #start) ~= start then return 0 end
if ARGV[2] == '' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
  return 1
end
${luaRecent}${luaPlus}${luaAccess}
local recent, nonce, timeLeft, at = string.sub(old, #start + 1), ARGV[4], ARGV[3], 6 + ARGV[5]
local answer = nonce ~= '' and answerAgain(recent, nonce)
if answer then return answer end
local written, sums = {}, { 'committed' }
for i = 1, ARGV[6] do
  local key, by = ARGV[at + 1], ARGV[at + 2]
  local sum = plus(redis.call('HGET', KEYS[1], key) or '0', by)
  if not sum then return { 'not-a-number', key } end
  written[i * 2 - 1], written[i * 2], sums[i + 1] = key, sum, sum
  at = at + 2
end
for i = at + 1, #ARGV do written[#written + 1] = ARGV[i] end
if nonce ~= '' then recent = remember(recent, nonce, sums) end
if nonce ~= '' or ARGV[2] ~= start then
  written[#written + 1] = ''
  written[#written + 1] = ARGV[2] .. recent
end
if written[1] and (timeLeft ~= '' or ARGV[5] ~= '0') then check('HSET', KEYS[1], '', '') end
if timeLeft ~= '' then
  check('PEXPIRE', KEYS[1], 1)
  if ARGV[5] ~= '0' then check('HDEL', KEYS[1], '') end
  redis.call('PEXPIRE', KEYS[1], timeLeft)
end
if ARGV[5] ~= '0' then redis.call('HDEL', KEYS[1], unpack(ARGV, 7, 6 + ARGV[5])) end
if written[1] then redis.call('HSET', KEYS[1], unpack(written)) end
return sums[2] and sums or 1
`, plainArgs, readPlainCommit)

/** 0: left to `commitScript`. */
function readPlainCommit (reply: ResultReply, change: SessionChange): CommitResult | undefined {
  return Number(reply) === 0 ? undefined : readResult(reply, change)
}
