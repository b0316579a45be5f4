import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { EventEmitter, on, once } from 'node:events'
import type { Test } from 'tap'
import type { SessionScope } from '../../../lib/core/provider.js'
import type { SessionStats } from '../../../lib/core/open-sessions.js'
import type { CountingProvider } from '../counting-provider.js'
import { exchange, type Exchange, type Received } from './client.js'
import type { Harness } from './harness.js'

/** The name under which the rows register the plugin. */
export const registeredAs = 'work'

/** What the app has logged; emits each `line`. */
export class Log extends EventEmitter {
  readonly lines: LogLine[] = []

  write (text: string): void {
    const line = JSON.parse(text) as LogLine
    this.lines.push(line)
    this.emit('line', line)
  }
}

export interface LogLine {
  /** 40: warning, 50: error. */
  readonly level: number
  readonly msg: string
  readonly err?: { readonly message: string, readonly code?: string }
}

interface Using { work: unknown, workScope: SessionScope }

/** What a row is played on: an app of its own, a client for it, and the one session that it is about. */
export class Stage {
  readonly t: Test
  readonly app: FastifyInstance
  readonly harness: Harness
  readonly provider: CountingProvider
  readonly key: string
  /** Emits `onSend`, `onResponse`, `onRequestAbort`, `onTimeout` with the request, as those hooks run. */
  readonly ran = new EventEmitter()
  readonly log: Log
  #origin: string | undefined

  constructor (t: Test, app: FastifyInstance, harness: Harness, provider: CountingProvider, key: string, log: Log) {
    this.t = t
    this.app = app
    this.harness = harness
    this.provider = provider
    this.key = key
    this.log = log
  }

  /** Milliseconds within which the work is surely done. */
  get patience (): number { return this.harness.workWithin ?? 100 }

  get logged (): readonly LogLine[] { return this.log.lines }

  /** Whether the session is committed by now. */
  get isCommitted (): boolean { return stats(this.app).committed === 1 }

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

  /** Sees to it that the commit of a request's session fails. */
  async spoilCommit (request: FastifyRequest): Promise<void> {
    if (this.harness.spoil !== undefined) return this.harness.spoil(await this.session(request), this.key)
    this.provider.before.commit = () => { throw new Error('the commit fails') }
  }

  session (request: FastifyRequest): unknown {
    return (request as FastifyRequest & Using).work
  }

  scope (request: FastifyRequest): SessionScope {
    return (request as FastifyRequest & Using).workScope
  }

  /** Asserts that the rolled-back session of a request can be used no more, nor committed, and that trying opens nothing. */
  async refuses (request: FastifyRequest): Promise<void> {
    const { opened } = this.provider
    await this.t.rejects(async () => { await this.session(request) }, { code: 'FST_SESSION_CLOSED' }, 'late use is refused')
    if (!this.isCommitted) await this.t.rejects(this.scope(request).commit(), { code: 'FST_SESSION_CLOSED' }, 'so is a late commit')
    this.t.equal(this.provider.opened, opened, 'late use opens nothing')
  }

  /** Resolves when a hook of this name runs next; call it before what makes it run. */
  async next (hook: 'onSend' | 'onResponse' | 'onRequestAbort' | 'onTimeout'): Promise<void> {
    await once(this.ran, hook)
  }

  /** The next line that is logged with this level. */
  async nextLog (level: number): Promise<LogLine> {
    for await (const [line] of on(this.log, 'line') as AsyncIterable<[LogLine]>) if (line.level === level) return line
    throw new Error('unreachable: the log has no end')
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

/** How the row's sessions fare, as the app counts them. */
export function stats (app: FastifyInstance): SessionStats {
  const { sessionStats } = app as typeof app & { sessionStats: () => Record<string, SessionStats> }
  return sessionStats()[registeredAs] as SessionStats
}
