import createError from '@fastify/error'

/**
 * Codes of all errors of this package, as `error.code`. Thrown errors are values of `errors`, made with `@fastify/error`.
 *
 * @example
 * ```ts
 * import Fastify, { type FastifyError } from 'fastify'
 * import requestSession, { type SessionErrorCode } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * app.setErrorHandler<FastifyError>((error, request, reply) => {
 *   switch (error.code as SessionErrorCode) {
 *     case 'FST_SESSION_CONFLICT':
 *     case 'FST_SESSION_GONE': return reply.code(409).send({ message: 'This page is out of date. Load it again.' })
 *     case 'FST_SESSION_STORE_UNAVAILABLE': return reply.code(503).send({ message: 'Try again in a moment.' })
 *     default: return reply.send(error)
 *   }
 * })
 * ```
 */
export type SessionErrorCode = InstanceType<SessionErrors[keyof SessionErrors]>['code']

type SessionErrors = typeof import('./errors.js')

/** An error of this package. Fastify replies with its status and message. */
interface CodedError<Code extends string> extends Error {
  readonly code: Code
  readonly statusCode: number
}

/** Makes an error class. The types of its arguments are given first, so that the code can be inferred as a literal. */
function errorWith<Args extends unknown[]> () {
  return <Code extends string>(code: Code, message: string, statusCode = 500, Base?: ErrorConstructor) =>
    createError<Code, Args>(code, message, statusCode, Base) as unknown as new (...args: Args) => CodedError<Code>
}

/** An option of the plugin, a provider, a store, a transport or a route is unknown or has a wrong value. Thrown at boot. */
export class OptionError extends errorWith<[where: string, problem: string]>()(
  'FST_SESSION_OPTION', '%s: %s', 500, TypeError) {}

/** The session was used after its end: after the reply, after the client left, or after the handler's timeout. */
export class SessionClosedError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_CLOSED',
  '%s of %s was used after its end. Await all work before the handler returns, or use getSession() for work that outlives the reply.') {}

/** `currentSession()` was called where the provider has no current session. */
export class NoAmbientSessionError extends errorWith<[kind: string, reason: string]>()(
  'FST_SESSION_NO_AMBIENT', 'There is no current %s session: %s.') {}

/** The route used a session that its config refuses (`config: { session: false }`). */
export class SessionRefusedError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_REFUSED', '%s must not be used by %s: its route config says false.') {}

/** A route was defined before the plugin loaded, and this version of Fastify does not let hooks be added: no hook would settle the session. */
export class TooEarlyError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_TOO_EARLY',
  '%s has no hooks in %s: the route was defined before the plugin was loaded, and this version of Fastify does not let them be added. Write `await app.register(requestSession)` first, or define it in a plugin registered after it.') {}

/** A token session was used synchronously before it was loaded. */
export class SessionNotLoadedError extends errorWith<[method: string]>()(
  'FST_SESSION_NOT_LOADED',
  'The session is not loaded yet, so that %s cannot answer. Write `const session = await request.session`, or load it before the handler with `load: \'onRequest\'`.') {}

/** The session was used after `end()` in the same request. */
export class SessionEndedError extends errorWith<[]>()(
  'FST_SESSION_ENDED', 'The session was ended by end() and cannot be used any more in this request.') {}

/** The route requires a session with a `subject`, and the request has none: the user must log in. */
export const SessionRequiredError = errorWith<[route: string]>()(
  'FST_SESSION_REQUIRED', '%s needs a session that belongs to a user. Log in first.', 401)

/** The route requires a recent login: the user must log in again. */
export const SessionNotFreshError = errorWith<[route: string, seconds: number]>()(
  'FST_SESSION_NOT_FRESH', '%s needs a login within the last %d seconds. Log in again.', 401)

/** The session was missing from the store at commit: another request has ended it, or it has expired. Nothing was written. */
export class SessionGoneError extends errorWith<[route: string]>()(
  'FST_SESSION_GONE',
  'The session of %s was ended or has expired while the request ran: its changes were not saved.', 409) {}

/**
 * A change of a session whose token was replaced: the request presented the old token after `renew()` or `regenerate()`, or changed
 * data from before a `regenerate()`. Nothing was written.
 */
