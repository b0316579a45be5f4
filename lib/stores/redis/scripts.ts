import { createHash } from 'node:crypto'

/** A Lua script, and the hash that Redis knows it by. */
export interface Script {
  readonly text: string
  readonly sha: string
}

function script (text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/*
 * A session is a hash at KEYS[1]. Its field '' (no data key is empty) says what the session is
 * (redis-description.ts); the other fields are its data. A session that outlives its data has the data in a second
 * hash at KEYS[2], so that Redis expires it alone. That hash, and its expiry, are gone with its last field: `left` puts
 * the expiry back if others follow at once, and `emptied` says that there was no data, and so no expiry. What becomes
 * of a watched session is published on a channel that has the name of its key.
 *
 * The first line makes Redis 7 refuse a script as a whole, before its first write, when memory is full.
 */

const descriptionPattern = '^1 (%d+) (%S+) (%S+) (%S+) ([0-3]) (%S*) (%S*) (%S*) (%S*) (%S*)$'

/** KEYS: session, data. ARGV: description, milliseconds to live or '-', '1' for one that outlives its data, then keys and texts. */
export const createScript = script(`#!lua
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
redis.call('HSET', KEYS[1], '', ARGV[1])
for i = 4, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
return 1
`)

/**
 * Writes a session in the place of another. KEYS and ARGV as for creation.
 * Answers with the subject and tag of the one that was there.
 */
export const replaceScript = script(`#!lua
local old = redis.call('HGET', KEYS[1], '')
local flags, subject, tag
if old then flags, subject, tag = string.match(old, '^1 %d+ %S+ %S+ %S+ ([0-3]) %S* %S* (%S*) (%S*) %S*$') end
redis.call('UNLINK', KEYS[1], KEYS[2])
local description = ARGV[1]
local watched = flags and tonumber(flags) >= 2
if watched then
  local head, own, rest = string.match(description, '^(1 %d+ %S+ %S+ %S+ )([0-3])( .*)$')
  description = head .. string.format('%d', own + 2) .. rest
end
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
redis.call('HSET', KEYS[1], '', description)
local told = { 'changed', (string.match(description, '^1 %d+ (%S+)')) }
for i = 4, #ARGV, 2 do
  redis.call('HSET', data, ARGV[i], ARGV[i + 1])
  told[#told + 1] = ARGV[i]
end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
if watched then redis.call('PUBLISH', KEYS[1], cjson.encode(told)) end
return { subject or '', tag or '' }
`)

/**
 * KEYS: session, data, and for a renewal the new session, new data.
 * ARGV: first, in one text since each argument costs, with a space between them: expiresAt ('' as it is, '-' never),
 * milliseconds to live, ttl ('' as it is), '1' for clear, subject ('' as it is, '-' nobody, else '+' and the subject),
 * generation that the session must have ('' any), index entry that was made for this commit (tag, limit and subject,
 * '' for none), and the lengths of four lists. Then the lists: expected keys and texts ('' absent), removed keys, set
 * keys and texts, incremented keys and numbers.
 *
 * Answers with 1 for a plain commit, else with a status and what belongs to it. 'index', subject, expiry: make an entry in the index of this subject
 * that lasts until then, and come again; nothing was written. 'moved', answer, subject, tag: the answer counts, and this
 * entry of an index is of no use any more.
 */
export const commitScript = script(`#!lua
local description = redis.call('HGET', KEYS[1], '')
if not description then return { 'missing' } end
local created, expires, ttl, maxAge, flags, name, generation, subject, tag, limit = string.match(description, '${descriptionPattern}')
if not created then return { 'record', description } end
local toExpire, toLive, toTtl, clear, toSubject, required, entryTag, entryLimit, entrySubject, expects, removes, sets, increments =
  string.match(ARGV[1], '^${Array(13).fill('(%S*)').join(' ')}$')
if required ~= '' and required ~= generation then return { 'missing' } end

local session = KEYS[1]
local keep = flags == '1' or flags == '3'
local watched = flags == '2' or flags == '3'
local data = keep and KEYS[2] or KEYS[1]
clear = clear == '1'
local at = 1
local function take ()
  at = at + 1
  return ARGV[at]
end

local conflict = { 'conflict' }
local holds = true
for i = 1, tonumber(expects) do
  local key, expected = take(), take()
  local text = redis.call('HGET', data, key) or ''
  if text ~= expected then holds = false end
  conflict[i + 1] = text
end
if not holds then return conflict end

local removed, written, sums = {}, {}, { 'committed' }
for i = 1, tonumber(removes) do removed[i] = take() end
for i = 1, tonumber(sets) * 2 do written[i] = take() end
for i = 1, tonumber(increments) do
  local key, by = take(), tonumber(take())
  local text = not clear and redis.call('HGET', data, key) or '0'
  local sum = string.match(text, '^%-?%d+$') and tonumber(text) + by
  if not sum or sum > 9007199254740991 or sum < -9007199254740991 then return { 'not-a-number', key } end
  sums[i + 1] = string.format('%.0f', sum)
  written[#written + 1] = key
  written[#written + 1] = sums[i + 1]
end

local newSubject, newTag, newLimit = subject, tag, limit
if toSubject ~= '' then newSubject = toSubject == '-' and '' or string.sub(toSubject, 2) end
local needed = keep and '-' or toExpire ~= '' and toExpire or expires
local function lasts (limit)
  return limit == '-' or needed ~= '-' and limit ~= '' and tonumber(limit) >= tonumber(needed)
end
if newSubject == '' then
  newTag, newLimit = '', ''
elseif newSubject ~= subject or KEYS[3] or not lasts(limit) then
  if entrySubject ~= newSubject or not lasts(entryLimit) then return { 'index', newSubject, needed } end
  newTag, newLimit = entryTag, entryLimit
end

local left = keep and redis.call('PTTL', data)
local emptied = left == -2 and toExpire == ''
if toExpire ~= '' then expires = toExpire elseif emptied then expires = '-' end
local told = watched and { 'changed', expires }
if clear then
  for _, key in ipairs(redis.call('HKEYS', data)) do
    if key ~= '' then
      redis.call('HDEL', data, key)
      if told then told[#told + 1] = key end
    end
  end
end
for i = 1, #removed do redis.call('HDEL', data, removed[i]) end
for i = 1, #written, 2 do redis.call('HSET', data, written[i], written[i + 1]) end
if told then
  for i = 1, #removed do told[#told + 1] = removed[i] end
  for i = 1, #written, 2 do told[#told + 1] = written[i] end
  redis.call('PUBLISH', session, cjson.encode(told))
end
if KEYS[3] then
  redis.call('RENAME', session, KEYS[3])
  if keep and redis.call('EXISTS', data) == 1 then redis.call('RENAME', data, KEYS[4]) end
  session, data = KEYS[3], keep and KEYS[4] or KEYS[3]
  if watched then
    redis.call('PUBLISH', KEYS[1], '["renewed"]')
    flags = keep and '1' or '0'
  end
end
if toExpire ~= '' or toTtl ~= '' or emptied or newTag ~= tag or KEYS[3] and watched then
  if toTtl ~= '' then ttl = toTtl end
  redis.call('HSET', session, '', table.concat({ '1', created, expires, ttl, maxAge, flags, name, generation, newSubject, newTag, newLimit }, ' '))
end
if toExpire == '-' then
  redis.call('PERSIST', data)
elseif toExpire ~= '' then
  redis.call('PEXPIRE', data, toLive)
elseif left and left >= 0 then
  redis.call('PEXPIRE', data, left)
end
if newTag ~= tag then
  if tag ~= '' then return { 'moved', sums, subject, tag } end
elseif entryTag ~= '' then
  return { 'moved', sums, entrySubject, entryTag }
end
return sums[2] and sums or 1
`)

/**
 * KEYS: session, data. ARGV: generation that the session must have ('' any).
 * Answers with whether there was one, and the subject and tag that it had. A damaged one ends like any other. A full
 * Redis runs it: it frees memory.
 */
export const endScript = script(`#!lua flags=allow-oom
local description = redis.pcall('HGET', KEYS[1], '')
local flags, generation, subject, tag
if type(description) == 'string' then flags, generation, subject, tag = string.match(description, '^1 %d+ %S+ %S+ %S+ ([0-3]) %S* (%S*) (%S*) (%S*) %S*$') end
if ARGV[1] ~= '' and ARGV[1] ~= generation then return { 0 } end
local ended = redis.call('UNLINK', KEYS[1], KEYS[2])
if flags and tonumber(flags) >= 2 then redis.call('PUBLISH', KEYS[1], '["ended"]') end
return { ended, subject or '', tag or '' }
`)

/** KEYS: session, data. Answers with the description ('' if it is missing), and how many keys there are. */
export const describeScript = script(`#!lua flags=no-writes
local description = redis.call('HGET', KEYS[1], '')
if not description then return redis.call('EXISTS', KEYS[1]) == 1 and { '', 0 } or {} end
local keep = string.match(description, '^1 %d+ %S+ %S+ %S+ [13] ')
return { description, keep and redis.call('HLEN', KEYS[2]) or redis.call('HLEN', KEYS[1]) - 1 }
`)

/** KEYS: session. From now on it is published what becomes of the session. Whether there is one. */
export const watchScript = script(`#!lua
local description = redis.call('HGET', KEYS[1], '')
local head, flags, rest = string.match(description or '', '^(1 %d+ %S+ %S+ %S+ )([0-3])( .*)$')
if not head then return 0 end
if tonumber(flags) < 2 then redis.call('HSET', KEYS[1], '', head .. string.format('%d', flags + 2) .. rest) end
return 1
`)

/**
 * KEYS: index of a subject. ARGV: member, milliseconds that it lasts or '-'.
 * Adds an entry, and removes what is past, by the clock of this server alone. The index goes with its last entry.
 */
export const indexScript = script(`#!lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], ARGV[2] == '-' and '+inf' or string.format('%.0f', now + ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last == 'inf' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
end
return 1
`)
