// What the graph providers need of neo4j-driver. Nothing is imported from it: the types that a user sees are inferred
// from the driver that they pass, so that those without neo4j-driver install and type-check without it.

/** The part of neo4j-driver's `Result` that is looked at: whether someone is still reading it when it ends. */
export interface Neo4jResult {
  isOpen (): boolean
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

/** What `session.beginTransaction()` gives: a transaction to be used at once, or awaited. */
export interface Neo4jTransactionPromise extends Neo4jTransaction, PromiseLike<Neo4jTransaction> {}

/** The part of neo4j-driver's `Session` that the providers use. */
export interface Neo4jSession {
  run (query: never, parameters?: never): unknown
  beginTransaction (config?: { timeout?: number, metadata?: object }): Neo4jTransactionPromise
  lastBookmarks (): string[]
  close (): Promise<void>
}

/** The part of neo4j-driver's `Driver` that the providers use: `neo4j.driver(…)` has it, and so has `neogma.driver`. */
export interface Neo4jDriver {
  session (config?: object): Neo4jSession
  verifyConnectivity (): Promise<unknown>
  close (): Promise<void>
}

/** The `Session` of a driver: neo4j-driver's own. */
export type SessionFrom<D extends Neo4jDriver> = ReturnType<D['session']>

/** What `beginTransaction()` of a driver's sessions gives: neo4j-driver's own `Transaction`, which is also a promise of one. */
export type TransactionPromiseFrom<D extends Neo4jDriver> = ReturnType<SessionFrom<D>['beginTransaction']>

/** The `Transaction` of a driver: neo4j-driver's own. */
export type TransactionFrom<D extends Neo4jDriver> = Awaited<TransactionPromiseFrom<D>>

/** The `SessionConfig` of a driver. */
export type SessionConfigFrom<D extends Neo4jDriver> = NonNullable<Parameters<D['session']>[0]>
