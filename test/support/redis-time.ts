import type { Redis } from 'ioredis'

const script = `
local function earlier (time)
  return string.format('%013.0f', math.max(0, time - ARGV[2]))
end
local function ageIndex (key)
  local members = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do
    local id, time, random = string.match(members[i], '^(.*)(%d%d%d%d%d%d%d%d%d%d%d%d%d)(....)$')
    redis.call('ZADD', key, members[i + 1] == 'inf' and '+inf' or earlier(members[i + 1]), id .. earlier(time) .. random)
    redis.call('ZREM', key, members[i])
  end
end
local function ageEntry (key)
  local description = redis.pcall('HGET', key, '')
  if type(description) ~= 'string' then return end
  local start, time, random, lastsUntil, rest = string.match(description, '^(.* )(%d%d%d%d%d%d%d%d%d%d%d%d%d)(....) (%S+)( %S*)$')
  if not start then return end
  redis.call('HSET', key, '', start .. earlier(time) .. random .. ' ' .. (lastsUntil == '-' and '-' or earlier(lastsUntil)) .. rest)
end
local cursor = '0'
repeat
  local answer = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = answer[1]
  for _, key in ipairs(answer[2]) do
    local kind = redis.call('TYPE', key).ok
    if kind == 'zset' then ageIndex(key) elseif kind == 'hash' then ageEntry(key) end
    local left = redis.call('PTTL', key)
    if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[2])) end
  end
until cursor == '0'
`

/**
 * Makes this many milliseconds pass for a real Redis: each key has that much less left, or is expired, and the times that the
 * server itself has written, of index entries, are as much earlier.
 */
export async function passTime (nodes: readonly Redis[], prefix: string, ms: number): Promise<void> {
  await Promise.all(nodes.map((node) => node.eval(script, 0, `${prefix}*`, Math.ceil(ms))))
}
