import { deadlinesOf, type Deadlines } from '../../util/call-timeouts.js'
import { OutcomeUnknownError, RecordError, StoreUnavailableError } from '../../errors.js'
import type { RedisClient } from './client.js'
import type { Script } from './scripts.js'

/** Calls a Redis, within a deadline, and gives its errors the store's names. */
export class RedisCalls {
  readonly client: RedisClient
  readonly #deadlines: Deadlines

  /** @param timeout milliseconds that one call may take */
  constructor (client: RedisClient, timeout: number) {
    this.client = client
    this.#deadlines = deadlinesOf(timeout)
  }

  /**
   * Reads an answer.
   * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`)
   */
  read<T, R> (answer: Promise<T>, read: (answer: T) => R | Promise<R>): Promise<R> {
    return this.#deadline(answer, StoreUnavailableError, read)
  }

  /**
   * Reads the answer to a command that writes.
   * @throws StoreUnavailableError, or OutcomeUnknownError (`FST_SESSION_OUTCOME_UNKNOWN`) if it may have been applied
   */
  write<T, R> (answer: Promise<T>, read: (answer: T) => R | Promise<R>): Promise<R> {
    return this.#deadline(answer, OutcomeUnknownError, read)
  }

  /** Runs a script that writes. */
  run<T, R> (script: Script, keys: string[], args: string[], read: (answer: T) => R | Promise<R>): Promise<R> {
    return this.#script(script, keys, args, OutcomeUnknownError, read)
  }

  /** Runs a script that only reads. */
  ask<T, R> (script: Script, keys: string[], read: (answer: T) => R | Promise<R>): Promise<R> {
    return this.#script(script, keys, [], StoreUnavailableError, read)
  }

  /** A server that does not know the script yet, or no more, is given its text. */
  #script<T, R> (script: Script, keys: string[], args: string[], Lost: LostError, read: (answer: T) => R | Promise<R>): Promise<R> {
    const answer = this.client.evalsha(script.sha, keys.length, ...keys, ...args) as Promise<T>
    return this.#deadline(answer, Lost, read, async () => this.client.eval(script.text, keys.length, ...keys, ...args) as Promise<T>)
  }

  /**
   * Waits for an answer and reads it, for as long as a call may take.
   * @param again what is asked instead if the server does not know the script
   */
  #deadline<T, R> (answer: Promise<T>, Lost: LostError, read: (answer: T) => R | Promise<R>, again?: () => Promise<T>): Promise<R> {
    return new Promise((resolve, reject) => {
      const call = this.#deadlines.start(() => reject(new Lost(`Redis did not answer within ${this.#deadlines.timeout} milliseconds`)))
      const answered = (answer: T): void => {
        this.#deadlines.end(call)
        try {
          resolve(read(answer))
        } catch (error) {
          reject(error)
        }
      }
      const failed = (cause: unknown): void => {
        this.#deadlines.end(call)
        reject(storeError(cause, Lost))
      }
      answer.then(answered, (cause: unknown) => {
        if (again !== undefined && isReply(cause, 'NOSCRIPT')) again().then(answered, failed)
        else failed(cause)
      })
    })
  }
}

type LostError = new (what: string, options?: ErrorOptions) => Error

function storeError (cause: unknown, Lost: LostError): Error {
  const { name, message } = cause as Error
  if (isReply(cause, 'WRONGTYPE')) return new RecordError(message, { cause })
  if (name === 'ReplyError') return new StoreUnavailableError(message, { cause })
  return new Lost(message, { cause })
}

/** Whether Redis answered with this error code: the first word of its message, by the protocol. */
function isReply (error: unknown, code: string): boolean {
  const { name, message } = error as Error
  return name === 'ReplyError' && message.startsWith(`${code} `)
}
