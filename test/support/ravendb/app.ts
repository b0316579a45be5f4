import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import requestSession, { type GetSessionOf, type RavenProvider, type RequestSessionOptions, type SessionOf, type SessionScope, type SessionStats } from '../../../lib/index.js'

declare module 'fastify' {
  interface FastifyRequest {
    documents: SessionOf<RavenProvider>
    documentsScope: SessionScope
  }
  interface FastifyInstance {
    getDocuments: GetSessionOf<RavenProvider>
  }
}

/** An app with document sessions as `request.documents`; closed when the test is over. */
export async function documentsApp (
  t: Test, provider: RavenProvider, options: Omit<RequestSessionOptions, 'name' | 'provider'> = {}, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(requestSession, { ...options, name: 'documents', provider })
  return app
}

export function statsOf (app: FastifyInstance): SessionStats {
  return (app as FastifyInstance & { sessionStats: () => Record<string, SessionStats> }).sessionStats()['documents'] as SessionStats
}

/** A document of the tests. */
export interface Note {
  text: string
}
