import type { FastifyReply } from 'fastify'

type RawReply = FastifyReply['raw']

/** Whether the client has left or the reply is over: its `close` has come or is about to, and a listener added now may never hear it. */
export function isGone (raw: RawReply): boolean {
  // A reply of HTTP/2 only says it through its stream.
  return raw.destroyed || raw.closed || ('stream' in raw && (raw.stream as { destroyed?: boolean } | undefined)?.destroyed !== false)
}

/** Whether the reply went out to its end; asked when it is over. */
export function isWhole (raw: RawReply): boolean {
  // What `inject()` makes never counts as flushed, and what HTTP/2 makes always does.
  return raw.writableEnded && (raw.writableFinished || 'isLightMyRequest' in raw)
}
