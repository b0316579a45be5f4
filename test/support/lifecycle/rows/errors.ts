import type { Row } from '../row.js'

/** The handler failed, or what comes before or after it: rolled back. */
export const errors: readonly Row[] = [
  {
    name: 'validation error',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        schema: { querystring: { type: 'object', required: ['missing'] } },
        preValidation: async (request) => { await stage.use(request) },
        handler: async () => stage.t.fail('the handler runs on a request that is not valid'),
      })
      stage.t.equal((await stage.send()).status, 400)
    },
  },
  {
    name: 'thrown error',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          throw new Error('thrown by the handler')
        },
      })
      const { status, body } = await stage.send()
      stage.t.equal(status, 500)
      stage.t.match(body, 'thrown by the handler')
    },
  },
  {
    name: 'error thrown by a hook',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        preHandler: async (request) => {
          await stage.use(request)
          throw new Error('thrown by a hook')
        },
        handler: async () => stage.t.fail('the handler runs although a hook has thrown'),
      })
      stage.t.equal((await stage.send()).status, 500)
    },
  },
  {
    name: 'error handler that throws',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          throw new Error('thrown by the handler')
        },
        errorHandler: () => { throw new Error('thrown by the error handler') },
      })
      const { status, body } = await stage.send()
      stage.t.equal(status, 500)
      stage.t.match(body, 'thrown by the error handler')
    },
  },
  {
    name: 'error handler that answers 200',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          throw new Error('thrown by the handler')
        },
        errorHandler: (_error, _request, reply) => reply.code(200).send('all is well'),
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'all is well'])
    },
  },
  {
    name: '404 without a route',
    outcome: 'rolled-back',
    async play (stage) {
      stage.app.addHook('onRequest', async (request) => { await stage.use(request) })
      stage.t.equal((await stage.send('/nowhere')).status, 404)
    },
  },
  {
    name: '404 of the not-found handler',
    outcome: 'rolled-back',
    async play (stage) {
      stage.app.setNotFoundHandler(async (request, reply) => {
        await stage.use(request)
        return reply.code(404).send('nothing here')
      })
      const { status, body } = await stage.send('/nowhere')
      stage.t.strictSame([status, body], [404, 'nothing here'])
    },
  },
  {
    name: '404 of reply.callNotFound()',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          return reply.callNotFound()
        },
      })
      stage.t.equal((await stage.send()).status, 404)
    },
  },
  {
    name: '200 of the not-found handler',
    outcome: 'committed',
    async play (stage) {
      stage.app.setNotFoundHandler(async (request, reply) => {
        await stage.use(request)
        return reply.code(200).send('made up')
      })
      const { status, body } = await stage.send('/nowhere')
      stage.t.strictSame([status, body], [200, 'made up'])
    },
  },
  ...[400, 404, 500, 503].map((code): Row => ({
    name: `returned ${code} without a throw`,
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          return reply.code(code).send('no')
        },
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [code, 'no'])
    },
  })),
  {
    name: 'web Response with status 409',
    outcome: 'rolled-back',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return new Response('no', { status: 409 })
        },
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [409, 'no'])
    },
  },
]
