import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import requestSession, { type CommitOptions } from '../../lib/index.js'
import { CountingProvider } from './counting-provider.js'
import { fakeProvider, type FakeOptions, type FakeProvider } from './fake-provider.js'

declare module 'fastify-request-session' { interface Registered { first: FakeProvider, second: FakeProvider } }

type Options = FakeOptions & CommitOptions & { readonly warnAfter?: number }

/** A line of the app's log: 40 is a warning, 50 an error. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly route?: string
  readonly stack?: string
  readonly err?: { readonly message: string, readonly code?: string }
}

/** Fake sessions under a name, counted, and what they kept. */
export interface FakeSessions {
  readonly provider: CountingProvider
  readonly kept: ReadonlySet<string>
}

export interface FakeApp {
  readonly app: FastifyInstance
  readonly log: LogLine[]
  readonly first: FakeSessions
  readonly second: FakeSessions
}

/** An app with fake sessions registered as `first` and then as `second`, closed when the test is over. */
export async function fakeApp (
  t: Test, options: { readonly first?: Options, readonly second?: Options }, routes: (app: FastifyInstance) => void
): Promise<FakeApp> {
  const log: LogLine[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { log.push(JSON.parse(line) as LogLine) } } } })
  t.teardown(() => app.close())
  const first = await registerFake(app, 'first', options.first)
  const second = await registerFake(app, 'second', options.second)
  routes(app)
  await app.ready()
  return { app, log, first, second }
}

/** Registers fake sessions in an app, or in one of its contexts. */
export async function registerFake (app: FastifyInstance, name: 'first' | 'second', options: Options = {}): Promise<FakeSessions> {
  const { commit, commitWhen, warnAfter, ...own } = options
  const fake = fakeProvider(own)
  const provider = new CountingProvider(fake)
  await app.register(requestSession, { name, provider, commit, commitWhen, warnAfter })
  return { provider, kept: fake.kept }
}
