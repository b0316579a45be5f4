import type { FastifyRequest, RouteOptions } from 'fastify'
import type { Row } from '../row.js'

/** What goes wrong once the reply is on its way: in the commit, in another plugin's hook, in the headers, after `send()`. */
export const send: readonly Row[] = [
  {
    name: 'commit that fails',
    outcome: 'rolled-back',
    always: 'rolled-back',
    commitFails: true,
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          await stage.spoilCommit(request)
          return 'done'
        },
      })
      const { status } = await stage.send()
      const { commit, spoil, spoiltStatus = 500 } = stage.harness
      const failed = spoil === undefined ? 500 : spoiltStatus
      stage.t.equal(status, commit === 'onSend' ? failed : 200, 'the reply is the error, unless it is out by then')
      await stage.provider.allClosed()
      if (commit === 'onSend') return
      stage.t.ok(stage.logged.some(({ level, err }) => level === 50 && err !== undefined), 'an error that the client is not told is logged')
    },
  },
  {
    name: "another plugin's onSend throws once",
    outcome: 'rolled-back',
    async play (stage) {
      let thrown = false
      stage.app.addHook('onSend', async () => {
        if (thrown) return
        thrown = true
        throw new Error("thrown by another plugin's onSend")
      })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      const { status, body } = await stage.send()
      stage.t.equal(status, 500)
      stage.t.match(body, "thrown by another plugin's onSend")
    },
  },
  {
    name: "another plugin's onSend throws always",
    outcome: 'rolled-back',
    commits: 'after-headers',
    async play (stage) {
      stage.app.addHook('onSend', async () => { throw new Error("thrown by another plugin's onSend") })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      stage.t.equal((await stage.send()).status, 500)
    },
  },
  {
    name: 'invalid header',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    async play (stage) {
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          return reply.header('x-invalid', 'line\nbreak').send('done')
        },
      })
      stage.t.equal((await stage.send()).status, 500)
      await stage.provider.allClosed()
      stage.t.equal(stage.logged.some(({ level, msg }) => level === 40 && msg.includes('was committed')),
        stage.isCommitted && stage.provider.commits === 'success', 'the log says that the work was kept although the reply is an error')
    },
  },
  {
    name: 'reply.send() and then a throw, in a callback',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        preHandler: async (request) => { await stage.use(request) },
        handler: (_request, reply) => {
          reply.send('sent')
          throw new Error('thrown after the reply')
        },
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'sent'])
    },
  },
  {
    name: 'reply.send() and then a throw, in an async handler',
    outcome: 'committed',
    async play (stage) {
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          reply.send('sent')
          throw new Error('thrown after the reply')
        },
      })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'sent'])
    },
  },
  ...Object.entries({ assigns: assignOnSend, pushes: pushOnSend }).map(([verb, add]): Row => ({
    name: `onSend hook that a later plugin ${verb} in its onRoute hook`,
    outcome: 'committed',
    async play (stage) {
      stage.app.addHook('onRoute', (route) => { add(route, async (request) => { await stage.use(request) }) })
      stage.route({ handler: async () => 'done' })
      const { status, body } = await stage.send()
      stage.t.strictSame([status, body], [200, 'done'])
    },
  })),
]

type OnSend = (request: FastifyRequest) => Promise<void>

function assignOnSend (route: RouteOptions, hook: OnSend): void {
  route.onSend = [...[route.onSend ?? []].flat(), hook]
}

function pushOnSend (route: RouteOptions, hook: OnSend): void {
  if (Array.isArray(route.onSend)) route.onSend.push(hook)
  else route.onSend = hook
}
