import { CommitError, DatabaseMissingError, DatabaseUnavailableError, OpenError, OutcomeUnknownError } from '../errors.js'
import type { ErrorReply } from '../core/provider.js'

/** The fields that distinguish errors of neo4j-driver: those of its `Neo4jError`. */
interface DriverError {
  readonly name?: unknown
  readonly message?: unknown
  /** The server's code (`Neo.…`) if it answered, else one of the driver. */
  readonly code?: unknown
  readonly retryable?: unknown
  /** The name of `retryable` before neo4j-driver 5.26. */
  readonly retriable?: unknown
  readonly cause?: unknown
}

/** True if the server answered with this error or with its cause: the driver uses a code of its own for a leader switch. */
function isServerError (error: unknown): boolean {
  for (let next = error as DriverError | null | undefined; typeof next === 'object' && next !== null; next = next.cause as DriverError) {
    if (typeof next.code === 'string' && next.code.startsWith('Neo.')) return true
  }
  return false
}

function isDriverError (error: unknown): error is Error {
  return error instanceof Error && error.name === 'Neo4jError'
}

/** True if a retry of the same work may succeed, by the driver's own flag. */
export function isRetryable (error: unknown): boolean {
  const { retryable, retriable } = (error ?? {}) as DriverError
  return (retryable ?? retriable) === true
}

/** True for a full pool: the driver has no code for it, only a message. */
function isAcquisitionTimeout ({ message }: DriverError): boolean {
  return typeof message === 'string' && message.startsWith('Connection acquisition timed out')
}

/** Translates the error of a transaction that could not begin: nothing was done in it. Other errors than the driver's are not changed. */
export function beginError (error: unknown, route: string, database?: string): unknown {
  if (!isDriverError(error)) return error
  const { message } = error
  if (database !== undefined && (error as DriverError).code === 'Neo.ClientError.Database.DatabaseNotFound') return new DatabaseMissingError(database, route, { cause: error })
  return isRetryable(error) || isAcquisitionTimeout(error)
    ? new DatabaseUnavailableError(`no transaction could begin for ${route}: ${message}`, { cause: error })
    : new OpenError(`no transaction could begin for ${route}: ${message}`, { cause: error })
}

/** Translates the error of a query that failed before the commit was sent: nothing was kept. */
export function queryError (error: unknown, route: string): Error {
  const { message } = error as Error
  return isDriverError(error) && isRetryable(error)
    ? new DatabaseUnavailableError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
    : new CommitError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
}

/** Translates the error of a commit that was sent. Without a server's answer the outcome is unknown. */
export function commitError (error: unknown, route: string): Error {
  if (isServerError(error)) return queryError(error, route)
  return new OutcomeUnknownError(`the answer to the commit of ${route} was lost: ${(error as Error).message}`, { cause: error })
}

/**
 * The reply to an uncaught error of the driver. The error itself is not changed.
 *
 * @param atomic true when all of the request's work was in one transaction, so that the request can be sent again: the
 * queries of a session may have been committed
 */
export function replyToDriverError (error: unknown, atomic: boolean): ErrorReply | undefined {
  if (!isDriverError(error)) return undefined
  if (!isRetryable(error) && !isAcquisitionTimeout(error)) return undefined
  return atomic ? { statusCode: 503, headers: DatabaseUnavailableError.headers } : { statusCode: 503 }
}