export class SessionRenewedError extends errorWith<[route: string]>()(
  'FST_SESSION_RENEWED',
  'The session of %s got a new token a moment ago, by a login for example, so nothing was written. Send the request again with the new token.', 409) {}

/**
 * The reason of an aborted `session.signal`: the session is over. Any process may have ended it.
 *
 * @example
 * ```ts
 * import { errors, tokenSessions } from 'fastify-request-session'
 *
 * const users = tokenSessions()
 * const { signal, token } = await users.create()
 * signal.addEventListener('abort', () => console.log((signal.reason as errors.SessionOverError).why)) // 'ended'
 * await users.end({ token })
 * ```
 */
export class SessionOverError extends errorWith<[route: string, why: string]>()(
  'FST_SESSION_OVER', 'The session of %s is over: it %s.', 401) {
  /**
   * `'ended'`: by `end()` or `endAll()`. `'expired'`: its time is up. `'renewed'`: another request has called `renew()` or `regenerate()`.
   * `'limit'`: its subject has logged in elsewhere, and already had `maxSessions`.
   */
  readonly why: 'ended' | 'expired' | 'renewed' | 'limit'

  constructor (route: string, why: SessionOverError['why']) {
    super(route, { ended: 'was ended', expired: 'has expired', renewed: 'has another token', limit: 'was ended by a login elsewhere' }[why])
    this.why = why
  }
}

/** A login was refused: the subject already has `maxSessions` sessions, and `onLimit` is `'refuse'`. Nothing was written. */
export class SubjectLimitError extends errorWith<[route: string, most: number]>()(
  'FST_SESSION_SUBJECT_LIMIT', '%s: this user already has %d sessions, the maximum. Log out elsewhere first.', 409) {}

/** The session would exceed `maxSize` bytes. Nothing was written. */
export class SessionTooLargeError extends errorWith<[route: string, size: number, maxSize: number]>()(
  'FST_SESSION_TOO_LARGE', 'The session of %s would have %d bytes, and at most %d are allowed (maxSize): nothing was saved.', 413) {}

/**
 * The data of a session do not match `tokenSessions({ data })`: the stored data, which are left unchanged, or the data of a commit, which
 * are not written. The message names the places, never a value. Keeps the cause if a function of the app has failed.
 */
export class SessionDataError extends errorWith<[route: string, problem: string, ...options: ErrorOptions[]]>()(
  'FST_SESSION_DATA', 'The data of the session of %s do not fit: %s') {
  /** `'newer'`: the data were written by a newer version of the app. `'invalid'`: anything else. */
  readonly why: 'invalid' | 'newer'
  /** The part of the message that describes the mismatch. */
  readonly problem: string

  constructor (route: string, problem: string, consequence: string, why: SessionDataError['why'], ...options: ErrorOptions[]) {
    super(route, `${problem} ${consequence}`.trimEnd(), ...options)
    this.why = why
    this.problem = problem
  }
}

/** Each attempt of `update()` found a newer value. Nothing was written. */
export class UpdateConflictError extends errorWith<[key: string, tries: number]>()(
  'FST_SESSION_UPDATE_CONFLICT', 'update() of the session key %s found a newer value in each of %d attempts: nothing was saved.', 503) {}

/** A session key is not a non-empty, well-formed string. */
export class KeyError extends errorWith<[key: string]>()(
  'FST_SESSION_KEY', 'A session key is a non-empty, well-formed string; got %s.', 500, TypeError) {}

/** JSON does not preserve a session value. Nothing was changed. */
export class ValueError extends errorWith<[key: string, problem: string]>()(
  'FST_SESSION_VALUE', 'The value for the session key %s cannot be stored: %s', 500, TypeError) {}

/** A property was assigned to a session, which would be lost: `session.user = …`. */
export class PropertyError extends errorWith<[name: string]>()(
  'FST_SESSION_PROPERTY', 'A session does not keep the property %s. Write session.set(key, value).', 500, TypeError) {}

/** `increment()` found a value that is not a whole number, or the sum is not a safe integer. Nothing was changed. */
export class NotANumberError extends errorWith<[key: string, problem: string]>()(
  'FST_SESSION_NOT_A_NUMBER', 'The session key %s cannot be incremented: %s', 500, TypeError) {}

