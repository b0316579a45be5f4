import type { Row } from '../row.js'

/** A reply, and whatever counts as one: committed. */
export const replies: readonly Row[] = [
  {
    name: 'reply',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'done'])
    },
  },
  {
    name: 'HEAD',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      const { status, headers, body } = await stage.send('/', { method: 'HEAD' })
      stage.t.strictSame([status, headers['content-length'], body], [200, '4', ''])
    },
  },
  {
    name: '204',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        method: 'PUT',
        handler: async (request, reply) => {
          await stage.use(request)
          return reply.code(204).send()
        },
      })
      stage.t.equal((await stage.send('/', { method: 'PUT' })).status, 204)
    },
  },
  {
    name: 'redirect',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          return reply.redirect('/elsewhere')
        },
      })
      const { status, headers } = await stage.send()
      stage.t.strictSame([status, headers.location], [302, '/elsewhere'])
    },
  },
  {
    name: 'early reply in a hook',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        preHandler: async (request, reply) => {
          await stage.use(request)
          return reply.send('from the hook')
        },
        handler: async () => stage.t.fail('the handler runs although a hook has replied'),
      })
      stage.t.equal((await stage.send()).body, 'from the hook')
    },
  },
  {
    name: 'reply to inject()',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      const { statusCode, body } = await stage.app.inject('/')
      stage.t.strictSame([statusCode, body], [200, 'done'])
    },
  },
]
