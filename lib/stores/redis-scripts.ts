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
 * A session is a hash at KEYS[1]. Its field '' (no data key is empty) says what the session is, as
 *   version createdAt expiresAt ttl keep name
 * with times in milliseconds since the epoch, `-` for never and `=` for "the route's or the plugin's". The other
 * fields are its data. A session that outlives its data (keep is 1) has the data in a second hash at KEYS[2], so
 * that Redis expires it alone. That hash, and its expiry, are gone with its last field: `left` puts the expiry back
 * if others follow at once, and `emptied` says that there was no data, and so no expiry.
 *
 * The first line makes Redis 7 refuse a script as a whole, before its first write, when memory is full.
 */

/** KEYS: session, data. ARGV: description, milliseconds to live or '-', data key, '1' for keep, then keys and texts. */
export const createScript = script(`#!lua
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local data = ARGV[3] == '1' and KEYS[2] or KEYS[1]
redis.call('HSET', KEYS[1], '', ARGV[1])
for i = 4, #ARGV, 2 do redis.call('HSET', data, ARGV[i], ARGV[i + 1]) end
if ARGV[2] ~= '-' then redis.call('PEXPIRE', data, ARGV[2]) end
return 1
`)

/**
 * KEYS: session, data, and for a renewal the new session, new data.
 * ARGV: expiresAt ('' as it is, '-' never), milliseconds to live, ttl ('' as it is), '1' for clear, then four lists,
 * each behind its length: expected keys and texts ('' absent), removed keys, set keys and texts, incremented keys
 * and numbers.
 * Answers with a status and what belongs to it.
 */
export const commitScript = script(`#!lua
local description = redis.call('HGET', KEYS[1], '')
if not description then return { 'missing' } end
local created, expires, ttl, keep, name = string.match(description, '^1 (%d+) (%S+) (%S+) ([01]) (.*)$')
if not created then return { 'record', description } end

local session = KEYS[1]
local data = keep == '1' and KEYS[2] or KEYS[1]
local clear = ARGV[4] == '1'
local at = 4
local function take ()
  at = at + 1
  return ARGV[at]
end

local conflict = { 'conflict' }
local holds = true
for i = 1, tonumber(take()) do
  local key, expected = take(), take()
  local text = redis.call('HGET', data, key) or ''
  if text ~= expected then holds = false end
  conflict[i + 1] = text
end
if not holds then return conflict end

local removed, written, sums = {}, {}, { 'committed' }
for i = 1, tonumber(take()) do removed[i] = take() end
for i = 1, tonumber(take()) * 2 do written[i] = take() end
for i = 1, tonumber(take()) do
  local key, by = take(), tonumber(take())
  local text = not clear and redis.call('HGET', data, key) or '0'
  local sum = string.match(text, '^%-?%d+$') and tonumber(text) + by
  if not sum or sum > 9007199254740991 or sum < -9007199254740991 then return { 'not-a-number', key } end
  sums[i + 1] = string.format('%.0f', sum)
  written[#written + 1] = key
  written[#written + 1] = sums[i + 1]
end

if KEYS[3] then
  redis.call('RENAME', session, KEYS[3])
  if keep == '1' and redis.call('EXISTS', data) == 1 then redis.call('RENAME', data, KEYS[4]) end
  session, data = KEYS[3], keep == '1' and KEYS[4] or KEYS[3]
end
local left = keep == '1' and redis.call('PTTL', data)
if clear then
  for _, key in ipairs(redis.call('HKEYS', data)) do
    if key ~= '' then redis.call('HDEL', data, key) end
  end
end
for i = 1, #removed do redis.call('HDEL', data, removed[i]) end
for i = 1, #written, 2 do redis.call('HSET', data, written[i], written[i + 1]) end
local emptied = left == -2 and ARGV[1] == ''
if ARGV[1] ~= '' or ARGV[3] ~= '' or emptied then
  if ARGV[1] ~= '' then expires = ARGV[1] elseif emptied then expires = '-' end
  if ARGV[3] ~= '' then ttl = ARGV[3] end
  redis.call('HSET', session, '', table.concat({ '1', created, expires, ttl, keep, name }, ' '))
end
if ARGV[1] == '-' then
  redis.call('PERSIST', data)
elseif ARGV[1] ~= '' then
  redis.call('PEXPIRE', data, ARGV[2])
elseif left and left >= 0 then
  redis.call('PEXPIRE', data, left)
end
return sums
`)
