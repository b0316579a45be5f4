import type { SessionState } from './session-state.js'

const told = new Set<string>()

const loginUnderOldToken = 'the session got a subject under the token that its visitor came with: anyone who has planted that token is logged in too. ' +
  'Call session.regenerate() or session.renew() where a user logs in.'
const noSessionOfToken = 'there is no session of the given token. The changes were saved in a new one, which only its own session.token opens. ' +
  'Look at session.isNew before you write.'

/** Says that a user has logged in without a new token (session fixation). */
export function tellOfOldToken (state: SessionState): void {
  if (state.context.request !== undefined) tellOnce(state, loginUnderOldToken)
}

/** Says that a call has written into a new session instead of the one that it has asked for. */
export function tellOfUnknownToken (state: SessionState): void {
  tellOnce(state, noSessionOfToken)
}

/** Tells a developer of code that does something else than it looks like: once for each route, and never in production. */
function tellOnce (state: SessionState, problem: string): void {
  const key = `${state.context.route}: ${problem}`
  if (process.env['NODE_ENV'] === 'production' || told.has(key)) return
  told.add(key)
  state.warn(problem)
}
