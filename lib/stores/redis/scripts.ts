import { successorLife } from '../contract-helpers.js'
import type { SessionRecord, SessionStore, Successor } from '../store.js'
import type { Lease } from '../track.js'
import { luaAccess, script, type Int } from './script.js'
import { encodeText, formatDescription, formatSuccessor, formatTimeLeft, luaFormat, luaParts, luaSuccessor, newNonce, parseTimeLeft, type EntryName, type IndexEntry } from './record-format.js'

/*
 * KEYS: the session's hash, then that of the session that it becomes, then the hash of the data of each: these only for a
 * session that outlives its data, since a cluster refuses two keys, of which one does not exist, while their slot moves. A script
 * that lacks them has no effect and answers with an error (`lacksData`). A hash, and its expiry, are gone with its last field.
 * Changes of a watched session are published on a channel of its key and the random id of its feed: channels know no databases.
 */

/** ARGV: description, milliseconds to live or '-', '1' for a session that outlives its data, then keys and texts. */
function recordArgs (record: SessionRecord, entry: IndexEntry | undefined): string[] {
  const args = [formatDescription(record, entry, newNonce()), record.expiresAt === null ? '-' : formatTimeLeft(record.expiresAt), record.deleteSession ? '0' : '1']
  for (const [key, text] of record.fields) args.push(key, text)
  return args
}

/** Writes a session, unless the id is taken by another. */
export const createScript = script('', `${luaFormat}${luaAccess}
if redis.call('EXISTS', KEYS[1]) == 1 then return isWriteOf(redis.call('HGET', KEYS[1], ''), ARGV[1]) and 1 or 0 end
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
check('HSET', data, '', '')
if ARGV[2] ~= '-' then check('PEXPIRE', data, ARGV[2]) end
if KEYS[2] then redis.call('UNLINK', data) end
redis.call('HSET', KEYS[1], '', dated(ARGV[1]))
for i = 4, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
return 1
`, recordArgs, (created: Int) => Number(created) === 1)

/**
 * ARGV: the successor, a subject that the old session must have or '', then as of `createScript`. Answers 1 and the index entry of the old
 * session, or 'limit' where that has another subject.
 */
export const regenerateScript = script('', `${luaFormat}${luaSuccessor}${luaAccess}
if redis.call('EXISTS', KEYS[2]) == 1 then return { isWriteOf(redis.call('HGET', KEYS[2], ''), ARGV[3]) and 1 or 0 } end
local old = redis.pcall('HGET', KEYS[1], '')
if type(old) ~= 'string' then old = '' end
local ${luaParts} = parse(old)
if ARGV[2] ~= '' and subject ~= ARGV[2] then return { 'limit' } end
if outlivesData and not KEYS[3] then return lacksData end
local data = ARGV[5] == '1' and KEYS[4] or KEYS[2]
check('HSET', KEYS[1], '', '')
check('PEXPIRE', KEYS[1], 1)
if not successorIn(old) then
  redis.call('UNLINK', KEYS[1], KEYS[3] or KEYS[1])
  redis.call('HSET', KEYS[1], '', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ${successorLife})
  if feed then publish(feed, '["ended"]') end
end
redis.call('HSET', KEYS[2], '', dated(ARGV[3]))
for i = 6, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[4] ~= '-' then redis.call('PEXPIRE', data, ARGV[4]) end
return { 1, subject or '', entryTag or '' }
`, (successor: Successor, record: SessionRecord, entry: IndexEntry | undefined, isBeyond: boolean) =>
  [formatSuccessor(successor), isBeyond ? encodeText(record.subject) : '', ...recordArgs(record, entry)],
([created, subject, tag]: [Int | 'limit', string?, string?]) => ({ created: created === 'limit' ? 'limit' as const : Number(created) === 1, oldEntry: entryName(subject, tag) }))

