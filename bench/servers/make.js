import { setImmediate as turn } from 'node:timers/promises'
import { getSession } from 'fastify-request-session'
import { sample } from './serve.js'

/**
 * Makes sessions with the sample payload as a service would, letting the event loop turn now and then.
 * @param {import('fastify-request-session').TokenProvider<any>} sessions
 * @param {number} count
 * @param {(session: import('fastify-request-session').TokenSession, i: number) => void} [each]
 */
export async function makeSessions (sessions, count, each) {
  for (let i = 0; i < count; i++) {
    await getSession(sessions, null, async (session) => {
      session.set('user', sample.user)
      session.set('items', sample.items)
      each?.(session, i)
    })
    if (i % 1000 === 0) await turn()
  }
}
