import neo4j, { type Driver } from 'neo4j-driver'
import type { Test } from 'tap'

/** A driver on the server of the tests, closed with the test. */
export function driverForTest (t: Test, url: string, config?: Parameters<typeof neo4j.driver>[2]): Driver {
  const driver = neo4j.driver(url, undefined, { disableLosslessIntegers: true, ...config })
  t.teardown(() => driver.close())
  return driver
}

/** Runs one query in a session of its own, to check the server from outside of the app. */
export async function query<Row extends Record<string, unknown>> (driver: Driver, text: string, parameters?: object): Promise<Row[]> {
  const session = driver.session()
  try {
    const { records } = await session.run(text, parameters)
    return records.map((record) => record.toObject() as Row)
  } finally {
    await session.close()
  }
}

export async function count (driver: Driver, key: string): Promise<number> {
  const [row] = await query<{ n: number }>(driver, 'MATCH (n:Kept {key: $key}) RETURN count(n) AS n', { key })
  return row?.n ?? 0
}

/** A transaction as the server itself shows it. */
export interface ServerTransaction {
  readonly transactionId: string
  readonly currentQuery: string
  readonly metaData: Record<string, unknown>
  readonly status: string
}

/** The transactions that are open on the server, without that of this query. */
export async function openTransactions (driver: Driver): Promise<ServerTransaction[]> {
  const rows = await query<ServerTransaction & Record<string, unknown>>(driver, 'SHOW TRANSACTIONS YIELD transactionId, currentQuery, metaData, status')
  return rows.filter(({ currentQuery }) => !currentQuery.startsWith('SHOW TRANSACTIONS'))
}

/** The number of connections in use of a driver's pool. The driver has no public API for it. */
export function connectionsInUse (driver: Driver): number {
  const provider: unknown = Reflect.get(driver, '_connectionProvider')
  if (provider === null) return 0
  const pool = Reflect.get(provider as object, '_connectionPool') as object
  const counts = Reflect.get(pool, '_activeResourceCounts') as Record<string, number>
  return Object.values(counts).reduce((sum, n) => sum + n, 0)
}

/** Asserts that no session of a driver is open. A session is closed after its reply, at some time within ten seconds. */
export async function assertNoneInUse (t: Test, driver: Driver): Promise<void> {
  const end = performance.now() + 10_000
  while (connectionsInUse(driver) > 0 && performance.now() < end) await new Promise(setImmediate)
  t.equal(connectionsInUse(driver), 0, 'no connection of the pool is in use')
}

/** Asserts that no session of a driver is open, and no transaction on a server on which the test is alone. */
export async function assertNothingOpen (t: Test, driver: Driver, observer: Driver): Promise<void> {
  await assertNoneInUse(t, driver)
  t.strictSame(await openTransactions(observer), [], 'no transaction is open on the server')
}
