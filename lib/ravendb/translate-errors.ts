import type { RavenCommand } from 'ravendb'
import { DocumentConflictError, DatabaseMissingError, DatabaseUnavailableError, OutcomeUnknownError, RequestLimitError } from '../errors.js'

/** The database and the route that a session's errors name. */
export interface ErrorContext {
  readonly database: string
  readonly route: string
}

/** Names of the client's errors, which have neither classes nor codes. */
const conflicts = new Set(['ConcurrencyException', 'ClusterTransactionConcurrencyException', 'DocumentConflictException'])
const timeouts = new Set(['TimeoutException', 'RavenTimeoutException'])

/** Codes of failed connection attempts: nothing was sent. */
const connectFailures = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** Statuses of a server, or a proxy before it, without an answer. */
const unavailable = new Set([502, 503, 504])

/** Translates the error of a read for the route. */
export function readError (error: unknown, context: ErrorContext, status?: number): unknown {
  if (!(error instanceof Error)) return error
  const { database, route } = context
  if (conflicts.has(error.name)) return withNameOf(error, new DocumentConflictError(route, { cause: error }))
  if (error.name === 'DatabaseDoesNotExistException') {
    return withNameOf(error, new DatabaseMissingError(database, route, { cause: error }))
  }
  if (isUnanswered(error, status)) {
    // The reply has this message, so it contains nothing about the server.
    return withNameOf(error, new DatabaseUnavailableError(`no answer to ${route}.`, { cause: error }))
  }
  return error
}

/** Translates the error of a save for the route. The outcome is unknown unless it is certain that nothing was saved. */
export function saveError (error: unknown, context: ErrorContext, command: RavenCommand<unknown>): unknown {
  if (!(error instanceof Error)) return error
  const mayHaveSaved = [...command.failedNodes?.values() ?? []].some((failed) => !isConnectFailure(failed))
  if (mayHaveSaved) return lostAnswerError(error, context)
  const status = command.statusCode
  if (timeouts.has(error.name) || status === 408 || status < 400) return lostAnswerError(error, context)
  return isUnanswered(error, status) && !isConnectFailure(error) ? lostAnswerError(error, context) : readError(error, context, status)
}

/** Translates the client's error for too many requests in one session. */
export function requestLimitError (error: unknown, { route }: ErrorContext, limit: number): unknown {
  return error instanceof Error ? withNameOf(error, new RequestLimitError(route, limit, { cause: error })) : error
}

function lostAnswerError (error: Error, { database, route }: ErrorContext): Error {
  const problem = `the answer of the database '${database}' to ${route} was lost.`
  return withNameOf(error, new OutcomeUnknownError(problem, { cause: error }))
}

/** Keeps the client's name, so that code that distinguishes RavenDB's errors by it keeps working. */
function withNameOf<E extends Error> (cause: Error, error: E): E {
  error.name = cause.name
  return error
}

/** True when no server answered. The client then gives the connection's error as the cause; a server's answer has none. */
function isUnanswered (error: Error, status: number | undefined): boolean {
  if (status !== undefined && unavailable.has(status)) return true
  if (error.name === 'AllTopologyNodesDownException') return true
  return (error.name === 'RavenException' || error.name === 'TimeoutException') && error.cause !== undefined
}

function isConnectFailure (error: Error): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && connectFailures.has(String(cause.code))) return true
  }
  return false
}
