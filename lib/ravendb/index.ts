// Entry point of the package for document sessions: fastify-request-session/ravendb. The main entry point exports the same.
export { ravenSessions } from './ravendb.js'
export type { RavenProvider } from './ravendb.js'
export type { RavenStore } from './client-types.js'
export type { RavenCallOptions, RavenOptionsOf, RavenSessionOptions } from './options.js'
