import { once } from 'node:events'
import type { FastifyInstance, FastifyReply } from 'fastify'

/** Milliseconds between two signs of life, so that nothing on the way takes the connection for dead. */
const heartbeat = 15_000

/** An answer that goes on: server-sent events. */
export interface EventStream {
  /** Resolves once the client can take more: a slow one slows its sender down. */
  send (event: string, data: unknown): Promise<void>
  /** Does something for a stream that has begun. A failure can only end it: the page comes back, and is answered with a status then. */
  attempt (work: () => Promise<unknown>): Promise<void>
  end (): void
  /** Called when the client has left, or the stream was ended. */
  onEnd (listener: () => void): void
}

/** Opens streams, and ends them all when the app closes: it would wait for them otherwise. */
export function eventStreams (app: FastifyInstance): (reply: FastifyReply) => EventStream {
  const open = new Set<EventStream>()
  app.addHook('preClose', async () => { for (const stream of open) stream.end() })

  return (reply) => {
    const { raw } = reply.hijack()
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    raw.flushHeaders()
    const beat = setInterval(() => { raw.write(':\n\n') }, heartbeat)
    const stream: EventStream = {
      async send (event, data) {
        if (raw.destroyed || raw.writableEnded) return
        if (!raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)) await Promise.race([once(raw, 'drain'), once(raw, 'close')])
      },
      async attempt (work) {
        await work().catch((error: unknown) => {
          app.log.error(error, 'a stream of events failed')
          raw.end()
        })
      },
      end () { raw.end() },
      onEnd (listener) {
        if (raw.closed) listener()
        else raw.once('close', listener)
      },
    }
    open.add(stream)
    stream.onEnd(() => {
      clearInterval(beat)
      open.delete(stream)
    })
    return stream
  }
}
