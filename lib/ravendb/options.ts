import type { FastifyRequest } from 'fastify'
import type { RavenStore, SessionOptionsFrom } from './client-types.js'

/**
 * Options of a document session: RavenDB's own, and the deadline of a save.
 *
 * @example
 * ```ts
 * import type { DocumentStore } from 'ravendb'
 * import type { RavenSessionOptions } from 'fastify-request-session'
 *
 * const options: RavenSessionOptions<DocumentStore> = { database: 'shop', optimisticConcurrencyMode: 'Writes', commitTimeout: 5000 }
 * console.log(options.commitTimeout)
 * ```
 */
export type RavenSessionOptions<S extends RavenStore = RavenStore> = { [Option in keyof SessionOptionsFrom<S>]?: SessionOptionsFrom<S>[Option] | undefined } & {
  /**
   * Milliseconds that `saveChanges()` may take, at commit or in a handler: RavenDB's client would wait forever.
   * After it, or up to a sixteenth later, the outcome is unknown (`FST_SESSION_OUTCOME_UNKNOWN`). Make it longer than the waits of
   * `waitForReplicationAfterSaveChanges()` and `waitForIndexesAfterSaveChanges()`.
   * @default 15000
   */
  commitTimeout?: number | undefined
}

/**
 * Options of one `getSession()` call: the name of a database, or session options.
 *
 * @example
 * ```ts
 * import type { DocumentStore } from 'ravendb'
 * import type { RavenCallOptions } from 'fastify-request-session'
 *
 * const nightlyJob: RavenCallOptions<DocumentStore> = 'reports'
 * const largeImport: RavenCallOptions<DocumentStore> = { database: 'shop', commitTimeout: 60_000 }
 * console.log(nightlyJob, largeImport)
 * ```
 */
export type RavenCallOptions<S extends RavenStore = RavenStore> = string | RavenSessionOptions<S>

/**
 * Returns session options for a request: a database per tenant for example. They are checked before a session is opened;
 * wrong ones are an `OptionError` (`FST_SESSION_OPTION`), as are `undefined` and a database of `undefined`: throw a 404 for an
 * unknown tenant. `{}` leaves all options to the store and the route.
 *
 * @example
 * ```ts
 * import type { DocumentStore } from 'ravendb'
 * import type { RavenOptionsOf } from 'fastify-request-session'
 *
 * const databases = new Map([['acme.example', 'acme'], ['zenith.example', 'zenith']])
 * const tenantOptions: RavenOptionsOf<DocumentStore> = (request) => {
 *   const database = databases.get(request.hostname)
 *   if (database === undefined) throw Object.assign(new Error('Unknown tenant'), { statusCode: 404 })
 *   return database
 * }
 * console.log(tenantOptions.length)
 * ```
 */
export type RavenOptionsOf<S extends RavenStore = RavenStore> = (request: FastifyRequest) => RavenCallOptions<S>
