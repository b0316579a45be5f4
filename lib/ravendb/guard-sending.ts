import { Readable } from 'node:stream'
import type { RavenCommand } from 'ravendb'
import { nothing } from '../util/maybe-promise.js'
import { defineProperty } from '../util/method-override.js'

type Send = RavenCommand<unknown>['send']
type Fetch = (uri: string, options?: RequestInit) => Promise<Response>

/** One save on its way to the server. */
export class Sending {
  /** True once the connection has the command: from then on the server may have it. */
  begun = false
  readonly #controller = new AbortController()

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  /** Abandons the connection, and stops sending the command, to other nodes of the cluster too. */
  abandon (): void {
    this.#controller.abort()
  }
}

/**
 * Makes a command fail when its answer is cut off. RavenDB's client (7.2) does not listen for errors of an answer's
 * body: a server that dies in the middle of one would end this process, and leave the command waiting.
 *
 * @param sending for a save: notes that it was sent, and can abandon it
 */
export function guardSending (command: RavenCommand<unknown>, sending?: Sending): void {
  const send: Send = command.send
  // V8 allocates a function literal that is assigned straight to a property in old space, where it keeps all that it
  // refers to alive: each is created in a local variable first.
  const sendGuarded: Send = (agent, options) => {
    if (sending?.signal.aborted === true) return Promise.reject(abandonedError())
    let body: ReadableStream<Uint8Array> | null = null
    const fetchAnswer = (options.fetcher as Fetch | undefined) ?? fetch
    const fetchGuarded: Fetch = (uri, init) => fetchFor(sending, fetchAnswer, uri, init).then((response) => {
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

function fetchFor (sending: Sending | undefined, fetchAnswer: Fetch, uri: string, init: RequestInit | undefined): Promise<Response> {
  if (sending === undefined) return fetchAnswer(uri, init)
  sending.begun = true
  const signal = init?.signal ? AbortSignal.any([init.signal, sending.signal]) : sending.signal
  return fetchAnswer(uri, { ...init, signal })
}

/** An error of a name that the client passes on: it would treat any other as a fault of the node, and avoid the node. */
function abandonedError (): Error {
  const error = new Error('The save was abandoned at its deadline.')
  error.name = 'AllTopologyNodesDownException'
  return error
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
