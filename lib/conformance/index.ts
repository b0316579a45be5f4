import type { SessionStore } from '../stores/store.js'
import type { OptionalInterface } from '../stores/require-interface.js'
import { optionalInterfaceCases } from './optional-interfaces.js'
import { commitCases } from './commits.js'
import { expiryCases } from './expiry.js'
import { identityCases } from './identity.js'
import { parallelCases } from './parallel.js'
import { recordCases } from './records.js'
import { renewalCases } from './renewals.js'
import { Bench, type Case } from './harness.js'

/** What the suite needs to know of a store. */
export interface ConformanceOptions {
  /** Makes the store that one case works on. It may hold other sessions: each case uses ids of its own. */
  create (): SessionStore | Promise<SessionStore>
  /**
   * Lets this many milliseconds pass, for `Date.now()` and for the store: moves a fake clock, rewinds the expiry
   * times that a server keeps, or just waits.
   */
  advance (ms: number): void | Promise<void>
  /**
   * Milliseconds that the sessions of the suite live. Who waits in `advance` makes it short, but longer than a case
   * may take: the suite also looks at sessions shortly before they expire.
   * @default 60000
   */
  lifetime?: number | undefined
  /**
   * What the store can beside the small contract: `'list'` (ListingStore), `'subjects'` (SubjectStore), `'restore'`
   * (RestorableStore), `'watch'` (WatchableStore).
   * @default none
   */
  abilities?: readonly OptionalInterface[] | undefined
  /** Makes a stored session unreadable, behind the store's back. Leave it out where nothing can do that. */
  damage? (store: SessionStore, id: string): void | Promise<void>
  /** Runs after each case, when its store was closed. */
  destroy? (store: SessionStore): void | Promise<void>
}

/** One case of the suite, for any test runner. */
export interface ConformanceCase {
  readonly name: string
  /** Rejects with an `AssertionError` of `node:assert` that says which sentence of the contract does not hold. */
  run (): Promise<void>
}

/**
 * Tests all that `SessionStore` promises, for authors of stores and with any test runner:
 *
 * ```ts
 * import { mock, test } from 'node:test'
 * import { storeConformance } from 'fastify-request-session/conformance'
 *
 * mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.now() })
 * for (const { name, run } of storeConformance({ create: () => myStore(), advance: (ms) => mock.timers.tick(ms) })) test(name, run)
 * ```
 *
 * The cases may run in any order, but only one at a time where `advance` moves a clock that they share.
 */
export function storeConformance (options: ConformanceOptions): ConformanceCase[] {
  const able = optionalInterfaceCases.filter(({ needsInterface }) => options.abilities?.includes(needsInterface))
  const cases = [...recordCases, ...identityCases, ...commitCases, ...renewalCases, ...expiryCases, ...parallelCases, ...able]
  return cases
    .filter(({ needs }) => needs === undefined || options[needs] !== undefined)
    .map(({ name, test }) => ({ name, run: () => run(options, test) }))
}

async function run (options: ConformanceOptions, test: Case['test']): Promise<void> {
  const store = await options.create()
  try {
    await test(new Bench(store, options))
  } finally {
    await store.close()
    await options.destroy?.(store)
  }
}