/** A session's name, subject or label is not a non-empty, well-formed text of at most 256 characters, or a shared session has no name. */
export class NameError extends errorWith<[what: string, problem: string]>()(
  'FST_SESSION_NAME', '%s: %s', 400, TypeError) {}

/** A shared session was asked for without `tokenSessions({ secret })`, from which its token is derived. */
export class NoSecretError extends errorWith<[call: string]>()(
  'FST_SESSION_NO_SECRET', '%s needs tokenSessions({ secret }), from which the tokens of shared sessions are derived.') {}

/** A shared session of this name exists. Open it instead. */
export class SessionExistsError extends errorWith<[name: string]>()(
  'FST_SESSION_EXISTS', 'A shared session named %s already exists. Open it, or end it first.', 409) {}

/** The store lacks an optional interface that this call needs. */
export class StoreLacksError extends errorWith<[call: string, what: string, methods: string]>()(
  'FST_SESSION_STORE_LACKS', '%s needs a store that can %s; this one has no %s().') {}

/** The token of a shared session is derived from its name, so it cannot be renewed. */
export class SharedTokenError extends errorWith<[]>()(
  'FST_SESSION_SHARED_TOKEN', 'The token of a shared session is derived from its name and cannot be renewed.') {}

/** A function of `update()` has read or replaced the session's token. It is unknown there: the store has only its hash. */
export class NoTokenError extends errorWith<[call: string]>()(
  'FST_SESSION_NO_TOKEN', 'The store keeps only hashes of tokens, so %s cannot be used in update().') {}

/**
 * An error whose message is safe for clients: Fastify sends it to them. Details of the server are in `cause` and `problem`, which
 * loggers print and replies omit.
 */
interface ProblemError<Code extends string> extends CodedError<Code> {
  /** The event at the server, if the cause does not describe it. Not for clients. */
  readonly problem: string | undefined
}

function withProblem<Code extends string> (code: Code, message: string, statusCode = 503): new (problem: string, options?: ErrorOptions) => ProblemError<Code> {
  return class extends errorWith<[options: ErrorOptions]>()(code, message, statusCode) {
    readonly problem: string | undefined

    /** @param problem the event. Without an error as the cause it becomes the cause, since loggers omit other values */
    constructor (problem: string, options?: ErrorOptions) {
      const given = options?.cause
      const cause = given instanceof Error ? given : new Error(problem, options)
      super({ cause })
      this.problem = cause.message === problem ? undefined : problem
    }
  }
}

/** The store did not answer in time, or refused the command. Keeps the cause. */
export class StoreUnavailableError extends withProblem(
  'FST_SESSION_STORE_UNAVAILABLE', 'The session store is unavailable. Try again in a moment.') {}

/** The server lacks a feature that the store needs: it is too old, for example. Keeps the cause. */
export class StoreUnsupportedError extends withProblem(
  'FST_SESSION_STORE_UNSUPPORTED', 'The server of the session store is not supported.', 500) {}

/** A stored record is damaged, or was written by another version. It is left unchanged. Keeps the cause. */
export class RecordError extends withProblem(
  'FST_SESSION_RECORD', 'A stored session cannot be read: it is damaged, or was written by another version. It was left unchanged.') {}

/** The answer to a commit was lost: the commit may or may not have been applied. Keeps the cause. */
export class OutcomeUnknownError extends withProblem(
  'FST_SESSION_OUTCOME_UNKNOWN', 'It is unknown whether the changes were saved. Read the data before you try again.') {}

/** A document or compare-exchange value was changed by another request before the commit. Nothing was saved. Keeps the cause. */
export class DocumentConflictError extends errorWith<[route: string, options?: ErrorOptions]>()(
  'FST_SESSION_CONFLICT',
  'The changes of %s conflict with newer ones and were not saved. Load the document again, and retry or let the user choose.', 409) {}

/** The database does not exist on the server. Keeps the cause. */
export class DatabaseMissingError extends errorWith<[database: string, route: string, options?: ErrorOptions]>()(
  'FST_SESSION_DATABASE_MISSING', 'The database \'%s\', which %s uses, does not exist on the server. Create it, or correct its name in the options.') {}

