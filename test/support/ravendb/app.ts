import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { DocumentStore } from 'ravendb'
import type { Test } from 'tap'
import requestSession, { type RavenProvider, type RequestSessionOptions, type SessionStats } from '../../../lib/index.js'

declare module 'fastify-request-session' { interface Registered { documents: RavenProvider<DocumentStore> } }

/** An app with document sessions as `request.documents`; closed when the test is over. */
export async function documentsApp (
  t: Test, provider: RavenProvider<DocumentStore>, options: Omit<RequestSessionOptions, 'name' | 'provider'> = {}, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(requestSession, { ...options, name: 'documents', provider })
  return app
}

export function statsOf (app: FastifyInstance): SessionStats {
  return app.sessionStats().documents
}

/** A document of the tests. */
export interface Note {
  text: string
}
