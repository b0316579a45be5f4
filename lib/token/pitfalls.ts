import type { SessionState } from './session-state.js'

const told = new Set<string>()

const loginUnderOldToken = 'the session got a subject under the token that its visitor presented: anyone who has planted that token is logged in too. ' +
  'Call session.regenerate() or session.renew() when a user logs in.'
const noSessionOfToken = 'the given token has no session. The changes were saved in a new session, which only its own session.token opens. ' +
  'Check session.isNew before you write.'

/** Warns of a login without a new token (session fixation). */
export function tellOfOldToken (state: SessionState): void {
  if (state.context.request !== undefined) tellOnce(state, loginUnderOldToken)
}

/** Warns of a call that has written to a new session instead of the requested one. */
export function tellOfUnknownToken (state: SessionState): void {
  tellOnce(state, noSessionOfToken)
}

/** Warns a developer of code that does not do what it seems to do: once per route, and never in production. */
function tellOnce (state: SessionState, problem: string): void {
  const key = `${state.context.route}: ${problem}`
  if (process.env['NODE_ENV'] === 'production' || told.has(key)) return
  told.add(key)
  state.warn(problem)
}
