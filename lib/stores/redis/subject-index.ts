import { randomBytes } from 'node:crypto'
import type { RedisCalls } from './commands.js'
import { encodeText, type IndexEntry } from './record-format.js'
import { indexScript } from './scripts.js'
import { nothing } from '../../util/maybe-promise.js'

/** Milliseconds that an entry lasts longer than its session at the least. */
const margin = 60_000
/** Milliseconds after which an entry whose session was not written is no longer about to be. */
const settled = 3_600_000
/** Characters of a tag: the time in milliseconds, in base 36, and four random ones in base64url. */
const tagLength = 13

/** Entries in a page, or about as many. */
const pageSize = 250

/** One session in the index of a subject. */
export interface Member {
  readonly id: string
  readonly tag: string
}

/**
 * An index of each subject's sessions: a sorted set in the subject's own place in a cluster, scored by when each
 * entry is past. An entry is written before its session and removed after it, and its session's description names it
 * by its tag, which never comes twice: the index may name too many, which the description then shows, but it
 * never misses a session that is there.
 *
 * Entries outlast their sessions by as long again as those had to live, so that a session that is used slides in
 * peace, and writes its entry anew once in a while.
 */
export class RedisSubjects {
  readonly #calls: RedisCalls
  readonly #prefix: string

  constructor (calls: RedisCalls, prefix: string) {
    this.#calls = calls
    this.#prefix = prefix
  }

  /**
   * @param subject encoded
   * @param expiresAt when the session expires, in milliseconds since the epoch; `null`: never
   */
  async add (id: string, subject: string, expiresAt: number | null): Promise<IndexEntry> {
    const now = Date.now()
    const tag = now.toString(36).padStart(9, '0') + randomBytes(3).toString('base64url')
    const lasts = expiresAt === null ? null : 2 * Math.max(expiresAt - now, margin)
    await this.#calls.run(indexScript, [this.#key(subject)], [id + tag, lasts === null ? '-' : String(lasts)], nothing)
    return { tag, subject, limit: lasts === null ? '-' : String(now + lasts - margin) }
  }

  /** Removes entries that are of no use any more. Failing at it does no harm. */
  async remove (subject: string, ...members: Member[]): Promise<void> {
    if (members.length === 0) return
    try {
      await this.#calls.write(this.#calls.client.zrem(this.#key(subject), ...members.map(({ id, tag }) => id + tag)), nothing)
    } catch {
      // What is left is past in its time, or is removed by whoever meets it.
    }
  }

  /** All entries, in pages: each once, and some whose sessions are no more. */
  async * members (subject: string): AsyncGenerator<Member[], undefined> {
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const scored = await this.#calls.read(this.#calls.client.zscan(this.#key(encodeText(subject)), cursor, 'COUNT', pageSize), ([next, scored]) => {
        cursor = next
        return scored
      })
      const fresh = scored.filter((member, i) => i % 2 === 0 && !seen.has(member))
      for (const member of fresh) seen.add(member)
      if (fresh.length > 0) yield fresh.map((member) => ({ id: member.slice(0, -tagLength), tag: member.slice(-tagLength) }))
    } while (cursor !== '0')
  }

  /** Whether an entry's session would have been written by now. */
  isSettled ({ tag }: Member): boolean {
    return Date.now() - Number.parseInt(tag.slice(0, 9), 36) > settled
  }

  #key (subject: string): string {
    return `${this.#prefix}subject:{${subject}}`
  }
}
