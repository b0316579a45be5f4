import { Readable } from 'node:stream'
import type { RavenCommand } from 'ravendb'
import { nothing } from '../util/maybe-promise.js'
import { defineProperty } from '../util/method-override.js'

type Send = RavenCommand<unknown>['send']
type Fetch = (uri: string, options?: RequestInit) => Promise<Response>

/**
 * Makes a command fail when its answer is cut off. RavenDB's client (7.2) does not listen for errors of an answer's
 * body: a server that dies in the middle of one would end this process, and leave the command waiting.
 */
export function guardAnswerBody (command: RavenCommand<unknown>): void {
  const send: Send = command.send
  // V8 allocates a function literal that is assigned straight to a property in old space, where it keeps all that it
  // refers to alive: each is created in a local variable first.
  const sendGuarded: Send = (agent, options) => {
    let body: ReadableStream<Uint8Array> | null = null
    const fetchAnswer = (options.fetcher as Fetch | undefined) ?? fetch
    const fetchGuarded: Fetch = (uri, init) => fetchAnswer(uri, init).then((response) => {
      body = response.body
      // The client would pipe the body without a listener for its errors.
      if (body !== null) defineProperty(response, 'body', { value: null })
      return response
    })
    options.fetcher = fetchGuarded
    return (Reflect.apply(send, command, [agent, options]) as ReturnType<Send>).then((answer) => {
      if (body !== null) answer.bodyStream = new AnswerBody(body)
      return answer
    })
  }
  command.send = sendGuarded
}

/** Replaces the client's own stream, which is paused too until the client wants to read. */
class AnswerBody extends Readable {
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
