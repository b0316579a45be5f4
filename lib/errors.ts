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

/** An error of this package, as Fastify makes a reply of it. */
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

/** The session was used after its end: after the reply, after the client had left, or after the handler's timeout. */
export class SessionClosedError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_CLOSED',
  '%s of %s was used after its end. Await all work before the handler returns, or use getSession() for work that outlives the reply.') {}

/** `currentSession()` was called where no session of the provider is at hand. */
export class NoAmbientSessionError extends errorWith<[kind: string, reason: string]>()(
  'FST_SESSION_NO_AMBIENT', 'There is no current %s session: %s.') {}

/** The route used a session that its config refuses (`config: { session: false }`). */
export class SessionRefusedError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_REFUSED', '%s must not be used by %s: its route config says false.') {}

/** A route was defined before the plugin was loaded, in a version of Fastify that lets no plugin add hooks to it then: no hook would settle the session. */
export class TooEarlyError extends errorWith<[name: string, route: string]>()(
  'FST_SESSION_TOO_EARLY',
  '%s has no hooks in %s: the route was defined before the plugin was loaded, and this version of Fastify does not let them be added. Write `await app.register(requestSession)` first, or define it in a plugin registered after it.') {}

/** A token session was used synchronously before it was loaded. */
export class SessionNotLoadedError extends errorWith<[method: string]>()(
  'FST_SESSION_NOT_LOADED',
  'The session is not loaded yet, so that %s cannot answer. Write `const session = await request.session`, or load it before the handler with `load: \'onRequest\'`.') {}

/** The session was used after `end()` in the same request. */
export class SessionEndedError extends errorWith<[]>()(
  'FST_SESSION_ENDED', 'The session was ended by end() and can be used no more in this request.') {}

/** The route requires a session that has a `subject`, and the request has none: its user is to log in. */
export const SessionRequiredError = errorWith<[route: string]>()(
  'FST_SESSION_REQUIRED', '%s needs a session that belongs to a user. Log in first.', 401)

/** The route requires a login that is not long ago: its user is to log in again. */
export const SessionNotFreshError = errorWith<[route: string, seconds: number]>()(
  'FST_SESSION_NOT_FRESH', '%s needs a login within the last %d seconds. Log in again.', 401)

/** The session was missing from the store at commit: ended by another request, or expired. Nothing was written. */
export class SessionGoneError extends errorWith<[route: string]>()(
  'FST_SESSION_GONE',
  'The session of %s was ended or has expired while the request ran: its changes were not saved.', 409) {}

/**
 * Work on a session whose token was given up: the request came with the old one after `renew()` or `regenerate()`, or changed data of
 * before a `regenerate()`. Nothing was written.
 */
export class SessionRenewedError extends errorWith<[route: string]>()(
  'FST_SESSION_RENEWED',
  'The session of %s has another token since a moment ago, as after a login: this work was not done. Send the request again with the new token.', 409) {}

/**
 * The reason of an aborted `session.signal`: the session is over, whichever process ended it.
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
   * `'ended'`: by `end()` or `endAll()`. `'expired'`: its time was up. `'renewed'`: another request has given it, or a new session in its place,
   * another token. `'limit'`: its subject has logged in elsewhere, and had `maxSessions` already.
   */
  readonly why: 'ended' | 'expired' | 'renewed' | 'limit'

  constructor (route: string, why: SessionOverError['why']) {
    super(route, { ended: 'was ended', expired: 'has expired', renewed: 'has another token', limit: 'was ended by a login elsewhere' }[why])
    this.why = why
  }
}

/** A login was refused: its subject has `maxSessions` sessions already, and `onLimit` is `'refuse'`. Nothing was written. */
export class SubjectLimitError extends errorWith<[route: string, most: number]>()(
  'FST_SESSION_SUBJECT_LIMIT', '%s: this user is logged in %d times already, which is the most. Log out elsewhere first.', 409) {}

/** The session would have more bytes than `maxSize` allows. Nothing was written. */
export class SessionTooLargeError extends errorWith<[route: string, size: number, maxSize: number]>()(
  'FST_SESSION_TOO_LARGE', 'The session of %s would have %d bytes, and at most %d are allowed (maxSize): nothing was saved.', 413) {}

/**
 * The data of a session do not fit `tokenSessions({ data })`: those that are stored (nothing of them was changed), or those that a commit would
 * have left (nothing was written). The message names the places, never a value. Keeps the cause, if the app's own function has failed.
 */
export class SessionDataError extends errorWith<[route: string, problem: string, ...options: ErrorOptions[]]>()(
  'FST_SESSION_DATA', 'The data of the session of %s do not fit: %s') {
  /** `'newer'`: the data were written by a newer version of the app. `'invalid'`: anything else. */
  readonly why: 'invalid' | 'newer'
  /** The part of the message that says what does not fit. */
  readonly problem: string

  constructor (route: string, problem: string, consequence: string, why: SessionDataError['why'], ...options: ErrorOptions[]) {
    super(route, `${problem} ${consequence}`.trimEnd(), ...options)
    this.why = why
    this.problem = problem
  }
}

