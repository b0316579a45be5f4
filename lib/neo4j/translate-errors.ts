import { CommitError, DatabaseUnavailableError, OpenError, OutcomeUnknownError } from '../errors.js'
import type { ErrorReply } from '../core/provider.js'

/** What tells the errors of neo4j-driver apart: its `Neo4jError` has it. */
interface DriverError {
  readonly name?: unknown
  readonly message?: unknown
  /** `Neo.…` where the server answered, else the driver's own. */
  readonly code?: unknown
  readonly retryable?: unknown
  /** Its name in neo4j-driver before 5.26. */
  readonly retriable?: unknown
  readonly cause?: unknown
}

/** Whether the server answered with this error, or with its cause (the driver gives a leader switch a code of its own). */
function isAnswer (error: unknown): boolean {
  for (let next = error as DriverError | null | undefined; typeof next === 'object' && next !== null; next = next.cause as DriverError) {
    if (typeof next.code === 'string' && next.code.startsWith('Neo.')) return true
  }
  return false
}

/** The driver's own flag: the same work may succeed if it is done again. */
function isRetryable (error: unknown): boolean {
  const { retryable, retriable } = (error ?? {}) as DriverError
  return (retryable ?? retriable) === true
}

/** A full pool: the one error of its kind for which the driver has no code. */
function isAcquisitionTimeout ({ message }: DriverError): boolean {
  return typeof message === 'string' && message.startsWith('Connection acquisition timed out')
}

/** Why a transaction could not begin. Nothing was done in it: without an answer of the server it is unavailable. */
export function beginError (error: unknown, route: string): Error {
  const { message } = error as Error
  return isAnswer(error) && !isRetryable(error)
    ? new OpenError(`no transaction could begin for ${route}: ${message}`, { cause: error })
    : new DatabaseUnavailableError(`no transaction could begin for ${route}: ${message}`, { cause: error })
}

/** Why a commit that was sent did not succeed. Without an answer of the server it may have. */
export function commitError (error: unknown, route: string): Error {
  const { message } = error as Error
  if (!isAnswer(error)) return new OutcomeUnknownError(`the answer to the commit of ${route} was lost: ${message}`, { cause: error })
  return isRetryable(error)
    ? new DatabaseUnavailableError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
    : new CommitError(`the transaction of ${route} was rolled back: ${message}`, { cause: error })
}

/**
 * The reply to an error of the driver that the app let through. The error itself stays as it is.
 *
 * @param atomic whether all of the request's work was in one transaction, so that the request can be sent again; what
 * a session committed by itself has been kept
 */
export function replyToDriverError (error: unknown, atomic: boolean): ErrorReply | undefined {
  if (typeof error !== 'object' || error === null || (error as DriverError).name !== 'Neo4jError') return undefined
  if (!isRetryable(error) && !isAcquisitionTimeout(error)) return undefined
  return atomic ? { statusCode: 503, headers: { 'retry-after': '1' } } : { statusCode: 503 }
}
