import type { FastifyReply } from 'fastify'

/** The status and headers of a reply, as they were at some time. */
export class ReplyHead {
  readonly #reply: FastifyReply
  readonly #statusCode: number
  readonly #headers: ReturnType<FastifyReply['getHeaders']>

  constructor (reply: FastifyReply) {
    this.#reply = reply
    this.#statusCode = reply.statusCode
    this.#headers = { ...reply.getHeaders() }
  }

  restore (): void {
    for (const name of Object.keys(this.#reply.getHeaders())) if (!(name in this.#headers)) this.#reply.removeHeader(name)
    this.#reply.code(this.#statusCode).headers(this.#headers)
  }
}
