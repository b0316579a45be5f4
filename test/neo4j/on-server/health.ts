import neo4j, { type Driver } from 'neo4j-driver'
import type { Test } from 'tap'
import { neo4jSessions, neo4jTransactions } from '../../../lib/index.js'
import { assertNothingOpen, driverForTest } from '../../support/neo4j/driver.js'

/** `ping()` runs a query, leaves nothing open, and tells what is wrong. */
export async function health (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url)
  for (const makeProvider of [neo4jSessions, neo4jTransactions]) {
    t.match(await makeProvider(driver).ping({ timeout: 20_000 }), { ok: true })
    t.match(await makeProvider(driver, async () => ({ database: 'neo4j' })).ping({ timeout: 20_000 }), { ok: true }, 'a config that depends on the request')
    t.match(await makeProvider(driver, { database: 'missing' }).ping({ timeout: 20_000 }), { ok: false, problem: /missing/ })
    await assertNothingOpen(t, driver, observer)
    const lost = neo4j.driver('bolt://127.0.0.1:1', undefined, { maxTransactionRetryTime: 0 })
    t.match(await makeProvider(lost).ping({ timeout: 20_000 }), { ok: false, problem: /ECONNREFUSED|connect/ })
    await lost.close()
  }
}
