import { hash } from 'node:crypto'
import { slotOf } from '../contract-helpers.js'
import type { RedisCommands } from './commands.js'

/** Keys of one SCAN: at most a millisecond of the server's time. */
const scanCount = 1000

/** Reads the keys of all servers that match a pattern, in pages. A server may return some twice. */
async function * scanKeys (commands: RedisCommands, prefix: string, pattern: string): AsyncGenerator<string[], undefined> {
  for (const server of await commands.allServers(prefix)) {
    let cursor = '0'
    do {
      const [next, keys] = await commands.scan(server, cursor, pattern, scanCount)
      cursor = next
      yield keys
    } while (cursor !== '0')
  }
}

/** Lists the ids of all sessions, on all servers, in pages; each once. */
export async function * listIds (commands: RedisCommands, prefix: string): AsyncGenerator<string[], undefined> {
  const keyStart = commands.connection.keyPrefix + prefix
  const pattern = `${keyStart.replace(/[*?[\]\\]/g, '\\$&')}{??}*`
  const seen = new SeenIds()
  for await (const keys of scanKeys(commands, prefix, pattern)) {
    // The id follows the prefix and the hash tag.
    const ids = keys.filter((key) => !key.endsWith(':data')).map((key) => key.slice(keyStart.length + 4))
    const page = ids.filter((id) => seen.add(id))
    if (page.length > 0) yield page
  }
}

/** A session's key: the prefix, the hash tag and the id. */
const keyPattern = /^(.*)\{(..)\}([\w-]{43})$/s

/**
 * Counts the sessions of each prefix. It scans every key of all servers.
 * @param ownPrefix the start of keys that the user may read
 */
export async function countByPrefix (commands: RedisCommands, ownPrefix: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for await (const keys of scanKeys(commands, ownPrefix, '*{??}*')) {
    for (const key of keys) {
      const [, prefix = '', tag, id = ''] = keyPattern.exec(key) ?? []
      if (tag === slotOf(id)) counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    }
  }
  return counts
}

/** The largest part of the table that may be in use. */
const maxLoad = 0.6

/**
 * A set of ids in about 16 bytes each, so that a listing of millions names each once: a server that is being resized
 * returns some twice. It keeps 64 bits of an id's hash: of a million ids, two are taken for one in one listing of 36
 * million.
 */
class SeenIds {
  #table = new BigUint64Array(1024)
  #size = 0

  /** True for a new id. */
  add (id: string): boolean {
    const digest = hash('sha1', id, 'buffer').readBigUInt64LE() || 1n
    if (!this.#put(digest)) return false
    if (++this.#size > this.#table.length * maxLoad) this.#grow()
    return true
  }

  #put (digest: bigint): boolean {
    const mask = this.#table.length - 1
    let at = Number(digest & 0xffffffffn) & mask
    for (; this.#table[at] !== 0n; at = (at + 1) & mask) if (this.#table[at] === digest) return false
    this.#table[at] = digest
    return true
  }

  #grow (): void {
    const old = this.#table
    this.#table = new BigUint64Array(old.length * 2)
    for (const digest of old) if (digest !== 0n) this.#put(digest)
  }
}
