import { inspect } from 'node:util'
import { tokenSessions, type SessionStore } from '../../../lib/index.js'
import { check } from './check.js'
import { DelayedStore } from './delayed-store.js'
import type { History, Served } from './history.js'
import { initialData, planOf, type Plan } from './plan.js'
import { endingsOf, serve, ttl, type Users } from './run.js'

/** Histories that are under way at a time. */
const width = 20

/** Two providers, each with a store of its own on the same sessions. */
export interface Sides {
  readonly users: readonly [Users, Users]
  readonly store: SessionStore
}

/** Two providers whose calls take random numbers of turns: the same for each seed, so that a history can be run again. */
export function delayedSides (store: SessionStore, seed: number): Sides {
  const users = (side: number): Users => tokenSessions({ store: new DelayedStore(store, 2 * seed + side), ttl })
  return { users: [users(0), users(1)], store }
}

/** Runs a plan; the requests of each of the two sides know the tokens that their own side was given. */
export async function runPlan (plan: Plan, { users, store }: Sides): Promise<History> {
  const initial = initialData(plan.name)
  const { token } = await users[0].create({ data: initial })
  const tokens: [string[], string[]] = [[token], [token]]
  const requests = await Promise.all(plan.requests.map((request): Promise<Served> => serve(request, plan.name, users[request.process], tokens[request.process])))
  return { name: plan.name, token, initial, ttl, requests, endings: await endingsOf(store, tokens.flat()) }
}

/** The first seeds, of so many, whose histories break a law. */
export async function findFaults (sidesFor: (seed: number) => Sides, from: number, count: number, most = 1): Promise<string[]> {
  const found: string[] = []
  let next = from
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < from + count && found.length < most) {
      const plan = planOf(next++)
      const history = await runPlan(plan, sidesFor(plan.seed))
      const problems = check(history)
      if (problems.length > 0) found.push(explain(plan, history, problems))
    }
  }))
  return found
}

/** The seed, the broken laws, and all that happened. */
export function explain (plan: Plan, history: History, problems: readonly string[]): string {
  const events = history.requests.flatMap(({ number, events }) => events.map((event) => ({ request: number, ...event })))
  const start = Math.min(...events.map(({ called }) => called))
  const lines = events.sort((a, b) => a.returned - b.returned)
    .map(({ called, returned, ...rest }) => `${called - start}..${returned - start} ${inspect(rest, { breakLength: Infinity, depth: 5, compact: true })}`)
  const endings = history.endings.map(({ token, id, found }) => inspect({ token, id, found }, { breakLength: Infinity, depth: 5, compact: true }))
  return [`seed ${plan.seed}:`, ...problems, inspect(plan.requests, { depth: 5, breakLength: 200, compact: 3 }), ...lines, ...endings].join('\n')
}
