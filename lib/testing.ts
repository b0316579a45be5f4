import { OpenSessionsError, OptionError } from './errors.js'
import { channels } from './core/events.js'
import { registrationsOf, type AnyApp } from './plugin/plugin.js'

/**
 * Options of `assertNoOpenSessions()`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { assertNoOpenSessions, type NoOpenSessionsOptions } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * const patient: NoOpenSessionsOptions = { within: 5000 }
 * await assertNoOpenSessions(app, patient)
 * ```
 */
export interface NoOpenSessionsOptions {
  /**
   * Milliseconds to wait for sessions that are still being closed.
   * @default 1000
   */
  within?: number | undefined
}

/**
 * Asserts in a test that the app holds no open session, in any context.
 *
 * A reply may arrive before its session is closed, so the assertion waits for a moment (`within`).
 * @throws OpenSessionsError (`FST_SESSION_STILL_OPEN`) with the routes of the open sessions; OptionError
 *   (`FST_SESSION_OPTION`) if the app has no registration, or has not booted
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { assertNoOpenSessions } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * app.get('/', async () => 'hello')
 * await app.inject('/')
 * await assertNoOpenSessions(app)
 * await app.close()
 * ```
 */
export async function assertNoOpenSessions (app: AnyApp, { within = 1000 }: NoOpenSessionsOptions = {}): Promise<void> {
  if (registrationsOf(app).length === 0) throw new OptionError('assertNoOpenSessions()', 'the plugin is not registered in this app; call it after app.ready()')
  const openRoutes = (): string[] => registrationsOf(app).flatMap(({ name, sessions }) => [...sessions].map(({ route }) => `${name} of ${route}`))
  if (openRoutes().length > 0) await waitForCloses(() => openRoutes().length === 0, within)
  const left = openRoutes()
  if (left.length > 0) throw new OpenSessionsError(left.length, left.join(', '))
}

/** Resolves as soon as a session's close makes `done` true, or when the time is up. */
async function waitForCloses (done: () => boolean, within: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(stop, within)
    function check (): void { if (done()) stop() }
    function stop (): void {
      clearTimeout(timer)
      channels.close.unsubscribe(check)
      resolve()
    }
    channels.close.subscribe(check)
  })
}
