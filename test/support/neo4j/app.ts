import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import type { Session } from 'neo4j-driver'
import type { Test } from 'tap'
import requestSession, {
  type GetSessionOf, type GetTransactionOf, type Neo4jSessions, type Neo4jTransactions, type RequestSessionOptions, type SessionScope, type SessionStats,
} from '../../../lib/index.js'
import type { Neo4jDriver } from '../../../lib/index.js'

export type LazyTransaction = ReturnType<Session['beginTransaction']>

// Typed by hand, since these tests register providers of different types under one name.
export const sessionOf = (request: FastifyRequest): Session => Reflect.get(request, 'graph') as Session
export const transactionOf = (request: FastifyRequest): LazyTransaction => (request as { readonly graph?: unknown }).graph as LazyTransaction
export const scopeOf = (request: FastifyRequest): SessionScope => Reflect.get(request, 'graphScope') as SessionScope

/** An app with the provider registered as `graph`, and its log; closed with the test. */
export interface GraphApp<P extends Neo4jSessions<D> | Neo4jTransactions<D>, D extends Neo4jDriver> {
  readonly app: FastifyInstance & { getGraph: GetSessionOf<P>, getGraphTransaction: GetTransactionOf<P> }
  readonly logged: Array<{ level: number, msg: string, err?: { code?: string, message: string, problem?: string } }>
  stats (): SessionStats
  /** Resolves once no session is open: they are closed when the reply is out already. */
  allClosed (): Promise<void>
}

export async function graphApp<D extends Neo4jDriver, P extends Neo4jSessions<D> | Neo4jTransactions<D>> (
  t: Test, provider: P, options?: RequestSessionOptions, server?: FastifyServerOptions
): Promise<GraphApp<P, D>> {
  const logged: GraphApp<P, D>['logged'] = []
  const app = Fastify({
    ...server,
    logger: { level: 'info', stream: { write: (line: string) => { logged.push(JSON.parse(line) as GraphApp<P, D>['logged'][number]) } } },
  })
  t.teardown(() => app.close())
  await app.register(requestSession, { ...options, name: 'graph', provider })
  const stats = (): SessionStats => app.sessionStats()['graph'] as SessionStats
  const allClosed = async (): Promise<void> => { while (stats().open > 0) await new Promise(setImmediate) }
  return { allClosed, app: app as unknown as GraphApp<P, D>['app'], logged, stats }
}
