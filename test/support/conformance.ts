import type { Test } from 'tap'
import { storeConformance, type ConformanceOptions } from '../../lib/conformance/index.js'

/** Runs the conformance suite with tap. */
export async function conforms (t: Test, options: ConformanceOptions): Promise<void> {
  for (const { name, run } of storeConformance(options)) {
    await t.test(name, async (t) => {
      await run()
      t.pass('holds')
    })
  }
}