/**
 * The database is down, is restarting, has no free connection, or reported a transient conflict. Nothing was saved. The same
 * request may succeed in a moment: the reply has `Retry-After`. Keeps the cause.
 */
export class DatabaseUnavailableError extends withProblem(
  'FST_SESSION_DATABASE_UNAVAILABLE', 'The database is unavailable. Try again in a moment.') {
  /** @internal The headers of a database's own errors too, which pass unchanged. */
  static readonly headers = Object.freeze({ 'retry-after': '1' })
  /** Headers that Fastify sends with the error. `retry-after` is in seconds. */
  readonly headers = { ...DatabaseUnavailableError.headers }
}

/** The session sent more requests to the server than its client allows. Keeps the cause. */
export class RequestLimitError extends errorWith<[route: string, limit: number, options?: ErrorOptions]>()(
  'FST_SESSION_REQUEST_LIMIT',
  '%s sent more than %d requests to the database in one session. Load several documents at once, or raise conventions.maxNumberOfRequestsPerSession.') {}

/** The database refused to open the session, because the credentials are wrong for example. Keeps the cause. */
export class OpenError extends withProblem('FST_SESSION_OPEN', 'The session could not be opened.', 500) {}

/** The database refused the commit. Nothing was kept. The cause has the reason. */
export class CommitError extends withProblem('FST_SESSION_COMMIT', 'The changes were not saved.', 500) {}

/** A request opened too many sessions by `request.<name>Scope.open()`. */
export class SessionLimitError extends errorWith<[name: string, route: string, limit: number]>()(
  'FST_SESSION_LIMIT', '%s of %s: a request has at most %d sessions. Reuse one when its work is done.') {}

/** A query's parameter cannot be sent: it holds a function or a node, is circular, or is nested too deep. Nothing was sent. */
export class ParameterError extends errorWith<[name: string, problem: string]>()(
  'FST_SESSION_PARAMETER', 'The parameter %s cannot be sent to the database: %s.', 500, TypeError) {}

/** The handler committed the transaction itself, so a rollback cannot undo it. */
export class AlreadyCommittedError extends errorWith<[]>()(
  'FST_SESSION_ALREADY_COMMITTED', 'The handler has committed the transaction itself, so it cannot be rolled back.') {}

/** The input of `restore()` is not a file of saved sessions, or of another version. Nothing was restored. */
export class RestoreVersionError extends errorWith<[problem: string]>()(
  'FST_SESSION_RESTORE_VERSION', 'The sessions cannot be restored: %s.') {}

/** A line of a file of saved sessions is damaged. Its `result` has the counts of the sessions restored before. */
export class RestoreLineError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_LINE', 'Line %d of the saved sessions is damaged. Restore with onDamage: \'skip\' to omit such lines.') {}

/** A file of saved sessions is incomplete. Its `result` has the counts of the restored sessions. */
export class RestoreTruncatedError extends errorWith<[problem: string]>()(
  'FST_SESSION_RESTORE_TRUNCATED', 'The saved sessions are incomplete: %s.') {}

/** A session to restore already exists. Its `result` has the counts of the restored sessions. */
export class RestoreConflictError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_CONFLICT', 'The session of line %d already exists. Restore with onConflict: \'skip\' or \'replace\'.', 409) {}

/** The store is full: it could restore a session only by evicting another. Its `result` has the counts of the sessions restored before. */
export class RestoreFullError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_FULL', 'The store is full: it could restore the session of line %d only by evicting another. Raise maxSessions of memoryStore().', 507) {}

/** The operator's command needs a driver that is not installed. Keeps the cause. */
export class DriverMissingError extends errorWith<[driver: string, command: string, options?: ErrorOptions]>()(
  'FST_SESSION_DRIVER_MISSING', 'This needs %s, which is not installed: %s') {}

/** `assertNoOpenSessions()` found sessions that are still open. */
export class OpenSessionsError extends errorWith<[count: number, list: string]>()(
  'FST_SESSION_STILL_OPEN', '%d session(s) are still open: %s') {}
