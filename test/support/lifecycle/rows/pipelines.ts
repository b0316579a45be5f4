import type { FastifyReply, FastifyRequest } from 'fastify'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { barrier, type Barrier } from '../../barrier.js'
import type { Row } from '../row.js'
import type { Stage } from '../stage.js'

/** Two requests on one socket, whose client leaves while the first has no reply: Node emits no 'close' on the second's reply. */
export const pipelines: readonly Row[] = [
  {
    name: 'pipelined request, client leaves, handler still running',
    outcome: 'rolled-back',
    commits: 'without-headers',
    closesLast: false,
    async play (stage) {
      const [used, over] = [barrier(), barrier()]
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          used.open()
          await stage.provider.allClosed()
          await stage.refuses(request)
          over.open()
          return 'too late'
        },
      })
      const { socket, first } = await pipeline(stage)
      await used.opened
      socket.destroy()
      await over.opened
      first.open()
    },
  },
  {
    name: 'pipelined request, client leaves, its reply waits for the one before it',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    closesLast: false,
    async play (stage) {
      let waiting: FastifyReply | undefined
      const used = barrier()
      stage.route({
        handler: async (request, reply) => {
          await stage.use(request)
          waiting = reply
          used.open()
          return 'done'
        },
      })
      const { socket, first } = await pipeline(stage)
      await used.opened
      while (waiting?.raw.writableEnded !== true) await setImmediate()
      stage.t.equal(stage.provider.open, 1, 'it is open while its reply waits')
      socket.destroy()
      await stage.provider.allClosed()
      first.open()
    },
  },
  {
    name: 'pipelined request that is first used after its client has left: refused',
    outcome: 'rolled-back',
    commits: 'without-headers',
    closesLast: false,
    async play (stage) {
      const [used, otherBegun, over] = [barrier(), barrier(), barrier()]
      let other: FastifyRequest | undefined
      stage.app.get('/other', async (request) => {
        other = request
        otherBegun.open()
        await over.opened
      })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          used.open()
          await over.opened
        },
      })
      const { socket, first } = await pipeline(stage, '/', '/other')
      await used.opened
      await otherBegun.opened
      socket.destroy()
      await stage.provider.allClosed()
      await stage.t.rejects(async () => { await stage.session(other as FastifyRequest) }, { code: 'FST_SESSION_CLOSED' })
      over.open()
      first.open()
    },
  },
]

/** Sends a request whose reply has to wait for `first`, and others after it, on one socket. */
async function pipeline (stage: Stage, ...paths: string[]): Promise<{ socket: Socket, first: Barrier }> {
  const first = barrier()
  stage.app.get('/first', async () => {
    await first.opened
    return 'first'
  })
  const { port } = new URL(await stage.origin())
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  const all = ['/first', ...paths.length > 0 ? paths : ['/']]
  socket.write(all.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
  return { socket, first }
}
