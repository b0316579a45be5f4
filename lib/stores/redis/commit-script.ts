import { RecordError } from '../../errors.js'
import { successorLife } from '../contract-helpers.js'
import type { CommitResult, SessionChange, Successor } from '../store.js'
import { luaAccess, luaPlus, script, type Int } from './script.js'
import { encodeText, formatDataVersion, formatSeconds, formatSuccessor, formatTimeLeft, luaFormat, luaParts, luaRecent, luaSuccessor, type EntryName, type IndexEntry } from './record-format.js'

/** The answer to a commit: its result, or the missing index entry because of which nothing was written. */
export type CommitAnswer =
  | { readonly result: CommitResult, readonly obsoleteEntry?: EntryName | undefined }
  | { readonly missingEntry: { readonly subject: string, readonly timeLeft: number | null, readonly isNew: boolean } }

/** The first argument of a commit, as JSON. Absent parts change nothing. */
interface CommitHeader {
  /** `-`: never. */
  expiresAt?: string | undefined
  /** Milliseconds until `expiresAt`. */
  timeLeft?: string | undefined
  usedAt?: string | undefined
  ttl?: string | undefined
  dataSince?: string | undefined
  clear?: true | undefined
  /** '': no label from now on. */
  label?: string | undefined
  /** '': no subject from now on. */
  subject?: string | undefined
  generation?: string | undefined
  expectSubject?: string | undefined
  /** '': none. */
  expectVersion?: string | undefined
  /** '': none from now on. */
  dataVersion?: string | undefined
  /** The successor that the old id leads to, if this is a renewal. */
  renewed?: string | undefined
  /** Present if a second application would change the result. */
  nonce?: string | undefined
  /** The index entry of this commit. */
  entry?: IndexEntry | undefined
  /** The lengths of the lists that follow: keys and texts ('': absent), keys, keys and texts, keys and numbers. */
  expect?: number | undefined
  remove?: number | undefined
  set?: number | undefined
  increment?: number | undefined
}

