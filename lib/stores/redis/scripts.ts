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
  | { readonly missingEntry: { readonly subject: string, readonly expiresAt: number | null } }

/*
 * KEYS: the session's hash, and the hash of its data if it outlives that. A hash, and its expiry, are gone with its last
 * field. Changes of a watched session are published on a channel of its key and the random id of its feed: channels know no databases.
 */

/** ARGV: description, milliseconds to live or '-', '1' for a session that outlives its data, then keys and texts. */
function recordArgs (record: SessionRecord, entry: IndexEntry | undefined): string[] {
  const args = [formatDescription(record, entry, newNonce()), record.expiresAt === null ? '-' : timeLeft(record.expiresAt), record.deleteSession ? '0' : '1']
  for (const [key, text] of record.fields) args.push(key, text)
  return args
}

/** Writes a session, unless the id is taken by another. */
export const createScript = script('', `${luaAccess}
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HGET', KEYS[1], '') == ARGV[1] and 1 or 0 end
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
if ARGV[2] ~= '-' then check('PEXPIRE', data, ARGV[2]) end
redis.call('HSET', KEYS[1], '', ARGV[1])
for i = 4, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
return 1
`, recordArgs, (created: Int) => Number(created) === 1)

/** KEYS: the old hashes, the new hashes. ARGV: the successor, then as of `createScript`. Answers 1 and the index entry of the old session. */
export const regenerateScript = script('', `${luaFormat}${luaSuccessor}${luaAccess}
if redis.call('EXISTS', KEYS[3]) == 1 then return { redis.call('HGET', KEYS[3], '') == ARGV[2] and 1 or 0 } end
local old = redis.pcall('HGET', KEYS[1], '')
if type(old) ~= 'string' then old = '' end
local ${luaParts} = parse(old)
local data = ARGV[4] == '1' and KEYS[4] or KEYS[3]
check('HSET', KEYS[1], '', '')
check('PEXPIRE', KEYS[1], 1)
if not successorIn(old) then
  redis.call('UNLINK', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], '', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ${successorLife})
  if feed then publish(feed, '["ended"]') end
end
redis.call('HSET', KEYS[3], '', ARGV[2])
for i = 5, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[3] ~= '-' then redis.call('PEXPIRE', data, ARGV[3]) end
return { 1, subject or '', entryTag or '' }
`, (successor: Successor, record: SessionRecord, entry: IndexEntry | undefined) => [formatSuccessor(successor), ...recordArgs(record, entry)],
([created, subject, tag]: [Int, string?, string?]) => ({ created: Number(created) === 1, oldEntry: entryName(subject, tag) }))

