import { RecordError } from '../../errors.js'
import { successorLife } from '../contract-helpers.js'
import type { CommitResult, SessionChange, SessionRecord, Successor } from '../store.js'
import { luaAccess, script } from './script.js'
import { encodeText, formatDescription, formatSeconds, formatSuccessor, luaFormat, luaParts, luaRecent, luaSuccessor, newNonce, type IndexEntry } from './record-format.js'

/** An integer in a reply: a string with the client's option `stringNumbers`. */
type Int = number | string

/** The part of an index entry by which it is removed. */
export type EntryName = Pick<IndexEntry, 'subject' | 'tag'>

/** The answer to a commit: its result, or the index entry without which nothing was written. */
export type CommitAnswer =
  | { readonly result: CommitResult, readonly obsoleteEntry?: EntryName | undefined }
  | { readonly missingEntry: { readonly subject: string, readonly timeLeft: number | null } }

/*
 * KEYS: the session's hash, then that of the session that it becomes, then the hash of the data of each: these only for a
 * session that outlives its data, since a cluster refuses two keys, of which one does not exist, while their slot moves. A script
 * that lacks them has no effect and answers with an error (`lacksData`). A hash, and its expiry, are gone with its last field.
 * Changes of a watched session are published on a channel that has the name of its key.
 */

