import type { FastifyReply } from 'fastify'
import { nothing } from '../util/maybe-promise.js'

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
