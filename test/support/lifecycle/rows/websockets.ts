import websocket from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Row } from '../row.js'
import type { Stage } from '../stage.js'

/** WebSockets are hijacked for good: the session lives as long as the socket. */
export const websockets: readonly Row[] = [
  {
    name: 'WebSocket upgrade',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      await converse(stage, async (request) => { await stage.use(request) })
    },
  },
  {
    name: 'WebSocket upgrade, with an explicit commit()',
    outcome: 'committed',
    commits: 'without-headers',
    async play (stage) {
      await converse(stage, async (request) => {
        await stage.use(request)
        await stage.scope(request).commit()
      })
    },
  },
  {
    name: 'WebSocket upgrade, session used in a hook',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      stage.app.addHook('preHandler', async (request) => { await stage.use(request) })
      await converse(stage, async () => {})
    },
  },
  {
    name: 'WebSocket upgrade, closed by app.close()',
    outcome: 'rolled-back',
    commits: 'without-headers',
    closesLast: false,
    async play (stage) {
      await converse(stage, async (request) => { await stage.use(request) }, async (socket) => {
        await Promise.all([once(socket, 'close'), stage.app.close()])
      })
    },
  },
]

/** @param end how the conversation ends: by the client, unless it says otherwise */
async function converse (
  stage: Stage, hear: (request: FastifyRequest) => Promise<void>, end = (socket: WebSocket): void | Promise<void> => { socket.close() }
): Promise<void> {
  await stage.app.register(websocket)
  stage.route({
    handler: async () => stage.t.fail('an upgrade is no ordinary request'),
    wsHandler: (socket, request) => {
      socket.once('message', () => {
        hear(request).then(() => { socket.send('heard') }, stage.t.threw)
      })
    },
  })
  const socket = new WebSocket((await stage.origin()).replace('http', 'ws'))
  await once(socket, 'open')
  socket.send('hello')
  await once(socket, 'message')
  stage.t.equal(stage.provider.open, 1, 'the session is open as long as the socket')
  await end(socket)
  await stage.provider.allClosed()
}