/** Each try of `update()` met a newer value. Nothing was written. */
export class UpdateConflictError extends errorWith<[key: string, tries: number]>()(
  'FST_SESSION_UPDATE_CONFLICT', 'update() of the session key %s met a newer value in each of %d tries: nothing was saved.', 503) {}

/** A session key is not a non-empty, well-formed string. */
export class KeyError extends errorWith<[key: string]>()(
  'FST_SESSION_KEY', 'A session key is a non-empty, well-formed string; got %s.', 500, TypeError) {}

/** A session value holds something that JSON cannot. Nothing was changed. */
export class ValueError extends errorWith<[key: string, problem: string]>()(
  'FST_SESSION_VALUE', 'The value for the session key %s cannot be stored: %s', 500, TypeError) {}

/** A property was assigned to a session, which would be lost: `session.user = …`. */
export class PropertyError extends errorWith<[name: string]>()(
  'FST_SESSION_PROPERTY', 'A session keeps no property %s: write session.set(key, value).', 500, TypeError) {}

/** `increment()` met a value that is not a whole number, or its sum is no safe integer. Nothing was changed. */
export class NotANumberError extends errorWith<[key: string, problem: string]>()(
  'FST_SESSION_NOT_A_NUMBER', 'The session key %s cannot be incremented: %s', 500, TypeError) {}

/** A session's name, subject or label is not a non-empty, well-formed text of at most 256 characters, or a shared session has no name. */
export class NameError extends errorWith<[what: string, problem: string]>()(
  'FST_SESSION_NAME', '%s: %s', 400, TypeError) {}

/** A shared session was asked for without `tokenSessions({ secret })`, from which its token is derived. */
export class NoSecretError extends errorWith<[call: string]>()(
  'FST_SESSION_NO_SECRET', '%s needs tokenSessions({ secret }): the token of a shared session follows from its name under it.') {}

/** A shared session of this name exists already. It can be opened instead. */
export class SessionExistsError extends errorWith<[name: string]>()(
  'FST_SESSION_EXISTS', 'A shared session named %s exists already. Open it, or end it first.', 409) {}

/** The store does not implement an optional interface that this call needs. */
export class StoreLacksError extends errorWith<[call: string, what: string, methods: string]>()(
  'FST_SESSION_STORE_LACKS', '%s needs a store that can %s; this one has no %s().') {}

/** The token of a shared session is derived from its name, so it cannot be renewed. */
export class SharedTokenError extends errorWith<[]>()(
  'FST_SESSION_SHARED_TOKEN', 'The token of a shared session follows from its name and cannot be renewed.') {}

/** A function of `update()` has asked for the session's token. It can neither be read nor replaced there: the store has a hash of it. */
export class NoTokenError extends errorWith<[call: string]>()(
  'FST_SESSION_NO_TOKEN', 'update() gives a session without its token, of which the store has only a hash: %s cannot be used there.') {}

/**
 * An error whose message is for everybody, since Fastify sends it to the client. The events at the server are in `cause` and in
 * `problem`, which loggers print and replies do not have.
 */
interface ProblemError<Code extends string> extends CodedError<Code> {
  /** The event at the server, if the cause does not say it. Not for clients. */
  readonly problem: string | undefined
}

function withProblem<Code extends string> (code: Code, message: string, statusCode = 503): new (problem: string, options?: ErrorOptions) => ProblemError<Code> {
  return class extends errorWith<[options: ErrorOptions]>()(code, message, statusCode) {
    readonly problem: string | undefined

    /** @param problem the event; without an error as its cause it becomes that: loggers leave out any other */
    constructor (problem: string, options?: ErrorOptions) {
      const given = options?.cause
      const cause = given instanceof Error ? given : new Error(problem, options)
      super({ cause })
      this.problem = cause.message === problem ? undefined : problem
    }
  }
}

/** The store gave no answer in time, or refused the command. Keeps the cause. */
export class StoreUnavailableError extends withProblem(
  'FST_SESSION_STORE_UNAVAILABLE', 'The session store is unavailable. Try again in a moment.') {}

/** The server of the store cannot do what the store needs: it is too old, for example. Keeps the cause. */
export class StoreUnsupportedError extends withProblem(
  'FST_SESSION_STORE_UNSUPPORTED', 'The server of the session store is not supported.', 500) {}

/** A stored record is damaged or was written by another version. It is left as it is. Keeps the cause. */
export class RecordError extends withProblem(
  'FST_SESSION_RECORD', 'A stored session cannot be read: it is damaged, or was written by another version. It was left as it is.') {}

/** The answer to a commit was lost: the commit may or may not have been applied. Keeps the cause. */
export class OutcomeUnknownError extends withProblem(
  'FST_SESSION_OUTCOME_UNKNOWN', 'It is unknown whether the changes were saved. Look before you try again.') {}

