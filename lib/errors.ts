import createError from '@fastify/error'

/** An option of the plugin, a provider, a store, a transport or a route is unknown or has a value that is not allowed. Thrown at boot. */
export const OptionError = createError<[where: string, problem: string]>(
  'FST_SESSION_OPTION', '%s: %s', 500, TypeError)

/** The session was used after its end: the reply is out, the client has left, or the handler timed out. */
export const SessionClosedError = createError<[name: string, route: string]>(
  'FST_SESSION_CLOSED',
  '%s of %s was used after its end. Await all work before the handler returns, or use getSession() for work that outlives the reply.')

/** The route's config refuses this session (`config: { session: false }`), yet the route used it. */
export const SessionRefusedError = createError<[name: string, route: string]>(
  'FST_SESSION_REFUSED', '%s must not be used by %s: its route config says false.')

/** A hook or route that was defined before the plugin was loaded used the session: nothing would settle it. */
export const TooEarlyError = createError<[name: string, route: string]>(
  'FST_SESSION_TOO_EARLY',
  '%s was used by %s, in a hook or route that was defined before the plugin was loaded. Write `await app.register(requestSession)` first, or define them in a plugin registered after it.')

/** A token session was used synchronously before it was loaded. */
export const SessionNotLoadedError = createError<[method: string]>(
  'FST_SESSION_NOT_LOADED',
  'The session is not loaded yet, so that %s cannot answer. Write `const session = await request.session`, or load it before the handler with `load: \'onRequest\'`.')

/** The session was ended earlier in the same request by `end()`. */
export const SessionEndedError = createError<[]>(
  'FST_SESSION_ENDED', 'The session was ended by end() and can be used no more in this request.')

/** At commit the session was no longer in the store: ended by another request, renewed or expired. Nothing was written. */
export const SessionGoneError = createError<[route: string]>(
  'FST_SESSION_GONE',
  'The session of %s was ended, renewed or has expired while the request ran: its changes were not saved.', 409)

/** `update()` met a newer value each time it tried. Nothing was written. */
export const UpdateConflictError = createError<[key: string, tries: number]>(
  'FST_SESSION_UPDATE_CONFLICT', 'update() of the session key %s met a newer value in each of %d tries: nothing was saved.', 503)

/** A session key is not a non-empty, well-formed string. */
export const KeyError = createError<[key: string]>(
  'FST_SESSION_KEY', 'A session key is a non-empty, well-formed string; got %s.', 500, TypeError)

/** A session value holds something that JSON cannot. Nothing was changed. */
export const ValueError = createError<[key: string, problem: string]>(
  'FST_SESSION_VALUE', 'The value for the session key %s cannot be stored: %s', 500, TypeError)

/** A property was assigned to a session, which would be lost: `session.user = …`. */
export const PropertyError = createError<[name: string]>(
  'FST_SESSION_PROPERTY', 'A session keeps no property %s: write session.set(key, value).', 500, TypeError)

/** `increment()` met a value that is not a whole number, or would leave the range that JavaScript counts exactly. Nothing was changed. */
export const NotANumberError = createError<[key: string, problem: string]>(
  'FST_SESSION_NOT_A_NUMBER', 'The session key %s cannot be incremented: %s', 500, TypeError)

/** A session's name or subject is not a non-empty, well-formed text of at most 256 characters, or a shared session has no name. */
export const NameError = createError<[what: string, problem: string]>(
  'FST_SESSION_NAME', '%s: %s', 400, TypeError)

/** Shared sessions need the app's secret, which their tokens follow from. */
export const NoSecretError = createError<[call: string]>(
  'FST_SESSION_NO_SECRET', '%s needs tokenSessions({ secret }): the token of a shared session follows from its name under it.')

/** A shared session of this name exists already: it can be opened. */
export const SessionExistsError = createError<[name: string]>(
  'FST_SESSION_EXISTS', 'A shared session named %s exists already. Open it, or end it first.', 409)

/** The store implements only a part of what this call needs. */
export const StoreLacksError = createError<[call: string, what: string, methods: string]>(
  'FST_SESSION_STORE_LACKS', '%s needs a store that can %s; this one has no %s().')

/** A shared session's token follows from its name, so that it cannot be renewed. */
export const SharedTokenError = createError<[]>(
  'FST_SESSION_SHARED_TOKEN', 'The token of a shared session follows from its name and cannot be renewed.')

/**
 * The store did not answer, refused the command, or answered too late. Fastify sends the message to the client, so it is
 * always the same: what happened is the `cause`, which Fastify's logger prints with the error.
 */
export class StoreUnavailableError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_STORE_UNAVAILABLE', 'The session store is unavailable. Try again in a moment.', 503) {
  /** @param problem for the log: it becomes the cause, unless the given cause says the same */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeOf(problem, options))
  }
}

/** A stored record could not be understood: damaged, or written by another version. It is left as it is. The `cause` says why. */
export class RecordError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_RECORD', 'A stored session cannot be read: it is damaged, or was written by another version. It was left as it is.', 503) {
  /** @param problem for the log: it becomes the cause */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeOf(problem, options))
  }
}

/** The answer to a commit was lost: it may or may not have been applied. The `cause` says why. */
export class OutcomeUnknownError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_OUTCOME_UNKNOWN', 'It is unknown whether the changes were saved. Look before you try again.', 503) {
  /** @param problem for the log: it becomes the cause, unless the given cause says the same */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeOf(problem, options))
  }
}

