import { hash } from 'node:crypto'
import type { RedisCommands } from './commands.js'

/** Keys that one SCAN looks at: a millisecond of the server's time at the most. */
const scanCount = 1000

/** Lists the ids of all sessions, on all servers, in pages; each once. */
export async function * listIds (commands: RedisCommands, prefix: string): AsyncGenerator<string[], undefined> {
  const keyStart = commands.keyPrefix + prefix
  const pattern = `${keyStart.replace(/[*?[\]\\]/g, '\\$&')}{??}*`
  const seen = new SeenIds()
  // A cluster's client knows its servers after its first reply.
  if (commands.servers.length === 0) await commands.send('read', 'hget', `${prefix}{}`, '')
  for (const server of commands.servers) {
    let cursor = '0'
    do {
      const [next, keys] = await commands.scan(server, cursor, pattern, scanCount)
      cursor = next
      // The id follows the prefix and the hash tag.
      const ids = keys.filter((key) => !key.endsWith(':data')).map((key) => key.slice(keyStart.length + 4))
      const page = ids.filter((id) => seen.add(id))
      if (page.length > 0) yield page
    } while (cursor !== '0')
  }
}

/** The largest part of the table that may be in use. */
const maxLoad = 0.6

/**
 * A set of ids in about 16 bytes each, so that a listing of millions names each once: a server that is being resized
 * gives some twice. It keeps 64 bits of an id's hash: of a million ids, two are taken for one in one listing of 36
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