/** A document or compare-exchange value was changed by another request before the commit. Nothing was saved. Keeps the cause. */
export class DocumentConflictError extends errorWith<[route: string, options?: ErrorOptions]>()(
  'FST_SESSION_CONFLICT',
  'The changes of %s conflict with what was saved meanwhile, and were not saved. Load it again, and try again or let the user choose.', 409) {}

/** The database does not exist on the server. Keeps the cause. */
export class DatabaseMissingError extends errorWith<[database: string, route: string, options?: ErrorOptions]>()(
  'FST_SESSION_DATABASE_MISSING', 'There is no database \'%s\' on the server, which %s uses. Create it, or correct its name in the options.') {}

/**
 * The database is down, restarting, has no connection to spare, or met a transient conflict. Nothing was saved. The same
 * request may work in a moment, which the reply says with `Retry-After`. Keeps the cause.
 */
export class DatabaseUnavailableError extends withProblem(
  'FST_SESSION_DATABASE_UNAVAILABLE', 'The database is unavailable. Try again in a moment.') {
  /** @internal Of a database's own errors too, which pass as they are. */
  static readonly headers = Object.freeze({ 'retry-after': '1' })
  /** Headers that Fastify sends with the error. `retry-after` is in seconds. */
  readonly headers = { ...DatabaseUnavailableError.headers }
}

/** The session made more requests to the server than its client allows. Keeps the cause. */
export class RequestLimitError extends errorWith<[route: string, limit: number, options?: ErrorOptions]>()(
  'FST_SESSION_REQUEST_LIMIT',
  '%s makes more than %d requests to the database in one session. Load several documents at once, or raise conventions.maxNumberOfRequestsPerSession.') {}

/** The database refused to open the session, because it does not exist or the credentials are wrong. Keeps the cause. */
export class OpenError extends withProblem('FST_SESSION_OPEN', 'The session could not be opened.', 500) {}

/** The database refused the commit. Nothing was kept. Keeps the cause, or says why in it. */
export class CommitError extends withProblem('FST_SESSION_COMMIT', 'The changes were not saved.', 500) {}

/** A request opened more sessions by `request.<name>Scope.open()` than it may have. */
export class SessionLimitError extends errorWith<[name: string, route: string, limit: number]>()(
  'FST_SESSION_LIMIT', '%s of %s: a request has at most %d sessions. Use one again once its work is done.') {}

/** A query's parameter cannot be sent: it holds a function or a node, is circular, or is nested too deep. Nothing was sent. */
export class ParameterError extends errorWith<[name: string, problem: string]>()(
  'FST_SESSION_PARAMETER', 'The parameter %s cannot be sent to the database: %s.', 500, TypeError) {}

/** The handler committed the transaction itself, so the rollback that is due now cannot undo it. */
export class AlreadyCommittedError extends errorWith<[]>()(
  'FST_SESSION_ALREADY_COMMITTED', 'The handler has committed the transaction itself: it cannot be rolled back.') {}

/** The input of `restore()` is no file of saved sessions, or one of another version. Nothing was restored. */
export class RestoreVersionError extends errorWith<[problem: string]>()(
  'FST_SESSION_RESTORE_VERSION', 'The sessions cannot be restored: %s.') {}

/** A line of a file of saved sessions is damaged. Its `result` has the counts of the sessions restored before. */
export class RestoreLineError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_LINE', 'Line %d of the saved sessions is damaged. Restore with onDamage: \'skip\' to leave such lines out.') {}

/** A file of saved sessions ends too early. Its `result` has the counts of the restored sessions. */
export class RestoreTruncatedError extends errorWith<[problem: string]>()(
  'FST_SESSION_RESTORE_TRUNCATED', 'The saved sessions are not whole: %s.') {}

/** A session to restore exists already. Its `result` has the counts of the sessions restored besides. */
export class RestoreConflictError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_CONFLICT', 'The session of line %d exists already. Restore with onConflict: \'skip\' or \'replace\'.', 409) {}

/** The store could take a restored session only by dropping another. Its `result` has the counts of the sessions restored before. */
export class RestoreFullError extends errorWith<[line: number]>()(
  'FST_SESSION_RESTORE_FULL', 'The store is full: it could take the session of line %d only by dropping another. Give memoryStore() a larger maxSessions.', 507) {}

/** The operator's command needs a driver that is not installed. Keeps the cause. */
export class DriverMissingError extends errorWith<[driver: string, command: string, options?: ErrorOptions]>()(
  'FST_SESSION_DRIVER_MISSING', 'This needs %s, which is not installed: %s') {}

/** `assertNoOpenSessions()` found sessions that are still open. */
export class OpenSessionsError extends errorWith<[count: number, list: string]>()(
  'FST_SESSION_STILL_OPEN', '%d session(s) are still open: %s') {}
