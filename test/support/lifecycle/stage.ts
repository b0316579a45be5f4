import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { EventEmitter, once } from 'node:events'
import type { Test } from 'tap'
import type { SessionScope } from '../../../lib/scope.js'
import type { CountingProvider } from '../counting-provider.js'
import { exchange, type Exchange, type Received } from './client.js'
import type { Harness } from './harness.js'

/** The name under which the rows register the plugin. */
export const registeredAs = 'work'

interface Using { work: unknown, workScope: SessionScope }

/** What a row is played on: an app of its own, a client for it, and the one session that it is about. */
export class Stage {
  readonly t: Test
  readonly app: FastifyInstance
  readonly harness: Harness
  readonly provider: CountingProvider
  readonly key: string
  /** Emits `onSend`, `onResponse`, `onError`, `onRequestAbort`, `onTimeout` with the request, as those hooks run. */
  readonly ran = new EventEmitter()
  /** What the app logged, by level. */
  readonly logged: Array<{ readonly level: number, readonly msg: string, readonly err?: { readonly message: string, readonly code?: string } }>
  #origin: string | undefined

  constructor (t: Test, app: FastifyInstance, harness: Harness, provider: CountingProvider, key: string, logged: Stage['logged']) {
    this.t = t
    this.app = app
    this.harness = harness
    this.provider = provider
    this.key = key
    this.logged = logged
  }

  /** Milliseconds within which the work is surely done. */
  get patience (): number { return this.harness.workWithin ?? 100 }

  /** Defines the row's route; GET / unless it says otherwise. */
  route (options: Partial<RouteOptions> & Pick<RouteOptions, 'handler'>): void {
    this.app.route({
      method: 'GET',
      url: '/',
      ...options,
      config: { ...options.config, [registeredAs]: this.harness.routeOptions },
    } as RouteOptions)
  }

  /** Uses the session of a request, and does the row's work in it. */
  async use (request: FastifyRequest): Promise<void> {
    await this.harness.work(await this.session(request), this.key)
  }

  session (request: FastifyRequest): unknown {
    return (request as FastifyRequest & Using).work
  }

  scope (request: FastifyRequest): SessionScope {
    return (request as FastifyRequest & Using).workScope
  }

  /** Asserts that the session of a request can be used no more, and that trying opens nothing. */
  async refuses (request: FastifyRequest): Promise<void> {
    const { opened } = this.provider
    await this.t.rejects(async () => { await this.session(request) }, { code: 'FST_SESSION_CLOSED' }, 'late use is refused')
    this.t.equal(this.provider.opened, opened, 'late use opens nothing')
  }

  /** Resolves when a hook of this name runs next; call it before what makes it run. */
  async next (hook: 'onSend' | 'onResponse' | 'onError' | 'onRequestAbort' | 'onTimeout'): Promise<void> {
    await once(this.ran, hook)
  }

  /** Listens on loopback, once. */
  async origin (): Promise<string> {
    this.#origin ??= await this.app.listen({ port: 0, host: '127.0.0.1' })
    return this.#origin
  }

  /** Sends a request on a socket of its own, and does not wait for the reply. */
  async begin (path = '/', options?: Parameters<typeof exchange>[1], body?: string, end?: boolean): Promise<Exchange> {
    return exchange(await this.origin() + path, options, body, end)
  }

  /** Sends a request on a socket of its own and waits for the reply. */
  async send (path = '/', options?: Parameters<typeof exchange>[1], body?: string): Promise<Received> {
    return (await this.begin(path, options, body)).received
  }
}
