import { hash } from 'node:crypto'

/** How full the table may be. */
const maxLoad = 0.6

/**
 * A set of ids in about 16 bytes each, so that a listing of millions names each once: a server that is being resized
 * gives some twice. It keeps 64 bits of an id's hash: of a million ids, two are taken for one in one listing of 36
 * million.
 */
export class SeenIds {
  #table = new BigUint64Array(1024)
  #size = 0

  /** Whether the id is new. */
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
