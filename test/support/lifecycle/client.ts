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
  /** The reply's head; rejects if none came. */
  readonly response: Promise<IncomingMessage>
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
  const received = response.then(read)
  // A client that leaves does not care, and neither does the process.
  response.catch(() => {})
  received.catch(() => {})
  if (body !== undefined) sent.write(body)
  if (end) sent.end()
  else sent.flushHeaders()
  return { request: sent, response, received, leave: () => { sent.destroy() } }
}

async function read (response: IncomingMessage): Promise<Received> {
  let body = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response) body += chunk as string
  } catch {
    // cut off: `complete` says so
  }
  return { status: response.statusCode as number, headers: response.headers, body, whole: response.complete }
}
