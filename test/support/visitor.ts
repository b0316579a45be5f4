import type { FastifyInstance, LightMyRequestResponse } from 'fastify'

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** A client that keeps cookies as a browser does, and sends JSON. */
export class Visitor {
  readonly cookies = new Map<string, string>()
  readonly #app: FastifyInstance

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  /** The `Cookie` header of its next request; empty if it has none. */
  get cookie (): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  async ask (method: Method, url: string, body?: object): Promise<LightMyRequestResponse> {
    const response = await this.#app.inject({
      method, url, ...body !== undefined && { payload: body }, headers: this.cookie === '' ? {} : { cookie: this.cookie },
    })
    for (const { name, value, maxAge } of response.cookies as { name: string, value: string, maxAge?: number }[]) {
      if (maxAge === 0) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return response
  }
}
