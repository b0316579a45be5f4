import type { RavenCommand } from 'ravendb'
import { DocumentConflictError, DatabaseMissingError, DatabaseUnavailableError, OutcomeUnknownError, RequestLimitError } from '../errors.js'

/** Where a session works: what its errors name. */
export interface Place {
  readonly database: string
  readonly route: string
}

/** The client's errors have no classes and no codes: their names tell them apart. */
const conflicts = new Set(['ConcurrencyException', 'ClusterTransactionConcurrencyException', 'DocumentConflictException'])
const timeouts = new Set(['TimeoutException', 'RavenTimeoutException'])

/** With these no connection came about, so that nothing was sent. */
const unconnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** Statuses with which a server, or a proxy before it, says that it did not get to an answer. */
const unavailable = new Set([502, 503, 504])

/** A read's error, as the route gets it. */
export function readError (error: unknown, place: Place, status?: number): unknown {
  if (!(error instanceof Error)) return error
  if (conflicts.has(error.name)) return like(error, new DocumentConflictError(place.route, { cause: error }))
  if (error.name === 'DatabaseDoesNotExistException') {
    return like(error, new DatabaseMissingError(place.database, place.route, { cause: error }))
  }
  if (isUnanswered(error, status)) {
    const what = `the server of '${place.database}' gave no answer to ${place.route}.`
    return like(error, new DatabaseUnavailableError(what, { cause: error }))
  }
  return error
}

/** A save's error, as the route gets it: also says whether it is certain that nothing was saved. */
export function saveError (error: unknown, place: Place, command: RavenCommand<unknown>): unknown {
  if (!(error instanceof Error)) return error
  const lost = [...command.failedNodes?.values() ?? []].filter((failed) => !isUnconnected(failed))
  if (lost.length > 0) return lostAnswer(error, place)
  const answered = command.statusCode
  if (timeouts.has(error.name) || answered === 408 || answered < 400) return lostAnswer(error, place)
  return isUnanswered(error, answered) && !isUnconnected(error) ? lostAnswer(error, place) : readError(error, place, answered)
}

/** The client's guard against too many requests in one session, as the route gets it. */
export function limitError (error: unknown, { route }: Place, limit: number): unknown {
  return error instanceof Error ? like(error, new RequestLimitError(route, limit, { cause: error })) : error
}

function lostAnswer (error: Error, { database, route }: Place): Error {
  const what = `the answer of the database '${database}' to ${route} was lost.`
  return like(error, new OutcomeUnknownError(what, { cause: error }))
}

/** Keeps the client's name, so that code that tells RavenDB's errors apart by it goes on working. */
function like<E extends Error> (cause: Error, error: E): E {
  error.name = cause.name
  return error
}

/** Whether no server answered: the client then gives what the connection threw as the cause; an answer has none. */
function isUnanswered (error: Error, status: number | undefined): boolean {
  if (status !== undefined && unavailable.has(status)) return true
  if (error.name === 'AllTopologyNodesDownException') return true
  return (error.name === 'RavenException' || error.name === 'TimeoutException') && error.cause !== undefined
}

function isUnconnected (error: Error): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && unconnected.has(String(cause.code))) return true
  }
  return false
}
