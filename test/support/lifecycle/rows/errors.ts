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
]
