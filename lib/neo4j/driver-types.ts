// The parts of neo4j-driver that the providers use. Nothing is imported from it: a user's types are inferred from the
// driver that is passed, and users without neo4j-driver can install and type-check.

/** The part of neo4j-driver's `Result` that the providers use. */
export interface Neo4jResult extends PromiseLike<unknown> {
  isOpen (): boolean
  summary (): Promise<unknown>
  subscribe (observer: never): void
  [Symbol.asyncIterator] (): AsyncIterator<unknown>
}

/** The part of neo4j-driver's `Transaction` that the providers use. */
export interface Neo4jTransaction {
  run (query: never, parameters?: never): Neo4jResult
  commit (): Promise<void>
  rollback (): Promise<void>
  close (): Promise<void>
  isOpen (): boolean
}

/** The answer of `session.beginTransaction()`: a transaction to be used at once, or awaited. */
export interface Neo4jTransactionPromise extends Neo4jTransaction, PromiseLike<Neo4jTransaction> {}

/** The part of neo4j-driver's `Session` that the providers use. */
export interface Neo4jSession {
  run (query: never, parameters?: never): unknown
  beginTransaction (config?: { timeout?: any, metadata?: object }): Neo4jTransactionPromise
  lastBookmarks (): string[]
  close (): Promise<void>
}

/**
 * The part of neo4j-driver's `Driver` that the providers use. `neo4j.driver(…)` has it, and so has `neogma.driver`.
 *
 * @example
 * ```ts
 * import neo4j from 'neo4j-driver'
 * import { neo4jSessions, neo4jTransactions, type Neo4jDriver } from 'fastify-request-session'
 *
 * function providersOn<D extends Neo4jDriver> (driver: D) {
 *   return { graph: neo4jSessions(driver), change: neo4jTransactions(driver) }
 * }
 * const driver = neo4j.driver(process.env.NEO4J_URL ?? 'neo4j://localhost')
 * console.log(providersOn(driver).change.kind)
 * await driver.close()
 * ```
 */
export interface Neo4jDriver {
  session (config?: object): Neo4jSession
  verifyConnectivity (): Promise<unknown>
  close (): Promise<void>
}

/** The `Session` of a driver: neo4j-driver's own. */
export type SessionFrom<D extends Neo4jDriver> = ReturnType<D['session']>

/** The answer of `beginTransaction()` of a driver's sessions: neo4j-driver's own `Transaction`, which is also a promise of one. */
export type TransactionPromiseFrom<D extends Neo4jDriver> = ReturnType<SessionFrom<D>['beginTransaction']>

/** The `Transaction` of a driver: neo4j-driver's own. */
export type TransactionFrom<D extends Neo4jDriver> = Awaited<TransactionPromiseFrom<D>>

/** The `SessionConfig` of a driver. */
export type SessionConfigFrom<D extends Neo4jDriver> = NonNullable<Parameters<D['session']>[0]>
