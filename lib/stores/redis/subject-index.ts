import { randomBytes } from 'node:crypto'
import type { RedisCommands } from './commands.js'
import { luaAccess, script } from './script.js'
import { formatTime, type IndexEntry } from './record-format.js'
import type { EntryName } from './scripts.js'

/** Milliseconds that an entry lasts longer than its session at the least. */
const safetyMargin = 60_000
/** Milliseconds after which the session of a new entry has been written, or never will be. */
const writtenWithin = 3_600_000
/** Characters of a tag: the time in milliseconds, in base 36, and four random ones in base64url. */
const tagLength = 13

/** Entries in a page, or about as many. */
const pageSize = 250

/**
 * Adds an entry to the index of a subject (KEYS), and removes those that are past, by the clock of this server alone. The index
 * expires with its last entry. ARGV: member, milliseconds that it lasts or '-'.
 */
const indexScript = script('', `${luaAccess}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
check('ZADD', KEYS[1], 0, '')
check('ZRANGE', KEYS[1], -1, -1)
check('PERSIST', KEYS[1])
check('PEXPIREAT', KEYS[1], 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], ARGV[2] == '-' and '+inf' or string.format('%.0f', now + ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last == 'inf' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
end
return 1
`, (member: string, lasts: number | null) => [member, formatTime(lasts)], () => {})

/** A member of the sorted set: a session's id with the tag of its entry. */
export interface Member {
  readonly id: string
  readonly tag: string
}

/**
 * The index of each subject's sessions: a sorted set in the subject's own slot of a cluster, scored by the time at which
 * an entry is past. An entry is written before its session and removed after it, and the session's description names it
 * by its tag, which never comes twice. The index may name too many sessions, which the descriptions then show, but it
 * never misses one.
 *
 * Entries outlast their sessions by as long again as those had to live, so that a session that is used writes its entry
 * anew only once in a while.
 */
export class SubjectIndex {
  readonly #commands: RedisCommands
  readonly #prefix: string

  constructor (commands: RedisCommands, prefix: string) {
    this.#commands = commands
    this.#prefix = prefix
  }

  /**
   * @param subject encoded
   * @param expiresAt when the session expires, in milliseconds since the epoch; `null`: never
   */
  async add (id: string, subject: string, expiresAt: number | null): Promise<IndexEntry> {
    const now = Date.now()
    const tag = now.toString(36).padStart(9, '0') + randomBytes(3).toString('base64url')
    const lasts = expiresAt === null ? null : 2 * Math.max(expiresAt - now, safetyMargin)
    await this.#commands.runScript(indexScript, [this.#key(subject)], id + tag, lasts)
    return { subject, tag, lastsUntil: formatTime(lasts === null ? null : now + lasts - safetyMargin) }
  }

  /** Removes one session's entry, if there is one. */
  async remove (id: string, entry: EntryName | undefined): Promise<void> {
    if (entry !== undefined) await this.removeMembers(entry.subject, [{ id, tag: entry.tag }])
  }

  /**
   * Removes entries. A failure does no harm: they expire, or are removed by the next listing.
   * @param subject encoded
   */
  async removeMembers (subject: string, members: Member[]): Promise<void> {
    if (members.length === 0) return
    try {
      await this.#commands.send('write', 'zrem', this.#key(subject), ...members.map(({ id, tag }) => id + tag))
    } catch {}
  }

  /** Lists all entries, in pages: each once, and some whose sessions are gone. */
  async * members (subject: string): AsyncGenerator<Member[], undefined> {
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const [next, membersAndScores] = await this.#commands.send<[cursor: string, members: string[]]>('read', 'zscan', this.#key(subject), cursor, 'COUNT', pageSize)
      cursor = next
      const unseen = membersAndScores.filter((member, i) => i % 2 === 0 && !seen.has(member))
      for (const member of unseen) seen.add(member)
      if (unseen.length > 0) yield unseen.map((member) => ({ id: member.slice(0, -tagLength), tag: member.slice(-tagLength) }))
    } while (cursor !== '0')
  }

  /** True for an entry that is so old that its session, if it does not name the entry, never will. */
  isPastWriting ({ tag }: Member): boolean {
    return Date.now() - Number.parseInt(tag.slice(0, 9), 36) > writtenWithin
  }

  #key (subject: string): string {
    return `${this.#prefix}subject:{${subject}}`
  }
}
