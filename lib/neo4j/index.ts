// Entry point of the package for graph sessions: fastify-request-session/neo4j. The main entry point exports the same.
export { neo4jSessions, neo4jTransactions } from './neo4j.js'
export type { Neo4jScope, Neo4jSessions, Neo4jTransactions } from './neo4j.js'
export type { Neo4jSessionConfig, Neo4jTransactionConfig } from './options.js'
export type { Neo4jDriver } from './driver-types.js'
