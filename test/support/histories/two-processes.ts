import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Cluster, Redis } from 'ioredis'
import { cached, redisStore, tokenSessions, type SessionStore } from '../../../lib/index.js'
import { readingTwice } from '../cache-stage.js'
import { check } from './check.js'
import type { History, Served } from './history.js'
import { explain } from './in-one-process.js'
import { initialData, planOf, type Plan } from './plan.js'
import { endingsOf, serve, ttl, type Users } from './run.js'

/** Histories that are under way at a time. */
const batchSize = 100

const quiet = { info () {}, warn () {}, error () {} }

/** The servers that both processes use: one, or those of a cluster. */
export type Address = string | ReadonlyArray<{ readonly host: string, readonly port: number }>

/** Histories whose requests the other process is to serve its half of. */
export interface Batch {
  readonly seeds: readonly number[]
  /** The first token of each session. */
  readonly tokens: readonly string[]
}

/** The requests of one history that a process has served, and the tokens that it knows. */
export interface Half {
  readonly served: Served[]
  readonly tokens: string[]
}

/**
 * A client of a process's own, with its store, the same without a cache, and its provider.
 * @param maxAge milliseconds that a read of its cache may be old; `undefined`: it has none
 */
export function connect (address: Address, maxAge: number | undefined): { readonly client: Redis | Cluster, readonly inner: SessionStore, readonly store: SessionStore, readonly users: Users } {
  const client = typeof address === 'string'
    ? new Redis(address, { enableAutoPipelining: true })
    : new Cluster([...address], { enableAutoPipelining: true })
  const inner = redisStore(client, { timeout: 30_000 })
  const store = maxAge === undefined ? inner : readingTwice(cached(inner, { maxAge }))
  return { client, inner, store, users: tokenSessions({ store, ttl }) }
}

/** Serves the requests that are one process's part of some histories, all of them at once. */
export function serveHalves (side: 0 | 1, { seeds, tokens }: Batch, users: Users): Promise<Half[]> {
  return Promise.all(seeds.map(async (seed, i) => {
    const { name, requests } = planOf(seed)
    const known = [tokens[i] as string]
    const served = await Promise.all(requests.filter(({ process }) => process === side).map((request) => serve(request, name, users, known)))
    return { served, tokens: known }
  }))
}

/** The result of many histories. */
interface Result {
  /** The first histories that break a law. */
  readonly faults: string[]
  /** How many had requests of both processes at the same time. */
  readonly met: number
  /** Reads of this process that its cache has answered. */
  readonly hits: number
}

/** Runs histories whose requests are served by this process and another one, each with a client of its own. */
export async function findFaultsBetweenProcesses (address: Address, count: number, { maxAge, most = 3 }: { maxAge?: number, most?: number } = {}): Promise<Result> {
  const { client, inner, store, users } = connect(address, maxAge)
  const other = fork(fileURLToPath(new URL('other-process.ts', import.meta.url)), [JSON.stringify(address), String(maxAge ?? '')], { serialization: 'advanced', execArgv: ['--import=tsx'] })
  const faults: string[] = []
  let met = 0
  try {
    await answerOf(other)
    await store.checkAtBoot?.(quiet)
    for (let from = 0; from < count && faults.length < most; from += batchSize) {
      for (const [plan, history] of await runBatch(from, Math.min(batchSize, count - from), { inner, users }, other)) {
        if (maxAge !== undefined) allowOldReads(history, maxAge)
        const problems = check(history)
        if (problems.length > 0) faults.push(explain(plan, history, problems))
        if (haveMet(history.requests)) met++
      }
    }
  } finally {
    other.kill()
    await store.close()
    client.disconnect()
  }
  return { faults: faults.slice(0, most), met, hits: store.counts?.()['hits'] ?? 0 }
}

/** A request finds its session as it was at a time between its call, or so many milliseconds before it, and its answer. */
function allowOldReads ({ requests }: History, maxAge: number): void {
  for (const { events: [first] } of requests) if (first?.kind === 'look') Object.assign(first, { called: first.called - maxAge * 1e6 })
}

async function runBatch (from: number, size: number, { inner, users }: { inner: SessionStore, users: Users }, other: ChildProcess): Promise<Array<[Plan, History]>> {
  const plans = Array.from({ length: size }, (_, i) => planOf(from + i))
  const tokens = await Promise.all(plans.map(async ({ name }) => (await users.create({ data: initialData(name) })).token))
  const batch: Batch = { seeds: plans.map(({ seed }) => seed), tokens }
  const answer = answerOf(other)
  other.send(batch)
  const [own, others] = await Promise.all([serveHalves(0, batch, users), answer as Promise<Half[]>])
  return Promise.all(plans.map(async (plan, i): Promise<[Plan, History]> => {
    const halves = [own[i], others[i]] as [Half, Half]
    const endings = await endingsOf(inner, halves.flatMap(({ tokens }) => tokens))
    const requests = halves.flatMap(({ served }) => served).sort((a, b) => a.number - b.number)
    return [plan, { name: plan.name, token: tokens[i] as string, initial: initialData(plan.name), ttl, requests, endings }]
  }))
}

/** The next message of the other process. */
async function answerOf (other: ChildProcess): Promise<unknown> {
  const stop = new AbortController()
  const ended = once(other, 'exit', stop).then(([code]) => { throw new Error(`the other process has ended with ${code}`) })
  try {
    const [message] = await Promise.race([once(other, 'message', stop), ended]) as [unknown]
    return message
  } finally {
    ended.catch(() => {})
    stop.abort()
  }
}

/** Whether requests of both processes were under way at the same time. */
function haveMet (requests: readonly Served[]): boolean {
  const times = requests.map(({ process, events }) => ({ process, from: events[0]?.called ?? 0, to: events.at(-1)?.returned ?? 0 }))
  return times.some((a) => times.some((b) => a.process !== b.process && a.from < b.to && b.from < a.to))
}
