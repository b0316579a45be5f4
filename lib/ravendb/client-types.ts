// The parts of RavenDB's client that the provider's types need. Nothing is imported from it: a user's types are inferred
// from the store that is passed, and users without ravendb can install and type-check.

/**
 * The part of RavenDB's `DocumentStore` that the types of the provider use.
 *
 * @example
 * ```ts
 * import { DocumentStore } from 'ravendb'
 * import { ravenSessions, type RavenStore } from 'fastify-request-session'
 *
 * const documentsOf = <S extends RavenStore>(store: S) => ravenSessions(store, 'shop')
 * const store = new DocumentStore(process.env.RAVENDB_URL ?? 'http://localhost:8080', 'shop').initialize()
 * console.log(documentsOf(store).kind)
 * store.dispose()
 * ```
 */
export interface RavenStore {
  openSession (options?: any): any
  getRequestExecutor (database?: string): unknown
}

/** RavenDB's own `IDocumentSession`. */
export type DocumentSessionFrom<S extends RavenStore> = ReturnType<S['openSession']>

/** RavenDB's own `SessionOptions`: the argument of the one of three overloads that takes an object. */
export type SessionOptionsFrom<S extends RavenStore> =
  S['openSession'] extends { (...args: infer A): unknown, (...args: infer B): unknown, (...args: infer C): unknown } ? Extract<(A | B | C)[number], object> : never