/** Writes a session in the place of another. Returns the index entry of that one. */
export const replaceScript = script('', `${luaFormat}${luaAccess}
local old = redis.call('HGET', KEYS[1], '')
local oldSubject, oldTag, oldFeed, oldOutlivesData
if old then
  local ${luaParts} = parse(old)
  oldSubject, oldTag, oldFeed, oldOutlivesData = subject, entryTag, feed, outlivesData
end
if oldOutlivesData and not KEYS[2] then return lacksData end
local ${luaParts} = parse(dated(ARGV[1]))
feed = oldFeed
local message, told = feed and { 'changed', (ARGV[3] == '0' or ARGV[4]) and ARGV[2] or '-' }, { [''] = true }
if message then
  for i = 1, #KEYS do
    for _, key in ipairs(redis.call('HKEYS', KEYS[i])) do
      if not told[key] then message[#message + 1] = key end
      told[key] = true
    end
  end
end
check('HSET', KEYS[1], '', '')
check('PEXPIRE', KEYS[1], 1)
redis.call('UNLINK', unpack(KEYS))
redis.call('HSET', KEYS[1], '', format(${luaParts}))
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
for i = 4, #ARGV, 2 do
  if message and not told[ARGV[i]] then message[#message + 1] = ARGV[i] end
  redis.call('HSET', data, ARGV[i], ARGV[i + 1])
end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
if message then publish(feed, cjson.encode(message)) end
return { oldSubject or '', oldTag or '' }
`, recordArgs, ([subject, tag]: string[]) => entryName(subject, tag))

type EndOptions = NonNullable<Parameters<SessionStore['end']>[1]>

/**
 * Ends a session, also a damaged one, or returns its successor. A full Redis runs it: it frees memory. ARGV: the generation and the
 * subject that it must have, and the last use of it, each '' for any; the reason for watchers, or ''.
 */
export const endScript = script('allow-oom', `${luaFormat}${luaSuccessor}${luaAccess}
local description = redis.pcall('HGET', KEYS[1], '')
if type(description) ~= 'string' then description = '' end
local how, successor = successorIn(description)
if how then return { -1, how, successor } end
local ${luaParts} = parse(description)
if usedAt == '=' then usedAt = createdAt end
local function is (expected, part) return expected == '' or expected == part end
if not (is(ARGV[1], generation) and is(ARGV[2], subject) and is(ARGV[3], usedAt)) or redis.call('EXISTS', KEYS[1]) == 0 then return { 0 } end
if (outlivesData or not createdAt) and not KEYS[2] then return lacksData end
local ended = redis.call('UNLINK', unpack(KEYS))
if feed then publish(feed, cjson.encode({ 'ended', ARGV[4] })) end
return { ended, subject or '', entryTag or '' }
`, ({ generation, subject, usedAt, reason }: EndOptions) => [encodeText(generation), encodeText(subject), String(usedAt ?? ''), reason ?? ''], ([ended, first, second]: [Int, string?, string?]) => ({
  ended: Number(ended) < 0 ? { how: first, successor: second } as Successor : Number(ended) > 0,
  entry: Number(ended) < 0 ? undefined : entryName(first, second),
}))

/** Answers with the description, '' if it is missing, and, but for a session that outlives its data, the number of keys and the milliseconds left or -1. */
export const describeScript = script('no-writes', `${luaFormat}${luaSuccessor}
local description = redis.call('HGET', KEYS[1], '')
if not description then return redis.call('EXISTS', KEYS[1]) == 1 and { '' } or {} end
if successorIn(description) then return {} end
local ${luaParts} = parse(description)
if outlivesData then return { description } end
return { description, redis.call('HLEN', KEYS[1]) - 1, redis.call('PTTL', KEYS[1]) }
`, () => [], ([description, size, left]: [string?, Int?, Int?]) =>
  description === undefined ? undefined : { description, size: Number(size), timeLeft: parseTimeLeft(left) })

/** Publishes all changes of a session from now on, and returns the id of its feed: the given one, if it has none. '': no session. */
export const watchScript = script('', `${luaFormat}
local description = redis.call('HGET', KEYS[1], '')
local ${luaParts} = parse(description or '')
if not createdAt then return '' end
if not feed then
  feed = ARGV[1]
  redis.call('HSET', KEYS[1], '', format(${luaParts}))
end
return feed
`, (newFeed: string) => [newFeed], (feed: string) => feed)

/** Gives a holder a lease, or extends its own; '' for the holder marks the work as done. ARGV: holder, milliseconds. */
export const leaseScript = script('', `${luaAccess}
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] and ARGV[1] ~= '' then return holder == '' and 'done' or 'taken' end
check('HSET', KEYS[1], 'holder', '')
check('PEXPIRE', KEYS[1], 1)
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'held'
`, (holder: string, ms: number) => [holder, String(ms)], (lease: Lease) => lease)

function entryName (subject: string | undefined, tag: string | undefined): EntryName | undefined {
  return subject && tag ? { subject, tag } : undefined
}
