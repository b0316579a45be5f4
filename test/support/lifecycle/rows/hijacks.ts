import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Row } from '../row.js'
import type { Stage } from '../stage.js'

/** Hijacked replies: Fastify never runs onSend, so that the scope is settled at the end, or by an explicit commit(). */
export const hijacks: readonly Row[] = [
  {
    name: 'hijack, then raw.end()',
    outcome: 'committed',
    commits: 'after-headers',
    async play (stage) {
      hijacked(stage, (_request, { raw }) => { raw.end('raw') })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'raw'])
    },
  },
  {
    name: 'hijack, then raw.end() with a 500',
    outcome: 'rolled-back',
    commits: 'after-headers',
    async play (stage) {
      hijacked(stage, (_request, { raw }) => { raw.writeHead(500).end('raw') })
      stage.t.equal((await stage.send()).status, 500)
    },
  },
  {
    name: 'hijack with an explicit commit()',
    outcome: 'committed',
    commits: 'before-headers',
    async play (stage) {
      hijacked(stage, async (request, { raw }) => {
        await stage.scope(request).commit()
        stage.t.equal(stage.scope(request).outcome, 'committed')
        raw.end('raw')
      })
      stage.t.equal((await stage.send()).body, 'raw')
    },
  },
  {
    name: 'hijack and abort (SSE)',
    outcome: 'rolled-back',
    commits: 'after-headers',
    async play (stage) {
      hijacked(stage, (_request, { raw }) => {
        raw.writeHead(200, { 'content-type': 'text/event-stream' })
        raw.write('data: first\n\n')
      })
      await leaveAfterFirst(stage)
    },
  },
  {
    name: 'hijack and abort (SSE) after an explicit commit()',
    outcome: 'committed',
    commits: 'before-headers',
    async play (stage) {
      hijacked(stage, async (request, { raw }) => {
        await stage.scope(request).commit()
        raw.writeHead(200, { 'content-type': 'text/event-stream' })
        raw.write('data: first\n\n')
      })
      await leaveAfterFirst(stage)
    },
  },
]

function hijacked (stage: Stage, answer: (request: FastifyRequest, reply: FastifyReply) => void | Promise<void>): void {
  stage.route({
    handler: async (request, reply) => {
      await stage.use(request)
      reply.hijack()
      await answer(request, reply)
    },
  })
}

async function leaveAfterFirst (stage: Stage): Promise<void> {
  const exchange = await stage.begin()
  await exchange.first
  exchange.leave()
  await stage.provider.allClosed()
}
