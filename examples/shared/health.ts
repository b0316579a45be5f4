import type { FastifyInstance } from 'fastify'

/** `GET /api/health` tells whether the database of the sessions works: for the pages, and for a load balancer. */
export async function health (app: FastifyInstance): Promise<void> {
  app.get('/api/health', async (_request, reply) => {
    const { ok } = await app.sessionHealth()
    return reply.code(ok ? 200 : 503).send({ ok })
  })
}
