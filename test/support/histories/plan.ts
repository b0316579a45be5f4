import { Random } from '../random.js'

export type Action =
  | 'get' | 'set' | 'set flash' | 'increment' | 'append' | 'update' | 'add' | 'take' | 'claim' | 'clear' | 'renew' | 'regenerate' | 'end' | 'expire' | 'reload' | 'commit'

/** One call of a request on its session. */
export interface Step {
  readonly do: Action
  /** Tells the step from all others of the history. */
  readonly number: number
  /** Turns that pass before it. */
  readonly wait: number
  /** The keys that `regenerate` keeps. */
  readonly keep: readonly string[]
}

/** What one request is going to do. */
export interface RequestPlan {
  readonly number: number
  /** One of two processes. */
  readonly process: 0 | 1
  /** The token that it comes with: the first of the session, or one of those that its process was given. */
  readonly token: 'first' | 'latest' | 'any'
  readonly wait: number
  /** Whether it reads all data at first. */
  readonly looks: boolean
  readonly steps: readonly Step[]
}

/** Requests on one session, all at the same time. */
export interface Plan {
  readonly seed: number
  /** The session's name: all of its texts begin with it. */
  readonly name: string
  readonly requests: readonly RequestPlan[]
}

/** An increment adds a power of this, so that a sum tells how often each was applied. */
export const digit = 4
/** The most increments of a history: their sum is a safe integer. */
const maxIncrements = 25

const actions: readonly Action[] = [
  ...repeated<Action>(['get', 'set', 'increment', 'increment', 'append', 'append', 'update', 'update', 'add', 'take', 'claim', 'commit'], 3),
  'set flash', 'set flash', 'clear', 'renew', 'renew', 'renew', 'regenerate', 'end', 'expire', 'expire', 'reload', 'reload',
]
const kept = ['owner', 'n', 'list', 'chain', 'code', 'flash', 'last', 'slot']

function repeated<T> (list: readonly T[], times: number): T[] {
  return Array.from({ length: times }, () => list).flat()
}

/** The requests of a seed: 3 to 8, each of 1 to 4 steps. */
export function planOf (seed: number): Plan {
  const random = new Random(seed)
  let increments = 0
  const requests = Array.from({ length: random.between(3, 8) }, (_, number): RequestPlan => {
    const steps: Step[] = []
    const length = random.between(1, 4)
    for (let i = 0; i < length; i++) {
      let action = random.pick(actions)
      if (action === 'increment' && ++increments > maxIncrements) action = 'get'
      const isIncrement = action === 'increment'
      steps.push({
        do: action,
        number: isIncrement ? increments - 1 : maxIncrements + number * 4 + i,
        wait: random.below(6),
        keep: action === 'regenerate' ? kept.filter(() => random.onceIn(2)) : [],
      })
      if (action === 'end') break
    }
    return {
      number,
      process: random.onceIn(2) ? 0 : 1,
      token: random.pick(['first', 'first', 'latest', 'latest', 'latest', 'any'] as const),
      wait: random.below(8),
      looks: !random.onceIn(4),
      steps,
    }
  })
  return { seed, name: `h${seed}`, requests }
}

/** The data that a session of this name begins with. */
export function initialData (name: string): Record<string, unknown> {
  const text = (key: string): string => `${name}/${key}`
  return { owner: text('owner'), n: 0, list: [text('list')], chain: text('chain'), code: text('code'), flash: text('flash'), last: text('last') }
}
