import type { Browser } from 'playwright-core'
import type { DocumentStore } from 'ravendb'
import type { Test } from 'tap'
import { MissingServer } from './missing-server.js'
import { openNeo4j } from './neo4j.js'
import type { Server } from './own-server.js'
import type { RavenDatabase } from './ravendb-database.js'
import { openRavenDB } from './ravendb.js'
import { openRedis } from './redis.js'

/**
 * Starts what a test needs and stops it when that test is over. If it is not on this machine the test gets a skip that
 * says how to get it, on CI (`CI=true`) a failure, and `undefined`: `if (!redis) return`.
 */
export async function withServer<S extends { stop (): Promise<void> }> (
  t: Test, start: () => Promise<S>
): Promise<S | undefined> {
  try {
    const server = await start()
    t.teardown(() => server.stop())
    return server
  } catch (error) {
    if (!(error instanceof MissingServer)) throw error
    lacks(t, error)
    return undefined
  }
}

/** A skip that says how to get what is missing; on CI (`CI=true`) a failure. */
export function lacks (t: Test, { message }: MissingServer): void {
  if (process.env['CI'] === 'true') t.fail(message, { stack: '' })
  else t.pass('needs what this machine lacks', { skip: message })
}

/** The Redis of `REDIS_URL`, else one of the test's own. */
export async function redisForTest (t: Test): Promise<Server | undefined> {
  return withServer(t, openRedis)
}

/** The Neo4j of `NEO4J_URL`, else the one that all tests share, unless the test must be alone on it, or one of the test's own. */
export async function neo4jForTest (t: Test, { alone = false } = {}): Promise<Server | undefined> {
  return withServer(t, () => openNeo4j({ alone }))
}

/** A fresh database on the RavenDB of `RAVENDB_URL`, else on one of the test's own. */
export async function ravenDatabaseForTest (
  t: Test, configure?: (store: DocumentStore) => void
): Promise<RavenDatabase | undefined> {
  const server = await withServer(t, openRavenDB)
  if (server === undefined) return undefined
  // The driver takes two seconds to load, which tests of other servers do not need.
  const { createRavenDatabase } = await import('./ravendb-database.js')
  const database = await createRavenDatabase(server.url, configure)
  t.teardown(() => database.drop())
  return database
}

/** A Chromium of the test's own. */
export async function chromiumForTest (t: Test): Promise<Browser | undefined> {
  const started = await withServer(t, async () => {
    const { startChromium } = await import('./chromium.js')
    const browser = await startChromium()
    return { browser, stop: () => browser.close() }
  })
  return started?.browser
}