/** The cause of an error with a fixed message. It is always an error: loggers leave out a cause that is not. */
function causeOf (problem: string, options?: ErrorOptions): ErrorOptions {
  const cause = options?.cause
  return { cause: cause instanceof Error && cause.message === problem ? cause : new Error(problem, options) }
}

/** Keeps the driver's own error as the cause, since apps look at its code. */
function causeFrom (problem: string, options?: ErrorOptions): ErrorOptions {
  return options?.cause instanceof Error ? options : causeOf(problem, options)
}

/** At commit a document or compare-exchange value had been changed by another request meanwhile. Nothing was saved. The cause is kept. */
export const DocumentConflictError = createError<[route: string, options?: ErrorOptions]>(
  'FST_SESSION_CONFLICT',
  'The changes of %s conflict with what was saved meanwhile, and were not saved. Load it again, and try again or let the user choose.', 409)

/** The database does not exist on the server. The cause is kept. */
export const DatabaseMissingError = createError<[database: string, route: string, options?: ErrorOptions]>(
  'FST_SESSION_DATABASE_MISSING', 'There is no database \'%s\' on the server, which %s uses. Create it, or correct its name in the options.')

/**
 * The database is down, restarting, has no connection to spare, or met a transient conflict. Nothing was saved, and the
 * same request may work in a moment: the reply says so with `Retry-After`. The `cause` is the driver's error.
 */
export class DatabaseUnavailableError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_DATABASE_UNAVAILABLE', 'The database is unavailable. Try again in a moment.', 503) {
  /** Fastify sends them with the error. `retry-after` is in seconds. */
  readonly headers = { 'retry-after': '1' }

  /** @param problem for the log: it becomes the cause where there is no error of the driver */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeFrom(problem, options))
  }
}

/** The session made more requests to the server than its client allows. The cause is kept. */
export const RequestLimitError = createError<[route: string, limit: number, options?: ErrorOptions]>(
  'FST_SESSION_REQUEST_LIMIT',
  '%s makes more than %d requests to the database in one session. Load several documents at once, or raise conventions.maxNumberOfRequestsPerSession.')

/** The database refused to open the session: it does not exist, the credentials are wrong. The `cause` is the driver's error. */
export class OpenError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_OPEN', 'The session could not be opened.', 500) {
  /** @param problem for the log: it becomes the cause where there is no error of the driver */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeFrom(problem, options))
  }
}

/** The commit was refused. Nothing was kept. The `cause` is the driver's error, or says why. */
export class CommitError extends createError<[options: ErrorOptions]>(
  'FST_SESSION_COMMIT', 'The changes were not saved.', 500) {
  /** @param problem for the log: it becomes the cause where there is no error of the driver */
  constructor (problem: string, options?: ErrorOptions) {
    super(causeFrom(problem, options))
  }
}

/** A query's parameter holds what the driver cannot send: a function, a node, or lists and maps that are circular or nested too deep. Nothing was sent. */
export const ParameterError = createError<[name: string, problem: string]>(
  'FST_SESSION_PARAMETER', 'The parameter %s cannot be sent to the database: %s.', 500, TypeError)

/** The handler committed by itself what is to be rolled back now: that is kept. */
export const AlreadyCommittedError = createError<[]>(
  'FST_SESSION_ALREADY_COMMITTED', 'The handler has committed the transaction itself: it cannot be rolled back.')

/** What is to be restored is no file of saved sessions, or one of another version. Nothing was restored. */
export const RestoreVersionError = createError<[problem: string]>(
  'FST_SESSION_RESTORE_VERSION', 'The sessions cannot be restored: %s.')

/** A line of a file of saved sessions is damaged. Its `result` says what was restored before. */
export const RestoreLineError = createError<[line: number]>(
  'FST_SESSION_RESTORE_LINE', 'Line %d of the saved sessions is damaged. Restore with onDamage: \'skip\' to leave such lines out.')

/** A file of saved sessions ends too early. Its `result` says what was restored. */
export const RestoreTruncatedError = createError<[problem: string]>(
  'FST_SESSION_RESTORE_TRUNCATED', 'The saved sessions are not whole: %s.')

/** A session that is to be restored exists already. Its `result` says what was restored besides. */
export const RestoreConflictError = createError<[line: number]>(
  'FST_SESSION_RESTORE_CONFLICT', 'The session of line %d exists already. Restore with onConflict: \'skip\' or \'replace\'.', 409)

/** The store could take a session only by dropping another. Its `result` says what was restored before. */
export const RestoreFullError = createError<[line: number]>(
  'FST_SESSION_RESTORE_FULL', 'The store is full: it could take the session of line %d only by dropping another. Give memoryStore() a larger maxSessions.', 507)

/** The operator's command needs a driver that is not installed. The cause is kept. */
export const DriverMissingError = createError<[driver: string, command: string, options?: ErrorOptions]>(
  'FST_SESSION_DRIVER_MISSING', 'This needs %s, which is not installed: %s')

/** The test helper found sessions that are still open. */
export const OpenSessionsError = createError<[count: number, list: string]>(
  'FST_SESSION_STILL_OPEN', '%d session(s) are still open: %s')
