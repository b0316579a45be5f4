import { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LinkedList, type Link } from '../util/linked-list.js'
import { nothing } from '../util/maybe-promise.js'

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
 * itself, and one of HTTP/2 only says it through its stream: all three are checked.
 */
export function isOver (request: RawRequest, reply: RawReply | undefined): boolean {
  if (reply !== undefined && (reply.destroyed || reply.closed)) return true
  if ('stream' in request) return (request.stream as { destroyed?: boolean } | undefined)?.destroyed !== false
  return request.socket.destroyed
}

/** True if the reply was sent completely. Call it only once the reply is over. */
export function isWhole (reply: RawReply): boolean {
  // A reply of `inject()` never counts as flushed, and one of HTTP/2 always does.
  return reply.writableEnded && (reply.writableFinished || 'isLightMyRequest' in reply)
}

/**
 * Calls `clientLeft()` when the connection of a request closes. Node emits no 'close' on a reply that still waits for
 * the replies before it, so that HTTP/1 is watched by its socket: one listener for all of its requests.
 *
 * @returns the list that the request is in now, and has to leave at its end; `undefined` where there is none; or that
 * the client has left already
 */
export function watchDeparture (departing: Departing, request: RawRequest, reply: RawReply | undefined): LinkedList<Departing> | 'over' | undefined {
  // An HTTP/2 request has a stand-in for its connection's socket, an `instanceof Socket` too: its stream is asked first.
  if (!('stream' in request) && request.socket instanceof Socket) {
    const socket: WatchedSocket = request.socket
    if (socket.destroyed || reply?.destroyed || reply?.closed) return afterEnd(reply)
    const list = socket[kDeparting] ?? watchSocket(socket)
    list.add(departing)
    return list
  }
  if (isOver(request, reply)) return afterEnd(reply)
  const connection = 'stream' in request ? request.stream as NodeJS.EventEmitter : reply
  connection?.on('close', () => departing.clientLeft())
  return undefined
}

/** After a whole reply the app's onResponse hooks may be under way, though the client is gone: the last one of them closes the session. */
function afterEnd (reply: RawReply | undefined): 'over' | undefined {
  return reply !== undefined && isWhole(reply) ? undefined : 'over'
}

function watchSocket (socket: WatchedSocket): LinkedList<Departing> {
  const list = socket[kDeparting] = new LinkedList<Departing>()
  socket.on('close', () => { for (const departing of list) departing.clientLeft() })
  return list
}

interface Payload {
  on? (event: 'error', listener: () => void): unknown
  pipe? (): unknown
  destroy? (): unknown
  cancel? (): Promise<unknown>
  readonly locked?: boolean
  readonly body?: unknown
  readonly status?: unknown
}

/** Headers that describe the payload that they were sent with, and how long it may be kept. */
const payloadHeaders = [
  'accept-ranges', 'cache-control', 'cdn-cache-control', 'content-digest', 'content-disposition', 'content-encoding', 'content-language', 'content-length',
  'content-location', 'content-range', 'content-type', 'digest', 'etag', 'expires', 'last-modified', 'repr-digest', 'surrogate-control', 'trailer', 'transfer-encoding',
]

/** A web `Response` brings its own status, which Fastify sets only after the last onSend hook: sets it before. */
export function takeStatusOf (reply: FastifyReply, payload: unknown): void {
  if (isObject(payload) && isResponse(payload) && typeof payload.status === 'number') reply.code(payload.status)
}

/** Fastify listens to a stream only once it sends it: one that fails before would end the process. */
export function ignoreErrorsOf (payload: unknown): void {
  if (isObject(payload) && payload.pipe !== undefined) payload.on?.('error', nothing)
}

/** Frees a payload that is not sent: a stream's file descriptor, the producer of a web stream. */
export function dropPayload (payload: unknown): void {
  if (!isObject(payload)) return
  if (isResponse(payload)) return dropPayload(payload.body)
  if (payload.pipe !== undefined) {
    payload.on?.('error', nothing)
    payload.destroy?.()
  } else if (payload.locked === false) {
    payload.cancel?.().catch(nothing)
  }
}

/** Removes the headers of a payload that another one replaces: an `etag` of it would turn an error into a 304. */
export function forgetPayloadHeaders (reply: FastifyReply): void {
  for (const name of payloadHeaders) reply.removeHeader(name)
}

function isObject (payload: unknown): payload is Payload {
  return typeof payload === 'object' && payload !== null
}

function isResponse (payload: Payload): boolean {
  return Object.prototype.toString.call(payload) === '[object Response]'
}
