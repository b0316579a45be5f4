import { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LinkedList, type Link } from '../util/linked-list.js'

type RawRequest = FastifyRequest['raw']
type RawReply = FastifyReply['raw']

/** A request that is told when its client leaves. */
export interface Departing extends Link<Departing> {
  clientLeft (): void
}

const kDeparting = Symbol('fastify-request-session.departing')

interface WatchedSocket extends Socket { [kDeparting]?: LinkedList<Departing> }

/**
 * True once the reply is over or the client has left. A pipelined reply that never had the socket does not say so
 * itself, and one of HTTP/2 only says it through its stream: all three are asked.
 */
export function isOver (request: RawRequest, reply: RawReply | undefined): boolean {
  if (reply !== undefined && (reply.destroyed || reply.closed)) return true
  if ('stream' in request) return (request.stream as { destroyed?: boolean } | undefined)?.destroyed !== false
  return request.socket.destroyed
}

/** True if the reply went out to its end; asked when it is over. */
export function isWhole (reply: RawReply): boolean {
  // A reply of `inject()` never counts as flushed, and one of HTTP/2 always does.
  return reply.writableEnded && (reply.writableFinished || 'isLightMyRequest' in reply)
}

/**
 * Calls `clientLeft()` when the connection of a request closes. Node emits no 'close' on a reply that still waits for
 * the replies before it, so that HTTP/1 is watched by its socket: one listener for all of its requests.
 *
 * @returns the list that the request is in now, and has to leave at its end; `undefined` where there is none
 */
export function watchDeparture (departing: Departing, request: RawRequest, reply: RawReply | undefined): LinkedList<Departing> | undefined {
  const { socket } = request
  if (socket instanceof Socket) {
    const list = (socket as WatchedSocket)[kDeparting] ?? watchSocket(socket)
    list.add(departing)
    return list
  }
  const connection = 'stream' in request ? request.stream as NodeJS.EventEmitter : reply
  connection?.on('close', () => departing.clientLeft())
  return undefined
}

function watchSocket (socket: WatchedSocket): LinkedList<Departing> {
  const list = socket[kDeparting] = new LinkedList<Departing>()
  socket.on('close', () => { for (const departing of list) departing.clientLeft() })
  return list
}
