import type { FastifyRequest } from 'fastify'
import { barrier } from '../../barrier.js'
import type { Row } from '../row.js'
import type { Stage } from '../stage.js'

/** The client leaves before it has a reply: rolled back, and what the handler does later is refused. */
export const departures: readonly Row[] = [
  {
    name: 'client leaves, GET, handler still running',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      await leaves(stage, 'GET', async (request) => {
        await stage.refuses(request)
        return 'too late'
      })
    },
  },
  {
    name: 'client leaves, POST with its body read',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      await leaves(stage, 'POST', async (request) => {
        await stage.refuses(request)
        return 'too late'
      })
    },
  },
  {
    name: 'client leaves, async handler resolves undefined',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      await leaves(stage, 'GET', async () => undefined)
    },
  },
  {
    name: 'client leaves, async handler throws',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      await leaves(stage, 'GET', async () => { throw new Error('thrown for nobody') })
    },
  },
  {
    name: 'client leaves while the commit is under way',
    outcome: 'committed',
    commits: 'whenever',
    async play (stage) {
      const [committing, gone] = [barrier(), barrier()]
      stage.provider.before.commit = () => {
        committing.open()
        return gone.opened
      }
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          reply.raw.once('close', gone.open)
          return 'done'
        },
      })
      const exchange = await stage.begin()
      await committing.opened
      exchange.leave()
    },
  },
  {
    name: 'client leaves during upload',
    outcome: 'rolled-back',
    commits: 'whenever',
    async play (stage) {
      const used = barrier()
      stage.route({
        method: 'POST',
        onRequest: async (request) => {
          await stage.use(request)
          used.open()
        },
        handler: async () => stage.t.fail('the handler runs without a whole body'),
      })
      const headers = { 'content-type': 'application/json', 'content-length': '100' }
      const exchange = await stage.begin('/', { method: 'POST', headers }, '{"half":', false)
      await used.opened
      exchange.leave()
      await stage.provider.allClosed()
    },
  },
]

/** Plays a client that leaves while the handler runs; the handler goes on once the session is closed. */
async function leaves (stage: Stage, method: 'GET' | 'POST', goOn: (request: FastifyRequest) => Promise<unknown>): Promise<void> {
  const used = barrier()
  const over = barrier()
  stage.route({
    method,
    handler: async (request) => {
      await stage.use(request)
      used.open()
      await stage.provider.allClosed()
      try {
        return await goOn(request)
      } finally {
        over.open()
      }
    },
  })
  const exchange = method === 'GET'
    ? await stage.begin()
    : await stage.begin('/', { method, headers: { 'content-type': 'application/json' } }, '{"whole":true}')
  await used.opened
  exchange.leave()
  await over.opened
}