function commitArgs (change: SessionChange, entry: IndexEntry | undefined, newId: string | undefined, nonce: string | undefined): string[] {
  const { expiresAt, usedAt, ttl, dataSince, clear, label, subject, generation, expectSubject, expectVersion, dataVersion, expect, remove, set, increment } = change
  const header: CommitHeader = {
    expiresAt: expiresAt === undefined ? undefined : String(expiresAt ?? '-'),
    timeLeft: typeof expiresAt === 'number' ? formatTimeLeft(expiresAt) : undefined,
    usedAt: usedAt === undefined ? undefined : String(usedAt),
    ttl: ttl === undefined ? undefined : formatSeconds(ttl),
    dataSince: dataSince === undefined ? undefined : String(dataSince),
    clear: clear || undefined,
    label: label === undefined ? undefined : encodeText(label ?? undefined),
    subject: subject === undefined ? undefined : encodeText(subject ?? undefined),
    generation: generation ? encodeText(generation) : undefined,
    expectSubject: expectSubject === undefined ? undefined : encodeText(expectSubject),
    expectVersion: expectVersion === undefined ? undefined : formatDataVersion(expectVersion),
    dataVersion: dataVersion === undefined ? undefined : formatDataVersion(dataVersion),
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

const committed: CommitResult = Object.freeze({ status: 'committed', increments: Object.freeze([]) })

/** A status and its details; 1 for a commit without increments. */
export type ResultReply = Int | [status: string, ...string[]]

type CommitReply = ResultReply | ['obsolete', reply: [status: string, ...string[]], subject: string, tag: string]

function readCommit (reply: CommitReply, change: SessionChange): CommitAnswer {
  if (!Array.isArray(reply)) return { result: committed }
  const [status, first = '', second = '', third = ''] = reply
  if (Array.isArray(first)) return { result: readResult(first, change), obsoleteEntry: { subject: second, tag: third } }
  if (status === 'index') return { missingEntry: { subject: first, timeLeft: second === '-' ? null : Number(second), isNew: third !== '' } }
  return { result: readResult(reply as ResultReply, change) }
}

export function readResult (reply: ResultReply, change: SessionChange): CommitResult {
  if (!Array.isArray(reply)) return committed
  const [status, first = '', second = ''] = reply
  switch (status) {
    case 'committed': return { status, increments: reply.slice(1).map(Number) }
    case 'missing': return { status }
    case 'moved': return { status, how: first as Successor['how'], successor: second }
    case 'conflict': return { status, current: new Map([...change.expect.keys()].map((key, i) => [key, reply[i + 1] || undefined])) }
    case 'not-a-number': return { status, key: first }
    default: throw new RecordError('its description is damaged, or of another version')
  }
}

/**
 * Applies a change, and renews if the change has a successor.
 *
 * 'index', subject, milliseconds, 'new' or '': nothing was written, since the session needs an entry in the index of this subject, which it may
 * not have had before, that lasts for so long. 'obsolete', reply, subject, tag: the reply is valid, and this index entry can be removed.
 */
export const commitScript = script('', `${luaFormat}${luaSuccessor}${luaRecent}${luaPlus}${luaAccess}
local description = redis.call('HGET', KEYS[1], '')
if not description then return { 'missing' } end
local ${luaParts} = parse(description)
local change = cjson.decode(ARGV[1])
if not createdAt then
  local how, successor = successorIn(description)
  if how and description == change.renewed then
    local ${luaParts} = parse(redis.call('HGET', KEYS[2], '') or '')
    return change.nonce and answerAgain(recent or '', change.nonce) or 1
  end
  return how and { 'moved', how, successor } or { 'damaged' }
end
if change.generation and change.generation ~= generation then return { 'missing' } end
local answer = change.nonce and answerAgain(recent, change.nonce)
if answer then return answer end
if change.expectSubject and change.expectSubject ~= subject then return { 'missing' } end

local newKey = change.renewed and KEYS[2]
local dataKey = KEYS[newKey and 3 or 2]
if outlivesData and not dataKey then return lacksData end
local data = outlivesData and dataKey or KEYS[1]
local at = 1
local function take ()
  at = at + 1
  return ARGV[at]
end

if change.expect or change.expectVersion then
  local conflict, present = { 'conflict' }, outlivesData and 0 or 1
  local holds = not change.expectVersion or change.expectVersion == dataVersion
  for i = 1, change.expect or 0 do
    local key, expected = take(), take()
    local text = redis.call('HGET', data, key) or ''
    if text ~= expected then holds = false end
    if text ~= '' then present = present + 1 end
    conflict[i + 1] = text
  end
  if change.dataVersion and not change.clear and redis.call('HLEN', data) ~= present then holds = false end
  if not holds then return conflict end
end

local removed, written, sums = {}, {}, { 'committed' }
for i = 1, change.remove or 0 do removed[i] = take() end
for i = 1, (change.set or 0) * 2 do written[i] = take() end
for i = 1, change.increment or 0 do
  local key, by = take(), take()
  local sum = plus(not change.clear and redis.call('HGET', data, key) or '0', by)
  if not sum then return { 'not-a-number', key } end
  sums[i + 1] = sum
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
    if not entry or entry.subject ~= subject or not lasts(entryTime) then return { 'index', subject, tostring(left), subject ~= oldSubject and 'new' or '' } end
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
local message = feed and { 'changed', change.timeLeft or (change.expiresAt or wasEmpty) and '-' or '=' }
local key, oldFeed = KEYS[1], feed
if newKey then
  redis.call('RENAME', key, newKey)
  if outlivesData and not wasEmpty then redis.call('RENAME', data, KEYS[4]) end
  redis.call('HSET', key, '', change.renewed)
  redis.call('PEXPIRE', key, ${successorLife})
  key, data = newKey, outlivesData and KEYS[4] or newKey
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
if change.nonce or change.expiresAt or change.usedAt or change.ttl or change.label or change.dataVersion or begins or wasEmpty or entryTag ~= oldTag or feed ~= oldFeed then
  ttl = change.ttl or ttl
  usedAt = change.usedAt or usedAt
  label = change.label or label
  dataVersion = change.dataVersion or dataVersion
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
  if newKey then publish(oldFeed, '["renewed"]') end
end

if entryTag ~= oldTag then
  if oldTag ~= '' then return { 'obsolete', sums, oldSubject, oldTag } end
elseif entry and entry.tag ~= entryTag then
  return { 'obsolete', sums, entry.subject, entry.tag }
end
return sums[2] and sums or 1
`, commitArgs, readCommit)
