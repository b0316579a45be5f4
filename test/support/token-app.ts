import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import requestSession, {
  tokenSessions, type CommitOptions, type SessionData, type TokenProvider,
  type TokenSessionOptions,
} from '../../lib/index.js'

export type AnyTokens = TokenProvider<SessionData>

declare module 'fastify-request-session' { interface Registered { session: AnyTokens } }

/** A line of the app's log: 40 is a warning, 50 an error. */
export interface LogLine { level: number, msg: string, err?: { code?: string, message: string, problem?: string }, route?: string }

export interface TokenApp {
  readonly app: FastifyInstance
  readonly log: LogLine[]
}

/** An app with token sessions, closed when the test is over. */
export async function tokenApp (
  t: Test, options: TokenSessionOptions & CommitOptions, routes: (app: FastifyInstance) => void
): Promise<TokenApp> {
  const { commit, commitWhen, ...own } = options
  const log: LogLine[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { log.push(JSON.parse(line) as LogLine) } } } })
  t.teardown(() => app.close())
  await app.register(requestSession, { provider: tokenSessions(own), commit, commitWhen })
  routes(app)
  await app.ready()
  return { app, log }
}

/** A client that keeps its cookies as a browser does, by name alone. */
export class Visitor {
  readonly cookies = new Map<string, string>()
  readonly #app: FastifyInstance

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  async get (url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const reply = await this.#app.inject({ url, headers: { ...cookie !== '' && { cookie }, ...headers } })
    for (const { name, value, maxAge } of reply.cookies) {
      if (maxAge === 0) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return reply
  }

  get token (): string | undefined {
    return this.cookies.get('session')
  }
}

/** What a reply sets, as it stands in its header. */
export function setCookies (reply: LightMyRequestResponse): string[] {
  return [reply.headers['set-cookie'] ?? []].flat()
}
