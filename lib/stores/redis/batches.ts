import { nothing } from '../../util/maybe-promise.js'

/** The commands that the store sends, as an ioredis pipeline has them. */
interface Commands {
  hgetall (key: string): unknown
  hget (key: string, field: string): unknown
  evalsha (sha: string, keys: number, ...args: string[]): unknown
  eval (script: string, keys: number, ...args: string[]): unknown
  scan (cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): unknown
  zscan (key: string, cursor: string, count: 'COUNT', size: number): unknown
  zrem (key: string, ...members: string[]): unknown
}

export type CommandName = keyof Commands

interface Pipeline extends Commands {
  exec (): Promise<Array<[error: Error | null, reply: unknown]> | null>
}

/** The part of a client that batches need. */
export interface BatchingClient {
  pipeline (): Pipeline
  /** `end`: the application has closed it. */
  readonly status: string
  on (event: 'ready', listener: () => void): unknown
  /** The nodes of each hash slot of a cluster, empty before it is connected. */
  readonly slots?: ReadonlyArray<readonly string[] | undefined>
}

/** Errors by which a node of a cluster says that it does not have the key, or not yet. */
const redirections = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |same slots allocation group/
/** Milliseconds after a reconnection in which a client gives the replies that it still can. */
const replyAfterReady = 100
/** Hash slots of a cluster (Redis Cluster specification, "Key distribution model"). */
const slotCount = 16_384

const known = new WeakMap<BatchingClient, Batches>()

/**
 * Sends all commands of one turn of the event loop together: Redis needs a third of the time for each then, whatever the
 * client's options are. The pipelines are the store's own. With `enableAutoPipelining` ioredis would wait for its last
 * pipeline before it sends the next one, for ever if the connection was lost in between. With
 * `autoResendUnfulfilledCommands: false` it forgets the commands that had no reply then: they are rejected here.
 *
 * In a cluster there is a pipeline for each node.
 */
export class Batches {
  readonly #client: BatchingClient
  #waiting = new Map<string, Batch>()
  readonly #unanswered = new Set<Batch>()

  constructor (client: BatchingClient) {
    this.#client = client
    client.on('ready', this.#reconnected)
  }

  /** All stores on one client share its batches. */
  static of (client: BatchingClient): Batches {
    let batches = known.get(client)
    if (batches === undefined) known.set(client, batches = new Batches(client))
    return batches
  }

  /** Sends one command alone. */
  static async only (client: BatchingClient, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
    const batch = new Batch(client.pipeline())
    const reply = batch.add(name, args)
    batch.exec()
    return reply
  }

  /** @param key the key, or one of the keys, that the command names, with the client's prefix */
  send (key: string, name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
    const { slots } = this.#client
    if (slots === undefined) return this.#batchOf('').add(name, args)
    const slot = slotOf(key)
    return this.#batchOf(slots[slot]?.join() ?? String(slot)).add(name, args).catch((error: unknown) => {
      if (!redirections.test((error as Error).message)) throw error
      // ioredis follows a redirection of a whole pipeline only: the command gets one of its own.
      return Batches.only(this.#client, name, args)
    })
  }

  #batchOf (group: string): Batch {
    let batch = this.#waiting.get(group)
    if (batch === undefined) {
      if (this.#waiting.size === 0) setImmediate(() => this.#sendAll())
      this.#waiting.set(group, batch = new Batch(this.#client.pipeline()))
    }
    return batch
  }

  #sendAll (): void {
    const batches = this.#waiting
    this.#waiting = new Map()
    for (const batch of batches.values()) {
      this.#unanswered.add(batch)
      batch.exec(() => { this.#unanswered.delete(batch) })
    }
  }

  readonly #reconnected = (): void => {
    const lost = [...this.#unanswered]
    if (lost.length === 0) return
    setTimeout(() => {
      for (const batch of lost) if (this.#unanswered.delete(batch)) batch.reject(new Error('the connection was lost before the reply'))
    }, replyAfterReady).unref()
  }
}

interface Waiting {
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

class Batch {
  readonly #pipeline: Pipeline
  readonly #waiting: Waiting[] = []

  constructor (pipeline: Pipeline) {
    this.#pipeline = pipeline
  }

  add (name: CommandName, args: ReadonlyArray<string | number>): Promise<unknown> {
    Reflect.apply(this.#pipeline[name], this.#pipeline, args)
    return new Promise((resolve, reject) => { this.#waiting.push({ resolve, reject }) })
  }

  /** @param settled called once there are replies, or none will come */
  exec (settled: () => void = nothing): void {
    this.#pipeline.exec().then((replies) => {
      settled()
      for (const [i, { resolve, reject }] of this.#waiting.entries()) {
        const [error, reply] = replies?.[i] ?? [new Error('the client gave no reply')]
        if (error === null) resolve(reply)
        else reject(error)
      }
    }, (error: unknown) => {
      settled()
      this.reject(error)
    })
  }

  reject (error: unknown): void {
    for (const { reject } of this.#waiting) reject(error)
  }
}

/** The hash slot of a key: of the text between its first braces, if there is one. */
function slotOf (key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % slotCount
}

/** CRC-16/XMODEM. */
function crc16 (bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  return crc & 0xffff
}
