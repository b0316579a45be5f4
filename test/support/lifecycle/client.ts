import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'

/** A reply as the client has it. */
export interface Received {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Whether it arrived to its end. */
  readonly whole: boolean
}

/** A request under way on a socket of its own: to be read, or to be left. */
export interface Exchange {
  readonly request: ClientRequest
  /** Resolves when the first part of the reply's body is there; rejects if not even its head came. */
  readonly first: Promise<void>
  /** The whole reply, or what came of it; rejects if not even its head came. */
  readonly received: Promise<Received>
  /** Closes the socket. */
  leave (): void
}

/** @param end whether the request is complete with this; otherwise its body is still to be written to `request` */
export function exchange (url: string, options: RequestOptions = {}, body?: string, end = true): Exchange {
  const sent = request(url, { agent: false, ...options })
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.on('error', reject)
  })
  const first = response.then(async (response) => { await once(response, 'data') })
  const received = response.then(read)
  // A client that leaves does not care, and neither does the process.
  first.catch(() => {})
  received.catch(() => {})
  if (body !== undefined) sent.write(body)
  if (end) sent.end()
  else sent.flushHeaders()
  return { request: sent, first, received, leave: () => { sent.destroy() } }
}

async function read (response: IncomingMessage): Promise<Received> {
  let body = ''
  response.setEncoding('utf8').on('data', (chunk: string) => { body += chunk })
  response.on('error', () => {}) // cut off: `complete` says so
  await new Promise((resolve) => { response.once('close', resolve) })
  return { status: response.statusCode as number, headers: response.headers, body, whole: response.complete }
}
