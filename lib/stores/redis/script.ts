import { createHash } from 'node:crypto'

/** The effect of a command or script: after a write without a reply the outcome is unknown. */
export type Effect = 'read' | 'write'

/** An integer in a reply: a string with the client's option `stringNumbers`. */
export type Int = number | string

/** A Lua script, with the builder of its arguments (ARGV) and the reader of its reply. */
export interface Script<Args extends unknown[], Reply, Result> {
  readonly text: string
  /** The hash by which Redis knows the text. */
  readonly sha: string
  readonly effect: Effect
  args (...args: Args): string[]
  read (reply: Reply, ...args: Args): Result
}

/**
 * Makes a script of a body in Lua.
 *
 * @param flags as in Redis's `#!lua flags=…`. The line itself makes Redis refuse a script as a whole, before its first write, when
 * memory is full.
 */
export function script<Args extends unknown[], Reply, Result> (
  flags: '' | 'no-writes' | 'allow-oom',
  body: string,
  args: (...args: Args) => string[],
  read: (reply: Reply, ...args: Args) => Result
): Script<Args, Reply, Result> {
  const text = `#!lua${flags && ` flags=${flags}`}${body}`
  return { text, sha: createHash('sha1').update(text).digest('hex'), effect: flags === 'no-writes' ? 'read' : 'write', args, read }
}

/** The Lua function that returns the server's time, in milliseconds since the epoch. */
export const luaClock = `
local function milliseconds ()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`

/** The Lua function that adds to a number in JSON; `nil` if it is not a number, or the sum is not a safe integer of JavaScript. */
export const luaPlus = `
local function plus (text, by)
  local sum = string.match(text, '^%-?%d+$') and tonumber(text) + tonumber(by)
  return sum and sum <= 9007199254740991 and sum >= -9007199254740991 and string.format('%.0f', sum)
end
`

/**
 * Lua functions of all scripts that write. Redis does not undo the writes of a script that fails later: each command that the
 * user of the connection might not be allowed to run is checked before the first write, and a message that cannot be
 * published is dropped.
 */
export const luaAccess = `
local function check (command, ...)
  if not redis.acl_check_cmd(command, ...) then error({ err = 'NOPERM this Redis user may not run ' .. command }) end
end
local function publish (feed, message)
  redis.pcall('PUBLISH', KEYS[1] .. ':' .. feed, message)
end
`
