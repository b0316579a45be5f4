import { Random } from './random.js'
import type { CompleteStore, CompleteTokenManager, TokenSession } from '../../lib/index.js'

type Data = { n: number, last?: number }

/** The errors that an outage may give. */
const named = ['FST_SESSION_OUTCOME_UNKNOWN', 'FST_SESSION_STORE_UNAVAILABLE']

/** A client with a session of its own. Each of its commits that counts adds one to `n`. */
class Client {
  readonly subject: string
  token = ''
  /** When each commit that counts was acknowledged, in milliseconds on the clock of `performance.now()`. */
  readonly acknowledged: number[] = []
  /** Commits that may have been applied. */
  unknown = 0
  /** True once the outcome of a renewal is unknown: the client has lost its session then. */
  isLost = false

  constructor (subject: string) {
    this.subject = subject
  }
}

/** Clients that commit in all ways, one after the other, and the errors that they met. */
export class Load {
  readonly codes = new Map<string, number>()
  /** The milliseconds of the slowest commit, with the reading before it. */
  slowest = 0
  commits = 0
  readonly #users: CompleteTokenManager<Data>
  readonly #clients: Client[] = []
  readonly #random: Random

  constructor (users: CompleteTokenManager<Data>, seed: number) {
    this.#users = users
    this.#random = new Random(seed)
  }

  /** Logs so many clients in. */
  async begin (clients: number): Promise<void> {
    for (let i = 0; i < clients; i++) {
      const client = new Client(`client ${i}`)
      client.token = (await this.#users.create({ subject: client.subject, data: { n: 0 } })).token
      this.#clients.push(client)
    }
  }

  /** True if each client that has its session had a commit acknowledged since this time, on the clock of `performance.now()`. */
  hasServedAllSince (time: number): boolean {
    return this.#clients.every(({ acknowledged, isLost }) => isLost || (acknowledged.at(-1) ?? 0) > time)
  }

  /** Has all clients commit until it is over. */
  async run (isOver: () => boolean, onCommit: () => void = () => {}): Promise<void> {
    await Promise.all(this.#clients.map(async (client) => {
      while (!isOver() && !client.isLost) {
        await this.#commit(client)
        onCommit()
      }
    }))
  }

  /**
   * Compares what the clients were told with what the store has.
   * @param certainUntil a commit that was acknowledged later may be lost: the server died before its replica had it
   * @returns a line for each difference
   */
  async differences (store: CompleteStore, certainUntil = Infinity): Promise<string[]> {
    const differences: string[] = []
    for (const { subject, acknowledged, unknown, isLost } of this.#clients) {
      const certain = acknowledged.filter((time) => time < certainUntil).length
      const found: number[] = []
      for await (const ids of store.idsOf(subject)) {
        for (const id of ids) {
          const record = await store.load(id)
          if (record !== undefined && 'fields' in record) found.push(Number(record.fields.get('n')))
        }
      }
      const [n, ...others] = found
      if (others.length > 0) differences.push(`${subject} has ${found.length} sessions`)
      else if (n === undefined ? !isLost : n < certain) differences.push(`${subject}: ${certain} acknowledged, ${n} kept`)
      else if (n !== undefined && n > acknowledged.length + unknown) differences.push(`${subject}: ${acknowledged.length} acknowledged, ${unknown} unknown, ${n} applied`)
    }
    return differences
  }

  async #commit (client: Client): Promise<void> {
    const began = performance.now()
    let renews = false
    let session: TokenSession<Data> | undefined
    try {
      session = await this.#users.load(client.token)
      if (session === undefined) throw new Error(`${client.subject} has lost its session`)
      renews = this.#change(session)
      await session.commit()
      client.token = session.token
      client.acknowledged.push(performance.now())
    } catch (error) {
      const code = (error as { code?: string }).code ?? String(error)
      this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
      if (code === 'FST_SESSION_OUTCOME_UNKNOWN') {
        client.unknown++
        client.isLost = renews
      }
    }
    this.commits++
    this.slowest = Math.max(this.slowest, performance.now() - began)
  }

  /** Adds one to `n`, in one of several ways. True for a renewal. */
  #change (session: TokenSession<Data>): boolean {
    const kind = this.#random.below(20)
    if (kind < 8) session.increment('n')
    else if (kind < 14) session.update('n', (n) => (n ?? 0) + 1)
    else session.set('last', kind).increment('n')
    if (kind % 5 === 0) session.expire(this.#random.between(500, 5000))
    if (kind !== 19) return false
    session.renew()
    return true
  }

  /** The errors that no outage may give. */
  get unnamed (): string[] {
    return [...this.codes.keys()].filter((code) => !named.includes(code))
  }
}
