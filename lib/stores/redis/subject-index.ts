import { randomBytes } from 'node:crypto'
import type { RedisCommands } from './commands.js'
import { luaAccess, luaClock, script } from './script.js'
import { formatTime, type EntryName, type IndexEntry } from './record-format.js'

/** Minimum milliseconds by which an entry outlasts its session. */
const safetyMargin = 60_000
/** Seconds after which the session of a new entry has been written, or never will be. */
const writtenWithin = 3600
/** Characters of a tag: the time in milliseconds, and four random ones in base64url. */
const tagLength = 17

/** Entries in a page, or about as many. */
const pageSize = 250
/** Milliseconds for which an entry without a session counts: by then its write has been answered. */
const countedFor = 60_000

/**
 * Adds an entry to the index of a subject (KEYS), and removes those that are past, by the clock of this server alone. The index
 * expires with its last entry. ARGV: id, the end of the tag, milliseconds that the entry lasts or '-'. Answers with the tag.
 *
 * Where the subject is limited the most other sessions that it may have follow, and the id that the session had before, then entries that do
 * not count. If there are so many it adds none, and answers with the entries that count and are so old that their sessions have to name them.
 */
const addScript = script('', `${luaClock}${luaAccess}
local now = milliseconds()
if ARGV[4] then
  local dead, seen, count, old = {}, { [ARGV[1]] = true, [ARGV[5]] = true }, 0, {}
  for i = 6, #ARGV do dead[ARGV[i]] = true end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], string.format('(%.0f', now), '+inf', 'BYSCORE')) do
    local id = string.sub(member, 1, -${tagLength + 1})
    if not dead[member] and id ~= ARGV[1] and id ~= ARGV[5] then
      if not seen[id] then count = count + 1 end
      seen[id] = true
      if now - string.sub(member, -${tagLength}, -5) > ${countedFor} then old[#old + 1] = member end
    end
  end
  if count >= tonumber(ARGV[4]) then return old end
end
local tag = string.format('%013.0f', now) .. ARGV[2]
check('ZADD', KEYS[1], 0, '')
check('ZRANGE', KEYS[1], -1, -1)
check('PERSIST', KEYS[1])
check('PEXPIREAT', KEYS[1], 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], ARGV[3] == '-' and '+inf' or string.format('%.0f', now + ARGV[3]), ARGV[1] .. tag)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last == 'inf' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
end
return tag
`, (id: string, random: string, lasts: number | null, limit: readonly string[]) => [id, random, formatTime(lasts), ...limit], (reply: string | string[]) => reply)

/** Removes the entries (ARGV) that are so old that their sessions, which do not name them, never will. */
const removeOldScript = script('', `
local now = redis.call('TIME')[1]
for i = 1, #ARGV do
  if now - string.sub(ARGV[i], -${tagLength}, -8) > ${writtenWithin} then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
`, (members: Member[]) => members.map(({ id, tag }) => id + tag), () => {})

/** A member of the sorted set: a session's id with the tag of its entry. */
export interface Member {
  readonly id: string
  readonly tag: string
}

function memberOf (text: string): Member {
  return { id: text.slice(0, -tagLength), tag: text.slice(-tagLength) }
}

/** Maximum sessions of the subject, including the new one. */
export interface IndexLimit {
  readonly atMost: number
  /** The id that the session has had before: it does not count. */
  readonly oldId: string
  /** Checks that a member's session names its entry. */
  readonly isNamed: (member: Member) => Promise<boolean>
}

/**
 * The index of each subject's sessions: a sorted set in the subject's own slot of a cluster, scored by the time at which
 * an entry is past. An entry is written before its session and removed after it, and the session's description names it
 * by its tag, which is unique. The index may name too many sessions, as their descriptions then show, but it never
 * misses one.
 *
 * Entries last twice as long as their sessions had to live, so that a session in use rarely writes its entry
 * again.
 */
export class SubjectIndex {
  readonly #commands: RedisCommands
  readonly #prefix: string

  constructor (commands: RedisCommands, prefix: string) {
    this.#commands = commands
    this.#prefix = prefix
  }

  /**
   * Adds an entry; none, and the result is `'limit'`, if the subject has too many sessions. An entry is a place that is reserved before its session
   * is written: parallel calls never get more places than there are. A place without a session is free after a minute.
   * @param subject encoded
   * @param timeLeft milliseconds until the session expires; `null`: never
   */
  async add (id: string, subject: string, timeLeft: number | null, limit?: IndexLimit): Promise<IndexEntry | 'limit'> {
    const lasts = timeLeft === null ? null : 2 * Math.max(timeLeft, safetyMargin)
    const dead: string[] = []
    for (;;) {
      const args = limit === undefined ? [] : [String(limit.atMost), limit.oldId, ...dead]
      const added = await this.#commands.runScript(addScript, [this.#key(subject)], id, randomBytes(3).toString('base64url'), lasts, args)
      if (typeof added === 'string') return { subject, tag: added, lasts: formatTime(lasts === null ? null : lasts - safetyMargin) }
      const isNamed = await Promise.all(added.map((text) => limit?.isNamed(memberOf(text))))
      const unnamed = added.filter((_, i) => isNamed[i] === false)
      if (unnamed.length === 0) return 'limit'
      dead.push(...unnamed)
    }
  }

  /**
   * Removes the entry of a session, if there is one. A failure does no harm: the entry expires, or is removed by the next listing.
   */
  async remove (id: string, entry: EntryName | undefined): Promise<void> {
    if (entry === undefined) return
    try {
      await this.#commands.send('write', 'zrem', this.#key(entry.subject), id + entry.tag)
    } catch {}
  }

  /**
   * Removes entries that no session will name any more. A failure does no harm, as of `remove`.
   * @param subject encoded
   */
  async removeOld (subject: string, members: Member[]): Promise<void> {
    if (members.length === 0) return
    try {
      await this.#commands.runScript(removeOldScript, [this.#key(subject)], members)
    } catch {}
  }

  /** Lists all entries, in pages: each once, including entries of sessions that are gone. */
  async * members (subject: string): AsyncGenerator<Member[], undefined> {
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const [next, membersAndScores] = await this.#commands.send<[cursor: string, members: string[]]>('read', 'zscan', this.#key(subject), cursor, 'COUNT', pageSize)
      cursor = next
      const unseen = membersAndScores.filter((member, i) => i % 2 === 0 && !seen.has(member))
      for (const member of unseen) seen.add(member)
      if (unseen.length > 0) yield unseen.map(memberOf)
    } while (cursor !== '0')
  }

  #key (subject: string): string {
    return `${this.#prefix}subject:{${subject}}`
  }
}
