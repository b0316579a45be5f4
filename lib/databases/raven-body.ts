import type { Readable } from 'node:stream'
import type { RavenCommand } from 'ravendb'
import { nothing } from '../maybe-promise.js'

type Send = RavenCommand<unknown>['send']
type Fetch = (uri: string, options?: RequestInit) => Promise<Response>

/**
 * Lets an answer that is cut off fail its command. RavenDB's client (7.2) does not listen for the errors of an
 * answer's body: a server that dies in the middle of one would end this process, and leave the command waiting.
 */
export function guardBody (command: RavenCommand<unknown>): void {
  const send: Send = command.send
  command.send = function sendGuarded (agent, options) {
    const cut = new CutBody()
    const fetchIt = (options.fetcher as Fetch | undefined) ?? fetch
    options.fetcher = (uri: string, init?: RequestInit) => fetchIt(uri, init).then((response) => cut.watch(response))
    return (Reflect.apply(send, command, [agent, options]) as ReturnType<Send>).then((answer) => {
      cut.passTo(answer.bodyStream)
      return answer
    })
  }
}

/** Passes the error of an answer's body on to the stream that the client reads it from. */
class CutBody {
  /** Until the body is at its end: fetch() keeps the body for longer, and with it what hangs on it. */
  #stream: Readable | undefined
  #error: Error | undefined

  watch (response: Response): Response {
    const { body } = response
    if (body === null) return response
    const getReader = body.getReader.bind(body) as () => ReadableStreamDefaultReader<Uint8Array>
    Object.defineProperty(body, 'getReader', { value: () => this.#watchReader(getReader()) })
    return response
  }

  passTo (stream: Readable): void {
    this.#stream = stream
    stream.on('error', nothing)
    if (this.#error !== undefined) stream.destroy(this.#error)
  }

  /** The part of a reader that `Readable.fromWeb()` uses. For it, a body that is cut off just ends. */
  #watchReader (reader: ReadableStreamDefaultReader<Uint8Array>): Pick<typeof reader, 'read' | 'cancel' | 'closed'> {
    const fail = (error: unknown): { done: true, value: undefined } => {
      this.#fail(error)
      return { done: true, value: undefined }
    }
    return {
      read: () => reader.read().then((chunk) => {
        if (chunk.done) this.#stream = undefined
        return chunk
      }, fail),
      cancel: (reason) => reader.cancel(reason),
      closed: reader.closed.catch(nothing),
    }
  }

  #fail (error: unknown): void {
    this.#error = error instanceof Error ? error : new Error('The answer was cut off.', { cause: error })
    this.#stream?.destroy(this.#error)
  }
}
