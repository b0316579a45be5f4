import { Readable } from 'node:stream'
import type { RavenCommand } from 'ravendb'
import { nothing } from '../util/maybe-promise.js'
import { define } from '../util/method-override.js'

type Send = RavenCommand<unknown>['send']
type Fetch = (uri: string, options?: RequestInit) => Promise<Response>

/**
 * Lets an answer that is cut off fail its command. RavenDB's client (7.2) does not listen for the errors of an
 * answer's body: a server that dies in the middle of one would end this process, and leave the command waiting.
 */
export function guardBody (command: RavenCommand<unknown>): void {
  const send: Send = command.send
  // Not assigned where they are written: V8 allocates such functions as if they stayed, and with them all that they hold.
  const sendGuarded: Send = (agent, options) => {
    let body: ReadableStream<Uint8Array> | null = null
    const fetchIt = (options.fetcher as Fetch | undefined) ?? fetch
    const fetchGuarded: Fetch = (uri, init) => fetchIt(uri, init).then((response) => {
      body = response.body
      // The client would pipe it, and leave its errors to nobody.
      if (body !== null) define(response, 'body', { value: null })
      return response
    })
    options.fetcher = fetchGuarded
    return (Reflect.apply(send, command, [agent, options]) as ReturnType<Send>).then((answer) => {
      if (body !== null) answer.bodyStream = new Body(body)
      return answer
    })
  }
  command.send = sendGuarded
}

/** An answer's body, in place of the client's own stream, which is paused too until the client wants to read. */
class Body extends Readable {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>

  constructor (body: ReadableStream<Uint8Array>) {
    super()
    this.#reader = body.getReader()
    this.on('error', nothing)
    this.pause()
  }

  override _read (): void {
    this.#reader.read().then(({ done, value }) => {
      this.push(done ? null : value)
    }, (error: unknown) => {
      this.destroy(error instanceof Error ? error : new Error('The answer was cut off.', { cause: error }))
    })
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.readableEnded) {
      callback(error)
      return
    }
    const done = (): void => { callback(error) }
    this.#reader.cancel(error).then(done, done)
  }
}
