import type { Redis } from 'ioredis'

const script = `
local cursor = '0'
repeat
  local answer = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = answer[1]
  for _, key in ipairs(answer[2]) do
    local left = redis.call('PTTL', key)
    if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[2])) end
  end
until cursor == '0'
`

/** Makes this many milliseconds pass for a real Redis: each key has that much less left, or is expired. */
export async function passTime (nodes: readonly Redis[], prefix: string, ms: number): Promise<void> {
  await Promise.all(nodes.map((node) => node.eval(script, 0, `${prefix}*`, Math.ceil(ms))))
}
