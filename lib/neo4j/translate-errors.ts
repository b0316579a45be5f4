import { CommitError, DatabaseUnavailableError, OpenError, OutcomeUnknownError } from '../errors.js'
import type { ErrorReply } from '../core/provider.js'

/** The fields that tell errors of neo4j-driver apart: those of its `Neo4jError`. */
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

/** True when the server answered with this error or with its cause: the driver gives a leader switch a code of its own. */
function isServerError (error: unknown): boolean {
  for (let next = error as DriverError | null | undefined; typeof next === 'object' && next !== null; next = next.cause as DriverError) {
    if (typeof next.code === 'string' && next.code.startsWith('Neo.')) return true
  }
  return false
}

/** True when the same work may succeed if it is done again, by the driver's own flag. */
function isRetryable (error: unknown): boolean {
  const { retryable, retriable } = (error ?? {}) as DriverError
  return (retryable ?? retriable) === true
}

/** True for a full pool: the driver has no code for it, only a message. */
function isAcquisitionTimeout ({ message }: DriverError): boolean {
  return typeof message === 'string' && message.startsWith('Connection acquisition timed out')
}

/** Translates the error of a transaction that could not begin. Nothing was done in it: without a server's answer the database is unavailable. */
export function beginError (error: unknown, route: string): Error {
  const { message } = error as Error
  return isServerError(error) && !isRetryable(error)
    ? new OpenError(`no transaction could begin for ${route}: ${message}`, { cause: error })
    : new DatabaseUnavailableError(`no transaction could begin for ${route}: ${message}`, { cause: error })
}

/** Translates the error of a commit that was sent. Without a server's answer the outcome is unknown. */
export function commitError (error: unknown, route: string): Error {
  const { message } = error as Error
  if (!isServerError(error)) return new OutcomeUnknownError(`the answer to the commit of ${route} was lost: ${message}`, { cause: error })
  return isRetryable(error)
    ? new DatabaseUnavailableError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
    : new CommitError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
}

/**
 * The reply to an error of the driver that the app did not catch. The error itself is not changed.
 *
 * @param atomic true when all of the request's work was in one transaction, so that the request can be sent again: the
 * queries of a session may have been committed
 */
export function replyToDriverError (error: unknown, atomic: boolean): ErrorReply | undefined {
  if (typeof error !== 'object' || error === null || (error as DriverError).name !== 'Neo4jError') return undefined
  if (!isRetryable(error) && !isAcquisitionTimeout(error)) return undefined
  return atomic ? { statusCode: 503, headers: { 'retry-after': '1' } } : { statusCode: 503 }
}
