import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import requestSession, { tokenSessions, type CompleteStore } from '../../lib/index.js'

/** A line of the log. */
export interface Logged { readonly level: number, readonly msg: string, readonly err?: { readonly code?: string, readonly stack: string } }

/** An app on a store, and its log, of which more may come. */
export interface BootedApp {
  readonly app: FastifyInstance
  readonly lines: readonly Logged[]
  readonly messages: readonly string[]
  /** Resolves with the next line that fits. */
  next (pattern: RegExp): Promise<Logged>
}

/** Makes an app that logs. `boot` registers the plugin, adds routes, and waits until the app is ready. */
export function appWithLog (t: Test, store: CompleteStore): BootedApp & { boot (routes?: (app: FastifyInstance) => void): Promise<unknown> } {
  const lines: Logged[] = []
  const messages: string[] = []
  let heard = (_line: Logged): void => {}
  const write = (text: string): void => {
    const line = JSON.parse(text) as Logged
    lines.push(line)
    messages.push(line.msg)
    heard(line)
  }
  const app = Fastify({ logger: { level: 'info', stream: { write } } })
  t.teardown(() => app.close())
  const boot = async (routes = (_app: FastifyInstance): void => {}): Promise<unknown> => {
    await app.register(requestSession, { provider: tokenSessions({ store }) })
    routes(app)
    return app.ready()
  }
  return { app, lines, messages, boot, next: (pattern) => new Promise((resolve) => { heard = (line) => { if (pattern.test(line.msg)) resolve(line) } }) }
}

/** Registers the plugin, and returns the app with its log. */
export async function bootedApp (t: Test, store: CompleteStore): Promise<BootedApp> {
  const { boot, ...booted } = appWithLog(t, store)
  await boot()
  return booted
}
