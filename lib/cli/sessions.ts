import type { Command } from 'commander'
import { redisStore } from '../stores/redis/redis-store.js'
import type { CompleteStore } from '../stores/store.js'
import { tokenSessions, type CompleteTokenManager } from '../token/token-sessions.js'
import type { SessionData } from '../token/session.js'
import { secretsOf, urlOf, type CommonOptions, type SecretOptions } from './options.js'
import { checkAlone, connect } from './connection.js'
import type { ExitCode, Surroundings } from './terminal.js'

export interface Sessions {
  readonly users: CompleteTokenManager<SessionData>
  readonly store: CompleteStore
}

/** Connects, works on the sessions, and leaves nothing open, whatever becomes of it. An error is one line. */
export async function withSessions (
  command: Command, surroundings: Surroundings, options: CommonOptions & SecretOptions, work: (sessions: Sessions) => Promise<ExitCode>
): Promise<ExitCode> {
  const { cluster = false, prefix, timeout, tokenKind } = options
  const url = urlOf(command, options.redis)
  const secret = secretsOf(command, surroundings, options)
  const connection = await connect({ url, cluster, timeout })
  try {
    const store = redisStore(connection.client, { prefix, timeout })
    const users = tokenSessions({ store, token: tokenKind, secret })
    if (!cluster) await checkAlone(connection, timeout)
    const code = await work({ users, store })
    await users.close()
    return code
  } catch (error) {
    throw withReason(error, connection.failure())
  } finally {
    connection.close()
  }
}

/** Where the sessions are, as a question says it: without the password that the URL may have. */
export function placeOf (command: Command, { redis, prefix }: CommonOptions): string {
  const { host, pathname } = urlOf(command, redis)
  return `${host}${pathname === '/' ? '' : pathname} under the prefix ${JSON.stringify(prefix)}`
}

/** Adds the reasons to the message: what the failed call has, and the error of the connection, which often says more. */
function withReason (error: unknown, failure: (Error & { code?: unknown }) | undefined): unknown {
  if (!(error instanceof Error)) return error
  const { problem, cause } = error as Error & { problem?: unknown, cause?: { message?: unknown } }
  for (const text of [problem, cause?.message, failure && (failure.message || String(failure.code))]) {
    if (typeof text === 'string' && !error.message.includes(text)) error.message += ` (${text})`
  }
  return error
}
