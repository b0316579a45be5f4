// Second entry point of the package, for the tests of stores.
import type { OptionalInterface } from '../stores/contract-helpers.js'
import { changeCases } from './changes.js'
import { commitCases } from './commits.js'
import { expiryCases } from './expiry.js'
import { Harness, type Case, type Cases } from './harness.js'
import { identityCases } from './identity.js'
import { optionalInterfaceCases } from './optional-interfaces.js'
import type { ConformanceOptions } from './harness.js'
import { parallelCases } from './parallel.js'
import { damageCases, recordCases } from './records.js'
import { renewalCases } from './renewals.js'

export type { ConformanceOptions } from './harness.js'

/**
 * One case of the conformance suite, for any test runner.
 *
 * @example
 * ```ts
 * import { memoryStore } from 'fastify-request-session'
 * import { storeConformance, type ConformanceCase } from 'fastify-request-session/conformance'
 *
 * const cases: ConformanceCase[] = storeConformance({ create: () => memoryStore(), advance: () => {} })
 * console.log(cases.map(({ name }) => name))
 * ```
 */
export interface ConformanceCase {
  readonly name: string
  /** Rejects with an `AssertionError` of `node:assert` with the sentence of the contract that does not hold. */
  run (): Promise<void>
}

/**
 * Creates the test cases of the contract of `SessionStore`, for authors of stores and for any test runner.
 *
 * The cases may run in any order, but only one at a time if `advance` moves a clock that they share.
 *
 * @example
 * ```ts
 * import { mock, test } from 'node:test'
 * import { memoryStore } from 'fastify-request-session'
 * import { storeConformance } from 'fastify-request-session/conformance'
 *
 * mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.now() })
 * const cases = storeConformance({ create: () => memoryStore(), advance: (ms) => mock.timers.tick(ms) })
 * for (const { name, run } of cases) test(name, run)
 * ```
 */
export function storeConformance (options: ConformanceOptions): ConformanceCase[] {
  const optional: Record<OptionalInterface, Cases> = { ...optionalInterfaceCases, ...changeCases }
  const groups: Cases[] = [recordCases, identityCases, commitCases, renewalCases, expiryCases, parallelCases]
  if (options.damage !== undefined) groups.push(damageCases)
  for (const [name, cases] of Object.entries(optional)) if (options.abilities?.includes(name as OptionalInterface)) groups.push(cases)
  return groups.flatMap((cases) => Object.entries(cases)).map(([name, test]) => ({ name, run: () => run(options, test) }))
}

async function run (options: ConformanceOptions, test: Case): Promise<void> {
  const store = await options.create()
  try {
    await test(new Harness(store, options))
  } finally {
    await store.close()
    await options.destroy?.(store)
  }
}
