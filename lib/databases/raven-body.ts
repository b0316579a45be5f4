import type { Readable } from 'node:stream'
import type { RavenCommand } from 'ravendb'
import { nothing } from '../maybe-promise.js'

type Send = RavenCommand<unknown>['send']
type Reader = ReadableStreamDefaultReader<Uint8Array>
type Chunk = Awaited<ReturnType<Reader['read']>>
type Fetch = (uri: string, options?: RequestInit) => Promise<Response>

/**
 * Lets an answer that is cut off fail its command. RavenDB's client (7.2) does not listen for the errors of an
 * answer's body: a server that dies in the middle of one would end this process, and leave the command waiting.
 */
export function guardBody (command: RavenCommand<unknown>): void {
  const send: Send = command.send
  // Not assigned where they are written: V8 allocates such functions as if they stayed, and with them all that they hold.
  const sendGuarded: Send = (agent, options) => {
    const cut = new CutBody()
    const fetchIt = (options.fetcher as Fetch | undefined) ?? fetch
    const fetchGuarded: Fetch = (uri, init) => fetchIt(uri, init).then((response) => cut.watch(response))
    options.fetcher = fetchGuarded
    return (Reflect.apply(send, command, [agent, options]) as ReturnType<Send>).then((answer) => {
      if (answer.response.body !== null) cut.passTo(answer.bodyStream)
      return answer
    })
  }
  command.send = sendGuarded
}

/** Passes the error of an answer's body on to the stream that the client reads it from. */
class CutBody {
  /** Until the body is at its end: fetch() keeps the body for longer, and with it what hangs on it. */
  #stream: Readable | undefined
  #error: Error | undefined

  watch (response: Response): Response {
    const { body } = response
    if (body === null) return response
    const { getReader } = body
    const getWatchedReader = (): CutReader => new CutReader(Reflect.apply(getReader, body, []) as Reader, this)
    Object.assign(body, { getReader: getWatchedReader })
    return response
  }

  passTo (stream: Readable): void {
    this.#stream = stream
    if (this.#error !== undefined) this.#destroy()
  }

  fail (error: unknown): void {
    this.#error = error instanceof Error ? error : new Error('The answer was cut off.', { cause: error })
    this.#destroy()
  }

  end (): void {
    this.#stream = undefined
  }

  #destroy (): void {
    this.#stream?.on('error', nothing).destroy(this.#error)
  }
}

/** The part of a reader that `Readable.fromWeb()` uses. For it, a body that is cut off just ends. */
class CutReader implements Pick<Reader, 'read' | 'cancel' | 'closed'> {
  readonly closed: Promise<undefined>
  readonly #reader: Reader
  readonly #body: CutBody

  constructor (reader: Reader, body: CutBody) {
    this.#reader = reader
    this.#body = body
    this.closed = reader.closed.catch(nothing) as Promise<undefined>
  }

  read (): Promise<Chunk> {
    return this.#reader.read().then((chunk) => {
      if (chunk.done) this.#body.end()
      return chunk
    }, (error: unknown) => {
      this.#body.fail(error)
      return { done: true, value: undefined }
    })
  }

  cancel (reason: unknown): Promise<void> {
    return this.#reader.cancel(reason)
  }
}