/** ARGV: description, milliseconds to live or '-', '1' for a session that outlives its data, then keys and texts. */
function recordArgs (record: SessionRecord, entry: IndexEntry | undefined): string[] {
  const args = [formatDescription(record, entry, newNonce()), record.expiresAt === null ? '-' : timeLeft(record.expiresAt), record.deleteSession ? '0' : '1']
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

/** ARGV: the successor, then as of `createScript`. Answers 1 and the index entry of the old session. */
export const regenerateScript = script('', `${luaFormat}${luaSuccessor}${luaAccess}
if redis.call('EXISTS', KEYS[2]) == 1 then return { isWriteOf(redis.call('HGET', KEYS[2], ''), ARGV[2]) and 1 or 0 } end
local old = redis.pcall('HGET', KEYS[1], '')
if type(old) ~= 'string' then old = '' end
local ${luaParts} = parse(old)
if outlivesData and not KEYS[3] then return lacksData end
local data = ARGV[4] == '1' and KEYS[4] or KEYS[2]
check('HSET', KEYS[1], '', '')
check('PEXPIRE', KEYS[1], 1)
if not successorIn(old) then
  redis.call('UNLINK', KEYS[1], KEYS[3] or KEYS[1])
  redis.call('HSET', KEYS[1], '', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ${successorLife})
  if watched then publish('["ended"]') end
end
redis.call('HSET', KEYS[2], '', dated(ARGV[2]))
for i = 5, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[3] ~= '-' then redis.call('PEXPIRE', data, ARGV[3]) end
return { 1, subject or '', entryTag or '' }
`, (successor: Successor, record: SessionRecord, entry: IndexEntry | undefined) => [formatSuccessor(successor), ...recordArgs(record, entry)],
([created, subject, tag]: [Int, string?, string?]) => ({ created: Number(created) === 1, oldEntry: entryName(subject, tag) }))

/** Writes a session in the place of another, whose index entry it answers with. */
export const replaceScript = script('', `${luaFormat}${luaAccess}
local old = redis.call('HGET', KEYS[1], '')
local oldSubject, oldTag, wasWatched, oldOutlivesData
if old then
  local ${luaParts} = parse(old)
  oldSubject, oldTag, wasWatched, oldOutlivesData = subject, entryTag, watched, outlivesData
end
if oldOutlivesData and not KEYS[2] then return lacksData end
local ${luaParts} = parse(dated(ARGV[1]))
watched = wasWatched
local message, told = watched and { 'changed', expiresAt }, { [''] = true }
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
if message then publish(cjson.encode(message)) end
return { oldSubject or '', oldTag or '' }
`, recordArgs, ([subject, tag]: string[]) => entryName(subject, tag))

/** The first argument of a commit, as JSON. A part that is absent changes nothing. */
interface CommitHeader {
  /** `-`: never. */
  expiresAt?: string | undefined
  /** Milliseconds until `expiresAt`. */
  timeLeft?: string | undefined
  ttl?: string | undefined
  dataSince?: string | undefined
  clear?: true | undefined
  /** '': no subject from now on. */
  subject?: string | undefined
  generation?: string | undefined
  /** The successor that the old id leads to, if this is a renewal. */
  renewed?: string | undefined
  /** Given where the commit would come out otherwise if it was applied twice. */
  nonce?: string | undefined
  /** The index entry that was made for this commit. */
  entry?: IndexEntry | undefined
  /** The lengths of the lists that follow: keys and texts ('': absent), keys, keys and texts, keys and numbers. */
  expect?: number | undefined
  remove?: number | undefined
  set?: number | undefined
  increment?: number | undefined
}

function commitArgs (change: SessionChange, entry: IndexEntry | undefined, newId: string | undefined, nonce: string | undefined): string[] {
  const { expiresAt, ttl, dataSince, clear, subject, generation, expect, remove, set, increment } = change
  const header: CommitHeader = {
    expiresAt: expiresAt === undefined ? undefined : String(expiresAt ?? '-'),
    timeLeft: typeof expiresAt === 'number' ? timeLeft(expiresAt) : undefined,
    ttl: ttl === undefined ? undefined : formatSeconds(ttl),
    dataSince: dataSince === undefined ? undefined : String(dataSince),
    clear: clear || undefined,
    subject: subject === undefined ? undefined : encodeText(subject ?? undefined),
    generation: generation ? encodeText(generation) : undefined,
    renewed: newId === undefined ? undefined : formatSuccessor({ how: 'renewed', successor: newId }),
    nonce,
    entry,
    expect: expect.size || undefined,
    remove: remove.length || undefined,
    set: set.size || undefined,
    increment: increment.size || undefined,
  }
  const args = [JSON.stringify(header)]
  for (const [key, text] of expect) args.push(key, text ?? '')
  for (const key of remove) args.push(key)
  for (const [key, text] of set) args.push(key, text)
  for (const [key, by] of increment) args.push(key, String(by))
  return args
}

const committed = Object.freeze({ result: Object.freeze({ status: 'committed', increments: Object.freeze([]) }) })

/** A status and what belongs to it; 1 for a commit without increments. */
type CommitReply = Int | [status: string, ...string[]] | ['obsolete', reply: [status: string, ...string[]], subject: string, tag: string]

function readCommit (reply: CommitReply, change: SessionChange): CommitAnswer {
  if (!Array.isArray(reply)) return committed
  const [status, first = '', second = '', third = ''] = reply
  if (Array.isArray(first)) return { ...readCommit(first, change), obsoleteEntry: { subject: second, tag: third } }
  switch (status) {
    case 'committed': return { result: { status, increments: reply.slice(1).map(Number) } }
    case 'missing': return { result: { status } }
    case 'moved': return { result: { status, how: first as Successor['how'], successor: second } }
    case 'conflict': return { result: { status, current: new Map([...change.expect.keys()].map((key, i) => [key, reply[i + 1] as string || undefined])) } }
    case 'not-a-number': return { result: { status, key: first } }
    case 'index': return { missingEntry: { subject: first, timeLeft: second === '-' ? null : Number(second) } }
    default: throw new RecordError('its description is damaged, or of another version')
  }
}

/**
 * Applies a change, and renews if the change has a successor.
 *
 * 'index', subject, milliseconds: nothing was written, since the session needs an entry in the index of this subject that lasts
 * for so long. 'obsolete', reply, subject, tag: the reply counts, and this index entry can be removed.
 */
export const commitScript = script('', `${luaFormat}${luaSuccessor}${luaRecent}${luaAccess}
local description = redis.call('HGET', KEYS[1], '')
if not description then return { 'missing' } end
local ${luaParts} = parse(description)
local change = cjson.decode(ARGV[1])
if not createdAt then
  local how, successor = successorIn(description)
  if how and description == change.renewed then
    local ${luaParts} = parse(redis.call('HGET', KEYS[2], '') or '')
    return answerAgain(recent or '', change.nonce) or 1
  end
  return how and { 'moved', how, successor } or { 'damaged' }
end
if change.generation and change.generation ~= generation then return { 'missing' } end
local answer = answerAgain(recent, change.nonce)
if answer then return answer end

local newKey = change.renewed and KEYS[2]
if outlivesData and not KEYS[newKey and 3 or 2] then return lacksData end
local data = outlivesData and KEYS[newKey and 3 or 2] or KEYS[1]
local at = 1
local function take ()
  at = at + 1
  return ARGV[at]
end

if change.expect then
  local conflict = { 'conflict' }
  local holds = true
  for i = 1, change.expect do
    local key, expected = take(), take()
    local text = redis.call('HGET', data, key) or ''
    if text ~= expected then holds = false end
    conflict[i + 1] = text
  end
  if not holds then return conflict end
end

local removed, written, sums = {}, {}, { 'committed' }
for i = 1, change.remove or 0 do removed[i] = take() end
for i = 1, (change.set or 0) * 2 do written[i] = take() end
for i = 1, change.increment or 0 do
  local key, by = take(), tonumber(take())
  local text = not change.clear and redis.call('HGET', data, key) or '0'
  local sum = string.match(text, '^%-?%d+$') and tonumber(text) + by
  if not sum or sum > 9007199254740991 or sum < -9007199254740991 then return { 'not-a-number', key } end
  sums[i + 1] = string.format('%.0f', sum)
  written[#written + 1] = key
  written[#written + 1] = sums[i + 1]
end

local entry, oldSubject, oldTag = change.entry, subject, entryTag
subject = change.subject or subject
if subject == '' then
  entryTag, entryLastsUntil = '', ''
else
  local left = change.timeLeft and tonumber(change.timeLeft) or not change.expiresAt and redis.call('PTTL', KEYS[1]) or -1
  if outlivesData or left < 0 then left = '-' end
  local function lasts (time)
    return time == '-' or left ~= '-' and time ~= '' and tonumber(time) >= milliseconds() + left
  end
  if subject ~= oldSubject or newKey or not lasts(entryLastsUntil) then
    local entryTime = entry and timeAfter(entry.lasts)
    if not entry or entry.subject ~= subject or not lasts(entryTime) then return { 'index', subject, tostring(left) } end
    entryTag, entryLastsUntil = entry.tag, entryTime
  end
end

if change.nonce then
  check('TIME')
  recent = remember(recent, change.nonce, sums)
end
-- Data that was empty had no expiry. The expiry of data whose last field goes is set again for the fields that follow.
local timeLeft = outlivesData and redis.call('PTTL', data)
local wasEmpty = timeLeft == -2
local cleared = change.clear and redis.call('HKEYS', data) or {}
check('HSET', data, '', '')
if change.clear or removed[1] then check('HDEL', data, '') end
if change.expiresAt or outlivesData then
  check('PEXPIRE', data, 1)
  check('PERSIST', data)
end
if newKey then
  check('RENAME', KEYS[1], newKey)
  check('PEXPIRE', KEYS[1], 1)
end

expiresAt = change.expiresAt or wasEmpty and '-' or expiresAt
local message = watched and { 'changed', expiresAt }
local key, wasWatched = KEYS[1], watched
if newKey then
  redis.call('RENAME', key, newKey)
  if outlivesData and not wasEmpty then redis.call('RENAME', data, KEYS[4]) end
  redis.call('HSET', key, '', change.renewed)
  redis.call('PEXPIRE', key, ${successorLife})
  key, data = newKey, outlivesData and KEYS[4] or newKey
  watched = false
end
for _, key in ipairs(cleared) do
  if key ~= '' then
    redis.call('HDEL', data, key)
    if message then message[#message + 1] = key end
  end
end
for i = 1, #removed do redis.call('HDEL', data, removed[i]) end
for i = 1, #written, 2 do redis.call('HSET', data, written[i], written[i + 1]) end
if message then
  for i = 1, #removed do message[#message + 1] = removed[i] end
  for i = 1, #written, 2 do message[#message + 1] = written[i] end
end
local begins = outlivesData and (wasEmpty or change.clear) and change.dataSince
if change.nonce or change.expiresAt or change.ttl or begins or wasEmpty or entryTag ~= oldTag or watched ~= wasWatched then
  ttl = change.ttl or ttl
  dataSince = begins or dataSince
  redis.call('HSET', key, '', format(${luaParts}))
end
if change.expiresAt == '-' then
  redis.call('PERSIST', data)
elseif change.expiresAt then
  redis.call('PEXPIRE', data, change.timeLeft)
elseif timeLeft and timeLeft >= 0 then
  redis.call('PEXPIRE', data, timeLeft)
end
if message then publish(cjson.encode(message)) end
if newKey and wasWatched then publish('["renewed"]') end

if entryTag ~= oldTag then
  if oldTag ~= '' then return { 'obsolete', sums, oldSubject, oldTag } end
elseif entry and entry.tag ~= entryTag then
  return { 'obsolete', sums, entry.subject, entry.tag }
end
return sums[2] and sums or 1
`, commitArgs, readCommit)

/** Ends a session, also a damaged one, or answers with its successor. A full Redis runs it: it frees memory. ARGV: the generation that it must have, '' for any. */
export const endScript = script('allow-oom', `${luaFormat}${luaSuccessor}${luaAccess}
local description = redis.pcall('HGET', KEYS[1], '')
if type(description) ~= 'string' then description = '' end
local how, successor = successorIn(description)
if how then return { -1, how, successor } end
local ${luaParts} = parse(description)
if ARGV[1] ~= '' and ARGV[1] ~= generation or redis.call('EXISTS', KEYS[1]) == 0 then return { 0 } end
if (outlivesData or not createdAt) and not KEYS[2] then return lacksData end
local ended = redis.call('UNLINK', unpack(KEYS))
if watched then publish('["ended"]') end
return { ended, subject or '', entryTag or '' }
`, (generation: string | undefined) => [encodeText(generation)], ([ended, first, second]: [Int, string?, string?]) => ({
  ended: Number(ended) < 0 ? { how: first, successor: second } as Successor : Number(ended) > 0,
  entry: Number(ended) < 0 ? undefined : entryName(first, second),
}))

/** Has all changes of a session published from now on, if there is one. */
export const watchScript = script('', `${luaFormat}
local description = redis.call('HGET', KEYS[1], '')
local ${luaParts} = parse(description or '')
if not createdAt then return 0 end
if not watched then
  watched = true
  redis.call('HSET', KEYS[1], '', format(${luaParts}))
end
return 1
`, () => [], (exists: Int) => Number(exists) === 1)

function entryName (subject: string | undefined, tag: string | undefined): EntryName | undefined {
  return subject && tag ? { subject, tag } : undefined
}

/** The milliseconds until a time: Redis is given a difference, so that its clock need not agree with ours. */
function timeLeft (expiresAt: number): string {
  return String(Math.max(1, expiresAt - Date.now()))
}