/** Writes a session in the place of another, whose index entry it answers with. */
export const replaceScript = script('', `${luaFormat}${luaAccess}
local old = redis.call('HGET', KEYS[1], '')
local oldSubject, oldTag, oldFeed
if old then
  local ${luaParts} = parse(old)
  oldSubject, oldTag, oldFeed = subject, entryTag, feed
end
local ${luaParts} = parse(ARGV[1])
feed = oldFeed
local message, told = feed and { 'changed', (ARGV[3] == '0' or ARGV[4]) and ARGV[2] or '-' }, { [''] = true }
if message then
  for i = 1, 2 do
    for _, key in ipairs(redis.call('HKEYS', KEYS[i])) do
      if not told[key] then message[#message + 1] = key end
      told[key] = true
    end
  end
end
check('HSET', KEYS[1], '', '')
check('PEXPIRE', KEYS[1], 1)
redis.call('UNLINK', KEYS[1], KEYS[2])
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
    case 'index': return { missingEntry: { subject: first, expiresAt: second === '-' ? null : Number(second) } }
    default: throw new RecordError('its description is damaged, or of another version')
  }
}

/**
 * Applies a change, and renews if KEYS has four keys: also the new session's and its data's.
 *
 * 'index', subject, time: nothing was written, since the session needs an entry in the index of this subject that lasts
 * until then. 'obsolete', reply, subject, tag: the reply counts, and this index entry can be removed.
 */
export const commitScript = script('', `${luaFormat}${luaSuccessor}${luaRecent}${luaAccess}
local description = redis.call('HGET', KEYS[1], '')
if not description then return { 'missing' } end
local ${luaParts} = parse(description)
local change = cjson.decode(ARGV[1])
if not createdAt then
  local how, successor = successorIn(description)
  if how and description == change.renewed then
    local ${luaParts} = parse(redis.call('HGET', KEYS[3], '') or '')
    return answerAgain(recent or '', change.nonce) or 1
  end
  return how and { 'moved', how, successor } or { 'damaged' }
end
if change.generation and change.generation ~= generation then return { 'missing' } end
local answer = answerAgain(recent, change.nonce)
if answer then return answer end

local data = outlivesData and KEYS[2] or KEYS[1]
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
local needed = outlivesData and '-' or change.expiresAt or expiresAt
local function lasts (time)
  return time == '-' or needed ~= '-' and time ~= '' and tonumber(time) >= tonumber(needed)
end
subject = change.subject or subject
if subject == '' then
  entryTag, entryLastsUntil = '', ''
elseif subject ~= oldSubject or KEYS[3] or not lasts(entryLastsUntil) then
  if not entry or entry.subject ~= subject or not lasts(entry.lastsUntil) then return { 'index', subject, needed } end
  entryTag, entryLastsUntil = entry.tag, entry.lastsUntil
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
if KEYS[3] then
  check('RENAME', KEYS[1], KEYS[3])
  check('PEXPIRE', KEYS[1], 1)
end

expiresAt = change.expiresAt or wasEmpty and '-' or expiresAt
local message = feed and { 'changed', change.timeLeft or (change.expiresAt or wasEmpty) and '-' or '=' }
local key, oldFeed = KEYS[1], feed
if KEYS[3] then
  redis.call('RENAME', key, KEYS[3])
  if outlivesData and not wasEmpty then redis.call('RENAME', data, KEYS[4]) end
  redis.call('HSET', key, '', change.renewed)
  redis.call('PEXPIRE', key, ${successorLife})
  key, data = KEYS[3], outlivesData and KEYS[4] or KEYS[3]
  feed = false
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
if change.nonce or change.expiresAt or change.ttl or begins or wasEmpty or entryTag ~= oldTag or feed ~= oldFeed then
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
if message then
  if outlivesData and redis.call('EXISTS', data) == 0 then message[2] = '-' end
  publish(oldFeed, cjson.encode(message))
  if KEYS[3] then publish(oldFeed, '["renewed"]') end
end

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
if ARGV[1] ~= '' and ARGV[1] ~= generation then return { 0 } end
local ended = redis.call('UNLINK', KEYS[1], KEYS[2])
if feed then publish(feed, '["ended"]') end
return { ended, subject or '', entryTag or '' }
`, (generation: string | undefined) => [encodeText(generation)], ([ended, first, second]: [Int, string?, string?]) => ({
  ended: Number(ended) < 0 ? { how: first, successor: second } as Successor : Number(ended) > 0,
  entry: Number(ended) < 0 ? undefined : entryName(first, second),
}))

/** Answers with the description, '' if it is missing, the number of data keys, and the milliseconds that the data have left or -1. */
export const describeScript = script('no-writes', `${luaFormat}${luaSuccessor}
local description = redis.call('HGET', KEYS[1], '')
if not description then return redis.call('EXISTS', KEYS[1]) == 1 and { '', 0 } or {} end
if successorIn(description) then return {} end
local ${luaParts} = parse(description)
local data = outlivesData and KEYS[2] or KEYS[1]
return { description, redis.call('HLEN', data) - (outlivesData and 0 or 1), redis.call('PTTL', data) }
`, () => [], ([description, size, left]: [string?, Int?, Int?]) =>
  description === undefined ? undefined : { description, size: Number(size), timeLeft: Number(left) < 0 ? null : Number(left) })

/** Has all changes of a session published from now on, and answers with the id of its feed: the given one, if it has none. '': there is no session. */
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

function entryName (subject: string | undefined, tag: string | undefined): EntryName | undefined {
  return subject && tag ? { subject, tag } : undefined
}

/** The milliseconds until a time: Redis is given a difference, so that its clock need not agree with ours. */
function timeLeft (expiresAt: number): string {
  return String(Math.max(1, expiresAt - Date.now()))
}
