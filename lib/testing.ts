import type { FastifyInstance } from 'fastify'
import { OpenSessionsError } from './errors.js'
import { channels } from './core/events.js'
import { registrationsOf } from './plugin/plugin.js'

/** Options of `assertNoOpenSessions()`. */
export interface NoOpenSessionsOptions {
  /**
   * Milliseconds that sessions which are being closed may take.
   * @default 1000
   */
  within?: number | undefined
}

/**
 * For tests: resolves once the app, with the plugins that it registered, holds no open session.
 *
 * A reply that has arrived may still be closing its session: that is waited for.
 * @throws OpenSessionsError (`FST_SESSION_STILL_OPEN`) that names the routes of those that are still open then
 */
export async function assertNoOpenSessions (app: FastifyInstance, { within = 1000 }: NoOpenSessionsOptions = {}): Promise<void> {
  const open = (): string[] => registrationsOf(app).flatMap(({ name, sessions }) => [...sessions].map(({ route }) => `${name} of ${route}`))
  if (open().length > 0) await closed(() => open().length === 0, within)
  const left = open()
  if (left.length > 0) throw new OpenSessionsError(left.length, left.join(', '))
}

/** Resolves when that is so after the end of some session, or when the time is up. */
async function closed (done: () => boolean, within: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(stop, within)
    function look (): void { if (done()) stop() }
    function stop (): void {
      clearTimeout(timer)
      channels.close.unsubscribe(look)
      resolve()
    }
    channels.close.subscribe(look)
  })
}
